"""What `feedmill report` prints and draws: a file each."""
