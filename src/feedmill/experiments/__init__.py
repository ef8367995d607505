"""Layered experiments: who sees what, since when, and whether it is better."""
