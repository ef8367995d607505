"""What makes a score a probability: fitted on held-out rows, and kept right as more come."""
