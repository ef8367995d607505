"""From state to scores without torch: a published part, opened."""
