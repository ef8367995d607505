"""Offline metrics in NumPy: ranking, classification, calibration, catalogue, and intervals over users."""
