"""The loop: who asks when, what is refused, and that nothing hangs on how asks are cut into calls."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from audiences import START_MS, small_world
from feedmill.core.errors import DataError
from feedmill.sim.config import DAY_MS, HabitConfig
from feedmill.sim.day import Sessions
from feedmill.sim.diary import columns
from feedmill.sim.feeds.chance import ChanceConfig, ChanceFeed
from feedmill.sim.live import Queue, live
from feedmill.sim.views import NOTHING, Asks, Slates, Views

MINUTE = 60_000


def sessions(*rows: tuple[int, int]) -> Sessions:
    """(person, minute) in order of time."""
    user, minute = (np.array(x) for x in zip(*rows, strict=True))
    return Sessions(user.astype(np.int32), START_MS + MINUTE * minute.astype(np.int64))


def said(asks: Asks) -> list[tuple[int, float, int]]:
    """(person, minute, page)."""
    minutes = (asks.time_ms - START_MS) / MINUTE
    return list(zip(asks.user.tolist(), minutes.tolist(), asks.page.tolist(), strict=True))


def back(queue: Queue, asks: Asks, **minutes: float) -> None:
    """They have all watched until these minutes; "leaves" does not go on."""
    goes_on = np.array([f"u{u}" in minutes for u in asks.user])
    until = [minutes.get(f"u{u}", minutes.get("left", 0.0)) for u in asks.user]
    queue.back(asks, goes_on, START_MS + (np.array(until) * MINUTE).astype(np.int64))


def test_a_tick_is_served_in_rounds_each_person_once_in_each() -> None:
    queue = Queue(5 * MINUTE)
    queue.add(sessions((7, 1), (2, 3), (4, 6)))
    first = queue.due()
    assert said(first) == [(7, 1, 0), (2, 3, 0)], "4 is of the next tick"
    back(queue, first, u7=4, u2=8)
    second = queue.due()
    assert said(second) == [(7, 4, 1)], "due again within the tick"
    back(queue, second, u7=6.5)
    third = queue.due()
    assert said(third) == [(4, 6, 0), (7, 6.5, 2), (2, 8, 1)]
    back(queue, third, left=9)
    assert len(queue.due()) == 0


def test_a_session_that_would_begin_within_another_does_not() -> None:
    queue = Queue(60 * MINUTE)
    queue.add(sessions((1, 0), (1, 5), (1, 20)))
    first = queue.due()
    assert said(first) == [(1, 0, 0)], "of one person the later ones wait"
    back(queue, first, u1=10)
    second = queue.due()
    assert said(second) == [(1, 10, 1)], "that of minute 5 is the same session"
    back(queue, second, left=15)
    assert said(queue.due()) == [(1, 20, 0)]


def test_who_is_there_at_midnight_does_not_come_again_before_leaving() -> None:
    queue = Queue(5 * MINUTE)
    queue.add(sessions((1, 10), (2, 10)))
    back(queue, queue.due(), left=100)
    assert len(queue.due()) == 0
    queue.add(sessions((1, 99), (2, 100)))
    assert said(queue.due()) == [(2, 100, 0)]


def test_time_goes_on_even_for_those_who_took_none() -> None:
    queue = Queue(MINUTE)
    queue.add(sessions((0, 0)))
    asks = queue.due()
    queue.back(asks, np.array([True]), asks.time_ms)
    assert queue.due().time_ms.tolist() == [START_MS + 1]


def chance() -> ChanceFeed:
    return ChanceFeed(ChanceConfig(), 1)


def test_asks_of_a_call_are_of_one_tick_in_order_each_person_once() -> None:
    def look(_: int, asks: Asks, __: Slates) -> None:
        assert (np.diff(asks.time_ms) >= 0).all()
        assert len(np.unique(asks.user)) == len(asks)
        assert len(np.unique(asks.time_ms // 300_000)) == 1

    assert len(live(small_world(), chance(), 2, looks=[look]).people)


def test_how_asks_are_cut_into_calls_changes_nothing_for_people() -> None:
    """For a feed that learns from nobody but the person."""
    runs = [live(small_world(), chance(), 4, tick_s=tick_s) for tick_s in (1, 300, 86_400)]
    for other in runs[1:]:
        for name, column in columns(runs[0].people).items():
            np.testing.assert_array_equal(column, getattr(other.people, name), err_msg=name)


def test_same_seed_same_bytes_other_seed_others() -> None:
    digests = [live(small_world(seed), chance(), 3).digest() for seed in (1, 1, 2)]
    assert digests[0] == digests[1] != digests[2]


def test_a_diary_without_views_is_the_same_but_for_them() -> None:
    whole, sums = live(small_world(), chance(), 3), live(small_world(), chance(), 3, keep=False)
    assert sums.views is None
    for part in ("people", "videos"):
        for name, column in columns(getattr(whole, part)).items():
            np.testing.assert_array_equal(column, getattr(getattr(sums, part), name))


def test_sums_are_those_of_the_views() -> None:
    diary = live(small_world(), chance(), 3)
    assert diary.views is not None
    rows = diary.people
    for user, day in [(rows.user[0], rows.day[0]), (rows.user[-1], rows.day[-1])]:
        of = (diary.views.user == user) & (diary.views.day == day)
        at = (rows.user == user) & (rows.day == day)
        assert rows.views[at].tolist() == [of.sum()]
        assert rows.seconds[at][0] == pytest.approx(diary.views.seconds[of].sum(), rel=1e-5)
        assert rows.expected[at][0] == pytest.approx(diary.views.expected[of].sum(), rel=1e-5)


def test_a_world_may_be_lived_in_again() -> None:
    world = small_world()
    feed = chance()
    first, second = live(world, feed, 2), live(world, feed, 2)
    assert second.start_ms == first.start_ms + 2 * DAY_MS
    assert (second.n_days, int(second.people.day.min())) == (2, 0)
    assert second.views is not None
    assert second.views.time_s.min() >= 0


def test_an_interrupted_run_is_that_of_the_days_that_were_over() -> None:
    def stop(day: int, asks: Asks, _: Slates) -> None:
        if day == 2 and asks.time_ms[0] > START_MS + 2 * DAY_MS + DAY_MS // 2:
            raise KeyboardInterrupt

    stopped = live(small_world(), chance(), 5, looks=[stop])
    assert stopped.digest() == live(small_world(), chance(), 2).digest()

    def at_once(*_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        live(small_world(), chance(), 5, looks=[at_once])


def test_a_longer_slate_is_cut() -> None:
    diary = live(small_world(), chance(), 2, slate=3)
    assert diary.views is not None
    assert diary.views.position.max() == 2


class Stubborn:
    """Always answers the same."""

    def __init__(self, item: Any) -> None:
        self._item = item

    def describe(self, events: Any) -> None: ...

    def slates(self, asks: Asks) -> Slates:
        return Slates(np.tile(np.array(self._item, np.int32), (len(asks), 1)))

    def take(self, asks: Asks, slates: Slates, views: Views) -> None: ...

    def night(self, day: int) -> None: ...


@pytest.mark.parametrize(
    ("item", "given"),
    [([1, 2, 1], "twice"), ([10_000], "rows 10000"), ([-2], "rows -2"), (np.zeros((2, 3, 1)), "shape")],
)
def test_slates_that_are_none_are_refused(item: Any, given: str) -> None:
    with pytest.raises(DataError, match=given):
        live(small_world(), Stubborn(item), 1)


def test_a_feed_that_shows_nothing_is_a_sad_one() -> None:
    diary = live(small_world(), Stubborn([NOTHING, NOTHING]), 3)
    assert len(diary.videos) == 0
    assert diary.people.pages.sum() > 0
    assert diary.people.views.sum() == 0


def test_an_audience_that_never_comes() -> None:
    assert len(live(small_world(habit=HabitConfig(come=(0, 0, 0, 0, 0))), chance(), 2).people) == 0
