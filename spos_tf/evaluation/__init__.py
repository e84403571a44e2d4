"""Recalibrates and scores paths of a supernet."""
