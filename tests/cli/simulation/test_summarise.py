"""Figures of diaries written by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cli.simulation.diaries import diary
from feedmill.cli.simulation.summarise import bounds, less_one, new_share, new_videos, waiting
from feedmill.cli.simulation.summary import Bounds
from feedmill.metrics.intervals import Interval


def test_waiting_is_kaplan_and_meiers() -> None:
    """Three new videos of day 1: two have enough after 6 and 30 hours, one waits; one of day 3 is seen for a day."""
    x = diary(arrived=[-1, 1, 1, 3, 1], enough_h=[2, 24 + 6, 24 + 30, -1, -1])
    hours, reached = waiting(x)
    assert hours[:3].tolist() == [0, 3, 6]
    at = dict(zip(hours.tolist(), reached.tolist(), strict=True))
    assert at[3] == 0
    assert at[6] == pytest.approx(1 / 4)
    assert at[27] == pytest.approx(1 / 4)
    assert at[30] == pytest.approx(1 - 3 / 4 * 1 / 2)  # the one of day 3 is no longer watched: one of two at risk
    assert at[72] == at[30]


def test_nobody_waits_where_nothing_is_new() -> None:
    hours, reached = waiting(diary(arrived=[-1, 0], enough_h=[5, 6], n_days=1))
    assert (hours.tolist(), reached.tolist()) == ([0], [0])
    none = new_videos(diary(arrived=[-1], enough_h=[-1], n_days=1), 0)
    assert (none.videos, none.median_hours, none.enough) == (0, None, Bounds())


def test_half_of_the_new_videos_have_enough() -> None:
    found = new_videos(diary(arrived=[1, 1, 1], enough_h=[24 + 3, 24 + 20, -1], videos=[(1, 0, 100), (1, 1, 120)]), 0)
    assert found.videos == 3
    assert found.median_hours == 21  # the first hour of the grid by which two of three have them
    assert found.enough.value == pytest.approx(2 / 3)
    assert found.unseen.value == pytest.approx(1 / 3)


def test_views_of_new_videos_are_those_of_their_first_two_days() -> None:
    x = diary(videos=[(0, 0, 8), (1, 0, 6), (1, 1, 2), (2, 1, 4), (3, 1, 9)], arrived=[-1, 1], enough_h=[-1, -1])
    assert new_share(x).tolist() == [0, 0.25, 1, 0]


def test_bounds_of_one_person_have_no_interval() -> None:
    assert bounds(Interval(3.0, 3.0, 3.0, 1)) == Bounds(3.0)
    assert bounds(Interval(3.0, 2.0, 4.0, 2)) == Bounds(3.0, 2.0, 4.0)
    assert bounds(Interval(np.nan, np.nan, np.nan, 0)) == Bounds()
    assert less_one(Bounds(1.25, 1.0, 1.5)) == Bounds(0.25, 0.0, 0.5)
    assert less_one(Bounds()) == Bounds()
