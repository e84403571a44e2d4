"""Labelled images: sources, named splits, preprocessing and pipelines."""
