"""Figures of diaries written by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiences import START_MS
from feedmill.core.clock import rng
from feedmill.core.errors import DataError
from feedmill.core.events import Kind
from feedmill.sim.diary import Diary, PersonDays, VideoDays
from feedmill.sim.figures import by_day, first_day, per_person, rate, ratio, retention, share, share_by_day

NONE = np.zeros(0, np.int64)


def diary(rows: list[tuple[int, int, int, float]], joined: list[int], n_days: int = 3) -> Diary:
    """(day, person, views, expected seconds); a like for every person and day, watched twice what was expected."""
    day, user, views, expected = (np.array(x) for x in zip(*rows, strict=True)) if rows else (NONE,) * 4
    i, n = np.int32, len(rows)
    reactions = np.tile(np.array([1, 0, 0, 0, 0], i), (n, 1))
    ones, seconds = np.ones(n, i), expected.astype(np.float64)
    people = PersonDays(day.astype(i), user.astype(i), ones, 2 * ones, views.astype(i), 2 * seconds, seconds, reactions)
    videos = VideoDays(NONE.astype(i), NONE.astype(i), NONE.astype(i), NONE.astype(float), NONE.astype(float))
    return Diary(n_days, START_MS, people, videos, None, np.array(joined, i), NONE.astype(i), NONE, NONE)


# 0 comes on all days, 1 on the first two, 2 on the last; 3 and 4 are new on day 1, and 3 comes again.
ROWS = [(0, 0, 10, 30.0), (0, 1, 5, 20.0), (1, 0, 10, 40.0), (1, 1, 5, 10.0), (1, 3, 2, 6.0), (1, 4, 2, 2.0)]
OURS = diary([*ROWS, (2, 0, 10, 10.0), (2, 2, 1, 1.0), (2, 3, 4, 4.0)], [-1, -1, -1, 1, 1])


def test_by_day() -> None:
    days = by_day(OURS)
    assert days.people.tolist() == [2, 4, 3]
    assert days.sessions.tolist() == [2, 4, 3]
    assert days.pages.tolist() == [4, 8, 6]
    assert days.views.tolist() == [15, 19, 15]
    assert days.expected.tolist() == [50, 58, 15]
    assert days.seconds.tolist() == [100, 116, 30]
    assert days.new_people.tolist() == [0, 2, 0]
    assert math.isnan(days.came_again[0])
    assert days.came_again[1:].tolist() == [1.0, 0.5]


def test_per_person() -> None:
    assert per_person(OURS).tolist() == [80, 30, 1, 10, 2]
    assert per_person(OURS, "views", 1, 1).tolist() == [10, 5, 0, 2, 2]
    with pytest.raises(DataError, match="days 2 to 3"):
        per_person(OURS, first=2, last=3)


def test_share_of_another_feed() -> None:
    """Who has left counts for nothing on our side and for all on the other's."""
    other = diary([(0, 0, 10, 40.0), (1, 1, 9, 60.0), (2, 4, 1, 23.0)], [-1, -1, -1, 1, 1])
    assert share(OURS, other, 1).mean == pytest.approx(1.0)
    assert share(OURS, other, 1, "views").mean == pytest.approx(49 / 20)
    assert [x.mean for x in share_by_day(OURS, other, 1)] == pytest.approx([50 / 40, 58 / 60, 15 / 23])
    with pytest.raises(DataError, match="3 and 2 days"):
        share(OURS, diary([], [-1] * 5, 2), 1)


def test_the_share_of_itself_is_one_without_doubt() -> None:
    one = share(OURS, OURS, 1)
    assert (one.mean, one.low, one.high) == pytest.approx((1, 1, 1))


def test_people_whom_only_one_world_has_count() -> None:
    few = diary([(0, 0, 1, 10.0)], [-1])
    assert share(few, OURS, 1).mean == pytest.approx(10 / 123)


def test_rates_are_by_view() -> None:
    assert rate(OURS, Kind.LIKE, 1).mean == pytest.approx(9 / 49)
    assert rate(OURS, Kind.SHARE, 1).mean == 0


def test_retention() -> None:
    """After a day: of (0, 1), both; of (0, 1, 3, 4), 0 and 3. After two: of (0, 1), one."""
    assert retention(OURS, 1, 1).mean == pytest.approx(4 / 6)
    assert retention(OURS, 2, 1).mean == pytest.approx(1 / 2)
    assert retention(OURS, 1, 1, "new").mean == pytest.approx(1 / 2)
    assert math.isnan(retention(OURS, 7, 1).mean), "the diary is too short"


def test_what_new_people_meet() -> None:
    found = first_day(OURS, 1)
    assert found.seconds_per_view.mean == pytest.approx(8 / 4)
    assert found.seconds_per_view_others.mean == pytest.approx(50 / 15)
    assert (found.views.mean, found.views_others.mean) == pytest.approx((2, 7.5))
    assert found.came_next_day.mean == pytest.approx(1 / 2)
    assert found.came_next_day_others.mean == pytest.approx(1 / 2)


def test_a_diary_of_nobody() -> None:
    nobody = diary([], [])
    assert by_day(nobody).people.tolist() == [0, 0, 0]
    assert math.isnan(share(nobody, nobody, 1).mean)
    assert math.isnan(retention(nobody, 1, 1).mean)
    assert math.isnan(first_day(nobody, 1).views.mean)
    assert math.isnan(rate(nobody, Kind.LIKE, 1).mean)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), max_size=30), st.integers(0, 9))
def test_a_ratio_is_that_of_the_sums(rows: list[tuple[int, int]], seed: int) -> None:
    num, den = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    found = ratio(num, den, seed, 50)
    if den.sum() == 0:
        assert math.isnan(found.mean)
    else:
        assert found.mean == pytest.approx(num.sum() / den.sum())
        assert found.low <= found.high


def test_intervals_of_a_ratio_cover_it() -> None:
    """Of 300 samples of 200 people, about 95 % of the intervals hold the true ratio of 2."""
    random, held = rng(3, "people"), 0
    for k in range(300):
        den = random.gamma(2, 3, 200)
        found = ratio(den * random.gamma(4, 0.5, 200), den, k, 200)
        held += found.low <= 2 <= found.high
    assert 0.91 <= held / 300 <= 0.98
