"""What `feedmill simulate` runs, and what it keeps of it for `feedmill report simulate`."""
