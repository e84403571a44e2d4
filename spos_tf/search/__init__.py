"""Picks architectures: algorithms, their record, and the loop around them."""
