"""What users did by day, folded from the log: the sums that business metrics and experiments are made of."""
