"""Compares and draws what runs left behind."""
