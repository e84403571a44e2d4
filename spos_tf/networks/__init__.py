"""Arrangements of blocks: the description and the networks made from it."""
