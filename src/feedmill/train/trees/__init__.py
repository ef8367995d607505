"""Boosted trees whose leaves a linear model reads: grown daily, learned on between."""
