"""Figures of videos, of diaries written by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from audiences import START_MS, asks, views
from feedmill.core.errors import DataError
from feedmill.sim.config import DAY_MS, HOUR_MS
from feedmill.sim.diary import ENOUGH, Diary
from feedmill.sim.figures_videos import by_age, diversity, new_videos
from feedmill.sim.recorder import Recorder
from feedmill.sim.views import Views

# Videos 0 and 1 are old; 2 and 3 arrive on day 1, 4 on day 3.
BORN = START_MS + np.array([-5, -1, 0, 0, 2], np.int64) * DAY_MS + np.array([0, 0, HOUR_MS, HOUR_MS, HOUR_MS])
DAYS: list[list[tuple[int, int]]] = [[(0, 3)], [(0, 40), (2, 60)], [(1, 20), (2, 60)], [(2, 1), (4, 16)]]


def written(keep: bool = False) -> Diary:
    """(video, views) of each day; the k-th view of a day is k seconds after midnight, and 2 seconds are expected."""
    recorder = Recorder(START_MS, keep)
    for day, n_videos in enumerate((2, 4, 4, 5)):
        recorder.begin_day(1, n_videos)
        seen = views([(0, 0, item, 1.0) for item, n in DAYS[day] for _ in range(n)])
        late = Views(
            seen.ask, seen.user, seen.item, seen.position, seen.time_ms + day * DAY_MS, seen.seconds, seen.reactions
        )
        recorder.note(asks([0]), late, np.full(len(seen), 2, np.float32))
        recorder.end_day()
    return recorder.diary(BORN)


def test_views_by_age() -> None:
    """Whole days at the midnight before: 60 views at day 0, 60 at 1, one at 2, 16 at 0; 20 at 3; 3 at 5, 40 at 6."""
    ages = by_age(written(), 4)
    np.testing.assert_allclose(ages.share, np.array([76, 60, 1, 63]) / 200)
    np.testing.assert_allclose(ages.seconds, 2)
    with pytest.raises(DataError, match="0 classes"):
        by_age(written(), 0)


def test_new_videos() -> None:
    """2 has its 100th view on the second day after 60 + 20 + 40 views of these days; 3 has none; 4 came too late."""
    found = new_videos(written(), 1)
    assert found.n == 2
    assert found.shown.mean == 0.5
    assert found.enough.mean == 0.5
    assert ENOUGH == 100
    assert found.hours_to_enough == pytest.approx(24 + 59 / 3600)
    assert found.share_of_views == pytest.approx((60 + 60 + 16) / 197)


def test_a_chance_that_comes_too_late_is_none() -> None:
    found = new_videos(written(), 1, days=1)
    assert found.n == 3
    assert found.enough.mean == 0
    assert math.isnan(found.hours_to_enough)
    assert found.shown.mean == pytest.approx(2 / 3)


def test_no_new_videos() -> None:
    recorder = Recorder(START_MS, keep=True)
    recorder.begin_day(1, 1)
    recorder.end_day()
    found = new_videos(recorder.diary(BORN[:1]), 1)
    assert found.n == 0
    assert math.isnan(found.enough.mean)
    assert math.isnan(found.share_of_views)


def test_diversity_of_slates_and_of_the_catalogue() -> None:
    """Slate 0: videos 0, 1, 2 with topics a, a, b: pairs are 0, 1, 1 apart. Slate 1 has one video and says nothing."""
    recorder = Recorder(START_MS, keep=True)
    recorder.begin_day(2, 4)
    seen = views([(0, 0, 0, 1.0), (0, 0, 1, 1.0), (0, 0, 2, 1.0), (1, 1, 0, 1.0)])
    recorder.note(asks([0, 1]), seen, np.ones(4, np.float32))
    recorder.end_day()
    topics = np.array([[0, -1], [0, -1], [1, -1], [1, -1]], np.int16)
    found = diversity(recorder.diary(BORN[:4]), topics, np.array([0, 0, 0, 1], np.int32), 1)
    assert found.topics_apart.mean == pytest.approx(2 / 3)
    assert found.topics_apart.n == 1
    assert (found.n_topics.mean, found.n_authors.mean) == (2, 1)
    assert found.coverage == 0.75
    assert found.gini == pytest.approx(0.375)  # of 2, 1, 1, 0


def test_diversity_needs_the_views() -> None:
    with pytest.raises(DataError, match="without views"):
        diversity(written(), np.zeros((5, 1), np.int16), np.zeros(5, np.int32), 1)


def test_a_sample_of_slates() -> None:
    found = diversity(written(keep=True), np.zeros((5, 1), np.int16), np.arange(5, dtype=np.int32), 1, n_slates=2)
    assert found.topics_apart.n == 2
