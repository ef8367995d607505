"""Heads: how one label is learned from logits, and what the logits then say."""
