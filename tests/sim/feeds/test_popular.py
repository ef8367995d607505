"""The popular feed's counts, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from audiences import asks, items, slates, views
from feedmill.sim.config import DAY_MS
from feedmill.sim.feeds.popular import PopularConfig, PopularFeed

NOTHING_SHOWN = slates([0])


def feed(**config: float) -> PopularFeed:
    out = PopularFeed(PopularConfig(slots=3, **config), 1)  # type: ignore[arg-type]
    out.describe(items(["a", "b", "c", "d"], ['{"duration_s": 60}'] * 4))
    return out


def first_for(of: PopularFeed, day: float) -> list[int]:
    """The slate of somebody who has seen nothing."""
    return of.slates(asks([99], [day * 86_400])).item[0].tolist()  # type: ignore[no-any-return]


def test_long_views_count_and_short_ones_do_not() -> None:
    of = feed()
    of.take(asks([0]), NOTHING_SHOWN, views([(0, 0, 2, 20.0), (0, 1, 2, 30.0), (0, 0, 1, 18.0), (0, 0, 3, 17.0)]))
    assert first_for(of, 1)[:2] == [2, 1]


def test_counts_fade() -> None:
    """Two views on day 0 weigh 2 · 2^-3 on day 3, less than one of then with a half-life of a day; not with ten."""
    for half_life_days, best in ((1.0, 1), (10.0, 0)):
        of = feed(half_life_days=half_life_days)
        of.take(asks([0]), NOTHING_SHOWN, views([(0, 0, 0, 20.0), (0, 1, 0, 20.0)]))
        late = views([(0, 2, 1, 20.0)])
        of.take(asks([2], [3 * 86_400]), NOTHING_SHOWN, replace(late, time_ms=late.time_ms + 3 * DAY_MS))
        assert first_for(of, 3.5)[0] == best


def test_the_order_is_kept_for_a_while() -> None:
    of = feed(every_s=3600)
    before = first_for(of, 1)
    of.take(asks([0]), NOTHING_SHOWN, views([(0, 0, before[-1], 20.0)]))
    assert first_for(of, 1 + 0.5 / 24) == before
    assert first_for(of, 1 + 1.5 / 24)[0] == before[-1]


def test_nobody_sees_a_video_twice_while_there_are_others() -> None:
    of = feed()
    of.take(asks([0]), NOTHING_SHOWN, views([(0, 0, 2, 20.0)]))
    assert 2 not in of.slates(asks([0], [86_400])).item[0]
    assert 2 in of.slates(asks([1], [86_400])).item[0]


def test_videos_that_nobody_has_watched_stand_in_an_order_of_the_seed() -> None:
    orders = [PopularFeed(PopularConfig(), seed) for seed in (1, 1, 2)]
    for of in orders:
        of.describe(items([f"i{k}" for k in range(50)]))
    assert orders[0].order.tolist() == orders[1].order.tolist() != orders[2].order.tolist()
    assert sorted(orders[0].order.tolist()) == list(range(50))


def test_new_videos_come_last_and_what_is_gone_does_not_come() -> None:
    of = feed()
    of.take(asks([0]), NOTHING_SHOWN, views([(0, 0, k, 20.0) for k in (0, 1, 2, 3)]))
    of.describe(items(["e", "a"], ["{}", '{"deleted": true}']))
    first_for(of, 1)
    assert of.order.tolist()[-1] == 4
    assert np.isin(of.order, [1, 2, 3, 4]).all()
