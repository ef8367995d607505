"""The ranker and the pre-ranker: trained on samples, made small, stored as parts."""
