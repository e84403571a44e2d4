"""What touches one tensor in a network: the Ops protocol and its readers."""
