"""What changes weights: samplers, the gated optimizer, steps, run state."""
