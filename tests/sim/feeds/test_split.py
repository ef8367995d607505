"""Who is answered by which feed, and what each is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from audiences import asks, slates, small_world, views
from feedmill.core.errors import ConfigError
from feedmill.core.events import EventBatch
from feedmill.sim.feeds.chance import ChanceConfig, ChanceFeed
from feedmill.sim.feeds.split import SplitFeed, by_hash
from feedmill.sim.live import live
from feedmill.sim.views import NOTHING, Asks, Slates, Views


class Told:
    """Shows one video and writes down what it is told."""

    def __init__(self, item: int, width: int, name: str = "") -> None:
        self.item, self.width, self.name = item, width, name
        self.asked: list[list[int]] = []
        self.took: list[tuple[Asks, Slates, Views]] = []
        self.nights: list[int] = []
        self.n_described = 0

    def describe(self, events: EventBatch) -> None:
        self.n_described += 1

    def slates(self, asks: Asks) -> Slates:
        self.asked.append(asks.user.tolist())
        item = np.full((len(asks), self.width), NOTHING, np.int32)
        item[:, 0] = self.item
        return Slates(item, [f"{self.name}{u}" for u in asks.user] if self.name else ())

    def take(self, asks: Asks, slates: Slates, views: Views) -> None:
        self.took.append((asks, slates, views))

    def night(self, day: int) -> None:
        self.nights.append(day)


def odd(user: Any) -> Any:
    return (user % 2).astype(np.int32)


def test_each_is_answered_by_the_feed_of_their_arm() -> None:
    a, b = Told(7, 1), Told(8, 2, "r")
    split = SplitFeed([a, b], odd)
    found = split.slates(asks([3, 2, 1]))
    assert (a.asked, b.asked) == ([[2]], [[3, 1]])
    assert found.item.tolist() == [[8, NOTHING], [7, NOTHING], [8, NOTHING]]
    assert list(found.request_id) == ["r3", "", "r1"]


def test_a_feed_that_nobody_asks_is_not_asked() -> None:
    a, b = Told(7, 1), Told(8, 1)
    assert SplitFeed([a, b], odd).slates(asks([2])).request_id == ()
    assert b.asked == []


SEEN = views([(0, 3, 8, 1.0), (0, 3, 9, 2.0), (1, 2, 7, 3.0), (2, 1, 8, 4.0)], [1, 2, 4, 8])


def test_each_is_told_of_its_own_slates() -> None:
    a, b = Told(7, 1), Told(8, 2, "r")
    split = SplitFeed([a, b], odd)
    asked = asks([3, 2, 1])
    split.take(asked, split.slates(asked), SEEN)
    (asks_b, slates_b, views_b), (asks_a, _, views_a) = b.took[0], a.took[0]
    assert asks_b.user.tolist() == [3, 1]
    assert list(slates_b.request_id) == ["r3", "r1"]
    assert views_b.ask.tolist() == [0, 0, 1], "asks count from 0 again"
    assert views_b.item.tolist() == [8, 9, 8]
    assert views_b.seconds.tolist() == [1, 2, 4]
    assert views_b.reactions.tolist() == [1, 2, 8]
    assert asks_a.user.tolist() == [2]
    assert (views_a.ask.tolist(), views_a.item.tolist(), views_a.position.tolist()) == ([0], [7], [0])


def test_or_all_are_told_everything() -> None:
    a, b = Told(7, 1), Told(8, 1)
    split = SplitFeed([a, b], odd, "all")
    split.take(asks([3, 2, 1]), slates([8], [7], [8]), SEEN)
    for feed in (a, b):
        assert feed.took[0][2] is SEEN
    split.describe(EventBatch.empty())
    split.night(4)
    assert (a.nights, b.nights, a.n_described, b.n_described) == ([4], [4], 1, 1)


def test_arms_by_hash() -> None:
    arm_of = by_hash("taste", [0.2, 0.3, 0.5])
    users = np.arange(20_000, dtype=np.int32)
    arms = arm_of(users)
    np.testing.assert_allclose(np.bincount(arms) / 20_000, [0.2, 0.3, 0.5], atol=0.012)
    np.testing.assert_array_equal(arms[500:600], arm_of(users[500:600]))
    assert (by_hash("other", [0.2, 0.3, 0.5])(users) != arms).mean() > 0.5
    assert set(by_hash("one", [0.0, 1.0])(users[:100]).tolist()) == {1}


@pytest.mark.parametrize("shares", [[], [0.5], [0.7, 0.7], [-0.5, 1.5]])
def test_shares_that_are_none(shares: list[float]) -> None:
    with pytest.raises(ConfigError, match="shares"):
        by_hash("x", shares)


def test_no_feed() -> None:
    with pytest.raises(ConfigError, match="no feed"):
        SplitFeed([], odd)


def test_two_feeds_that_hang_on_nobody_else_are_one() -> None:
    """Split among feeds alike, people see exactly what they would have seen."""

    def chance() -> ChanceFeed:
        return ChanceFeed(ChanceConfig(), 3)

    one = live(small_world(), chance(), 3)
    for learns in ("own", "all"):
        two = live(small_world(), SplitFeed([chance(), chance()], by_hash("arms", [0.5, 0.5]), learns), 3)  # type: ignore[arg-type]
        assert two.digest() == one.digest()
