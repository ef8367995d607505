"""The oracle against chance, popularity and ItemCF."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from audiences import small_world
from feedmill.sim.diary import Diary
from feedmill.sim.feed import Feed
from feedmill.sim.feeds.chance import ChanceConfig, ChanceFeed
from feedmill.sim.feeds.itemcf import ItemCFFeed, ItemCFFeedConfig
from feedmill.sim.feeds.oracle import OracleFeed
from feedmill.sim.feeds.popular import PopularConfig, PopularFeed
from feedmill.sim.figures import by_day, retention, share
from feedmill.sim.live import live
from feedmill.sim.regret import slate_seconds
from feedmill.sim.views import Asks
from feedmill.sim.world import World

MAKE: dict[str, Callable[[World], Feed]] = {
    "chance": lambda _: ChanceFeed(ChanceConfig(), 1),
    "popular": lambda _: PopularFeed(PopularConfig(), 1),
    "itemcf": lambda _: ItemCFFeed(ItemCFFeedConfig(), 1),
    "oracle": OracleFeed,
}


def test_its_slates_are_the_worlds_and_as_long_as_asked() -> None:
    world = small_world()
    sessions = world.begin_day()
    first = np.unique(sessions.user, return_index=True)[1]
    asks = Asks(sessions.user[first], sessions.time_ms[first], np.zeros(len(first), np.int32))
    item = OracleFeed(world, 4).slates(asks).item
    assert item.shape == (len(asks), 4)
    chance = ChanceFeed(ChanceConfig(slots=4), 1)
    chance.describe(world.describe())
    assert (slate_seconds(world, asks, item)[0] > slate_seconds(world, asks, chance.slates(asks).item)[0]).mean() > 0.9


@pytest.mark.slow
def test_chance_popular_itemcf_oracle_in_this_order() -> None:
    """In the second half, the same people compared with themselves; 500 people, 2,000 videos, 12 days."""

    def run(kind: str) -> Diary:
        world = small_world(n_users=500, n_videos=2000, n_topics=110, new_users=0.005, video_days=30.0)
        return live(world, MAKE[kind](world), 12, keep=False)

    runs = {kind: run(kind) for kind in MAKE}
    for worse, better in pairwise(MAKE):
        more = share(runs[better], runs[worse], 1, first=6)
        assert more.low > 1, (worse, better, more)
    again = [retention(runs[kind], 1, 1).mean for kind in ("chance", "oracle")]
    assert again[0] < again[1], "people come again to what they like"
    views = [by_day(runs[kind]).views.sum() for kind in ("chance", "oracle")]
    assert views[0] < views[1]
