"""Every registered feed against the suite; a new one is added to ``MAKE``."""

from __future__ import annotations

from typing import Any

import pytest

from contracts import feed as suite
from contracts.feed import Make
from feedmill.core.config import convert
from feedmill.sim.feed import Feed
from feedmill.sim.feeds import FEEDS
from feedmill.sim.feeds.fast.config import FastConfig, LearnerConfig
from feedmill.sim.feeds.fast.feed import FastFeed
from feedmill.sim.feeds.fast.learner import Learner
from feedmill.sim.feeds.oracle import OracleFeed
from feedmill.sim.feeds.split import SplitFeed, by_hash
from feedmill.sim.world import World


def of(kind: str, **parameters: Any) -> Make:
    def make(_: Any) -> Feed:
        cls: Any = FEEDS[kind]
        feed: Feed = cls(convert(parameters, cls.Config, kind), 5)
        return feed

    return make


def fast(world: World) -> Feed:
    return FastFeed(FastConfig(), Learner(LearnerConfig(), 5), 5)


def split(learns: Any) -> Make:
    return lambda world: SplitFeed([MAKE["popular"](world), MAKE["itemcf"](world)], by_hash("arms", [0.5, 0.5]), learns)


MAKE: dict[str, Make] = {
    "chance": of("chance"),
    "chance, short memory": of("chance", memory=1, slots=3),
    "popular": of("popular"),
    "popular, at once": of("popular", every_s=0, half_life_days=0.1),
    "itemcf": of("itemcf"),
    "itemcf, of today": of("itemcf", days=0.5, similarity={"last_n": 3, "top_k": 2}),
    "fast": fast,
    "oracle": OracleFeed,
    "split": split("own"),
    "split, all learn": split("all"),
}
CHECKS = [name for name in vars(suite) if name.startswith("check_")]


def test_every_registered_feed_is_checked() -> None:
    assert set(FEEDS) <= {name.split(",")[0] for name in MAKE}


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("kind", MAKE)
def test_feed(kind: str, check: str) -> None:
    getattr(suite, check)(MAKE[kind])
