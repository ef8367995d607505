"""A feed that learns from views alone and is fast enough to live through a month in minutes."""
