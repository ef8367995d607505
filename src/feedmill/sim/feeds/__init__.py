"""Feeds that answer a simulated audience, from chance to the truth, by name."""

from __future__ import annotations

from feedmill.core.registry import Registry
from feedmill.sim.feed import Feed

FEEDS: Registry[Feed] = Registry(
    "feed",
    {
        "chance": "feedmill.sim.feeds.chance:ChanceFeed",
        "popular": "feedmill.sim.feeds.popular:PopularFeed",
        "itemcf": "feedmill.sim.feeds.itemcf:ItemCFFeed",
    },
)
"""Feeds that need nothing but ``(config, seed)``; each has its ``Config``. The others are handed what they stand on: a
world (oracle), other feeds (split), a workspace (chain), an address (http)."""
