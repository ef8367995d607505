"""Gates that make a ranker's hidden layers depend on who looks: PPNet and POSO. At neutral gates, the plain model."""
