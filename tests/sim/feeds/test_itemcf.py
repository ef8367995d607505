"""ItemCF over views: two circles of people who watch different videos."""

from __future__ import annotations

from dataclasses import replace

from audiences import asks, items, slates, views
from feedmill.retrieval.itemcf import ItemCFConfig
from feedmill.sim.config import DAY_MS
from feedmill.sim.feeds.itemcf import ItemCFFeed, ItemCFFeedConfig
from feedmill.sim.feeds.popular import PopularConfig
from feedmill.sim.views import Views

NOTHING_SHOWN = slates([0])
# Persons 0 to 3 watch 0 to 3, persons 4 to 7 watch 4 to 7; 8 has watched 0 alone, 9 has watched 5 alone.
CIRCLES = [(0, u, i, 30.0) for u in range(8) for i in range(8) if u // 4 == i // 4]
ALONE = [(0, 8, 0, 30.0), (0, 9, 5, 30.0)]


def feed(days: float = 14.0) -> ItemCFFeed:
    config = ItemCFFeedConfig(
        similarity=ItemCFConfig(shrinkage=0), days=days, popular=PopularConfig(slots=3, half_life_days=1)
    )
    out = ItemCFFeed(config, 1)
    out.describe(items([f"i{k}" for k in range(10)], ['{"duration_s": 60}'] * 10))
    return out


def learn(of: ItemCFFeed, seen: Views, day: int = 0) -> None:
    of.take(asks([0]), NOTHING_SHOWN, replace(seen, time_ms=seen.time_ms + day * DAY_MS))
    of.night(day)


def answers(of: ItemCFFeed, day: float = 1.0) -> list[set[int]]:
    """Of persons 8 and 9."""
    return [set(row) for row in of.slates(asks([8, 9], [day * 86_400] * 2)).item.tolist()]


def test_people_are_shown_what_their_circle_watches() -> None:
    of = feed()
    learn(of, views(CIRCLES + ALONE))
    assert answers(of) == [{1, 2, 3}, {4, 6, 7}]


def test_before_the_first_night_and_for_the_unknown_the_popular_feed_answers() -> None:
    of = feed()
    of.take(asks([0]), NOTHING_SHOWN, views([*CIRCLES, (0, 8, 4, 30.0), (0, 9, 4, 30.0)]))
    popular = of._popular.slates(asks([77], [86_400])).item.tolist()
    assert popular[0][0] == 4
    assert of.slates(asks([77], [86_400])).item.tolist() == popular
    of.night(0)
    assert of.slates(asks([77], [86_400])).item.tolist() == popular


def test_short_views_are_no_likes() -> None:
    of = feed()
    learn(of, views([(a, u, i, 2.0 if i % 2 else s) for a, u, i, s in CIRCLES] + ALONE[:1]))
    assert 2 in answers(of)[0]
    assert of._interactions().item.tolist().count(2) == 0, "row 2 is video 1, that nobody watched for long"


def test_likes_are_seconds_up_to_a_cap() -> None:
    of = feed()
    learn(of, views([(0, 0, 3, 20.0), (0, 1, 3, 500.0), (0, 0, 3, 25.0)]))
    found = of._interactions()
    assert found.user.tolist() == [1, 2]
    assert found.item.tolist() == [4, 4]
    assert found.like.tolist() == [45, 120]
    assert (found.n_users, found.n_items) == (3, 11)


def test_what_is_long_ago_is_forgotten() -> None:
    of = feed(days=2)
    learn(of, views(CIRCLES))
    learn(of, views(ALONE), day=5)
    assert len(of._interactions()) == 2


def test_a_night_without_views() -> None:
    of = feed()
    of.night(0)
    learn(of, views([]))
    assert len(answers(of)[0]) == 3
