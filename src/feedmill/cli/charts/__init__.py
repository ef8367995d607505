"""Pictures for people, as PNG files: what a report shows."""
