"""Is it better? Differences between arms, how sure they are, and what to look at before believing them."""
