"""The diary of a morning written by hand."""

from __future__ import annotations

import numpy as np

from audiences import START_MS, asks, views
from feedmill.core.events import Kind
from feedmill.sim.config import DAY_MS
from feedmill.sim.diary import ENOUGH, Diary, columns
from feedmill.sim.recorder import Recorder

BORN = np.array([START_MS - DAY_MS, START_MS - 1, START_MS], np.int64)


def written(keep: bool = True) -> Diary:
    """Day 0: persons 1 and 0, two pages of 1; day 1: a third person and a third video."""
    recorder = Recorder(START_MS, keep)
    recorder.begin_day(2, 2)
    seen = views([(0, 1, 0, 5.0), (0, 1, 1, 2.0), (1, 0, 1, 1.0)], [1, 0b10001, 0])
    recorder.note(asks([1, 0]), seen, np.array([4, 4, 4], np.float32))
    recorder.note(asks([1], page=[1]), views([(0, 1, 0, 7.0)]), np.array([8], np.float32))
    recorder.end_day()
    recorder.begin_day(3, 3)
    recorder.note(asks([2]), views([(0, 2, 2, 3.0)]), np.array([9], np.float32))
    recorder.end_day()
    return recorder.diary(BORN)


def test_sums_by_day_and_person() -> None:
    rows = written().people
    assert rows.day.tolist() == [0, 0, 1]
    assert rows.user.tolist() == [0, 1, 2]
    assert rows.sessions.tolist() == [1, 1, 1]
    assert rows.pages.tolist() == [1, 2, 1]
    assert rows.views.tolist() == [1, 3, 1]
    assert rows.seconds.tolist() == [1, 14, 3]
    assert rows.expected.tolist() == [4, 16, 9]
    assert rows.did(Kind.LIKE).tolist() == [0, 2, 0]
    assert rows.did(Kind.DISLIKE).tolist() == [0, 1, 0]


def test_sums_by_day_and_video() -> None:
    rows = written().videos
    assert rows.day.tolist() == [0, 0, 1]
    assert rows.item.tolist() == [0, 1, 2]
    assert rows.views.tolist() == [2, 2, 1]
    assert rows.seconds.tolist() == [12, 3, 3]
    assert rows.expected.tolist() == [12, 8, 9]


def test_every_view() -> None:
    rows = written().views
    assert rows is not None
    assert rows.day.tolist() == [0, 0, 0, 0, 1]
    assert rows.ask.tolist() == [0, 0, 1, 2, 3], "slates are counted through"
    assert rows.position.tolist() == [0, 1, 0, 0, 0]
    assert rows.time_s.tolist() == [0, 1, 2, 0, 0]
    assert rows.reactions.tolist() == [1, 0b10001, 0, 0, 0]
    assert rows.item.dtype == np.int32
    assert sum(column.itemsize for column in columns(rows).values()) == 28
    assert rows.day.dtype == np.int16


def test_who_is_new() -> None:
    diary = written()
    assert diary.joined_day.tolist() == [-1, -1, 1], "those of the first morning were there before"
    assert diary.arrived_day.tolist() == [-1, -1, 1]
    assert diary.age_days(np.array([0, 1, 2]), np.array([0, 0, 1])).tolist() == [1, 0, 1]


def test_the_hundredth_view_is_noted_once() -> None:
    recorder = Recorder(START_MS, keep=False)
    recorder.begin_day(1, 2)
    many = views([(0, 0, 1, 1.0)] * (ENOUGH + 5) + [(0, 0, 0, 1.0)] * (ENOUGH - 1))
    recorder.note(asks([0]), many, np.ones(len(many), np.float32))
    recorder.end_day()
    diary = recorder.diary(BORN[:2])
    assert diary.enough_ms.tolist() == [-1, START_MS + 1000 * (ENOUGH - 1)]
    assert diary.views is None


def test_a_digest_knows_every_column() -> None:
    assert written().digest() == written().digest() != written(keep=False).digest()


def test_days_on_which_nothing_happens() -> None:
    recorder = Recorder(START_MS, keep=True)
    for _ in range(2):
        recorder.begin_day(0, 0)
        recorder.end_day()
    diary = recorder.diary(np.zeros(0, np.int64))
    assert (diary.n_days, len(diary.people), len(diary.videos)) == (2, 0, 0)
    assert diary.people.reactions.shape == (0, 5)
