"""Blocks: each says in order which operations it runs."""
