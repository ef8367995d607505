"""``feedmill …``: one command a file."""
