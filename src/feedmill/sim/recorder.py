"""Writes the diary while people watch: sums in compiled code, columns put together once a day."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Rows, Times
from feedmill.sim.diary import ENOUGH, Diary, PersonDays, VideoDays, ViewRows
from feedmill.sim.views import REACTIONS, Asks, Views

N_SUMS = 5 + len(REACTIONS)
SESSIONS, PAGES, VIEWS, SECONDS, EXPECTED, REACTED = range(6)


class Recorder:
    """One run's diary.

    Args:
        start_ms: midnight of day 0.
        keep: keep every view, 28 bytes each.
    """

    def __init__(self, start_ms: int, keep: bool) -> None:
        self._start_ms, self._keep = start_ms, keep
        self._day = self._n_asks = 0
        self._over: tuple[Rows, Rows, Times] = (NO_VIDEOS[0], NO_VIDEOS[0], np.zeros(0, np.int64))
        self._people: NDArray[np.float64] = np.zeros((0, N_SUMS))  # of today
        self._videos: NDArray[np.float64] = np.zeros((0, 3))  # of today: views, seconds, expected
        self._n_views: Rows = np.zeros(0, np.int32)  # of each video ever
        self._enough_ms: Times = np.zeros(0, np.int64)
        self._joined_day: Rows = np.zeros(0, np.int32)
        self._arrived_day: Rows = np.zeros(0, np.int32)
        self._today: list[tuple[NDArray[Any], ...]] = []
        self._days: list[tuple[NDArray[Any], ...]] = []
        self._person_days: list[tuple[NDArray[Any], ...]] = []
        self._video_days: list[tuple[NDArray[Any], ...]] = []

    def begin_day(self, n_users: int, n_videos: int) -> None:
        """There are so many people and videos now."""
        self._people, self._videos = np.zeros((n_users, N_SUMS)), np.zeros((n_videos, 3))
        arrives = self._day if self._day else -1
        self._joined_day = _longer(self._joined_day, n_users, arrives)
        self._arrived_day = _longer(self._arrived_day, n_videos, arrives)
        self._n_views = _longer(self._n_views, n_videos, 0)
        self._enough_ms = _longer(self._enough_ms, n_videos, -1)

    def note(self, asks: Asks, views: Views, expected: Floats) -> None:
        """What became of some slates; ``expected`` float32[n] seconds."""
        what = (views.user, views.item, views.time_ms, views.seconds, expected, views.reactions)
        add_up(asks.user, asks.page, *what, self._people, self._videos, self._n_views, self._enough_ms)
        if self._keep:
            time_s = ((views.time_ms - self._start_ms) // 1000).astype(np.int32)
            place = views.position.astype(np.uint8)
            ask = views.ask + np.int32(self._n_asks)
            self._today.append((ask, views.user, views.item, place, time_s, views.seconds, expected, views.reactions))
        self._n_asks += len(asks)

    def end_day(self) -> None:
        """Put the day's columns together."""
        user = np.flatnonzero(self._people[:, PAGES]).astype(np.int32)
        item = np.flatnonzero(self._videos[:, 0]).astype(np.int32)
        whole = self._people[user]
        counts = whole.astype(np.int32)
        day = np.int32(self._day)
        sums = (whole[:, SECONDS], whole[:, EXPECTED], counts[:, REACTED:])
        self._person_days.append((np.full(len(user), day), user, *counts[:, :SECONDS].T, *sums))
        shown = self._videos[item]
        self._video_days.append((np.full(len(item), day), item, shown[:, 0].astype(np.int32), shown[:, 1], shown[:, 2]))
        if self._today:
            today = [np.concatenate(x) for x in zip(*self._today, strict=True)]
            self._days.append((np.full(len(today[0]), day, np.int16), *today))
            self._today = []
        self._over = (self._joined_day, self._arrived_day, self._enough_ms.copy())
        self._day += 1

    def diary(self, born_ms: Times) -> Diary:
        """The days that are over.

        Args:
            born_ms: int64[M] of the world's videos; those that came later are left out.
        """
        joined_day, arrived_day, enough_ms = self._over
        views = ViewRows(*_together(self._days, NO_VIEWS)) if self._keep else None
        return Diary(
            n_days=self._day,
            start_ms=self._start_ms,
            people=PersonDays(*_together(self._person_days, NO_PEOPLE)),
            videos=VideoDays(*_together(self._video_days, NO_VIDEOS)),
            views=views,
            joined_day=joined_day,
            arrived_day=arrived_day,
            born_ms=born_ms[: len(arrived_day)].copy(),
            enough_ms=enough_ms,
        )


def _none(*types: Any) -> tuple[NDArray[Any], ...]:
    return tuple(np.zeros(0, t) for t in types)


_I, _F = np.int32, np.float64
NO_PEOPLE = (*_none(_I, _I, _I, _I, _I, _F, _F), np.zeros((0, len(REACTIONS)), np.int32))
NO_VIDEOS = _none(_I, _I, _I, _F, _F)
NO_VIEWS = _none(np.int16, _I, _I, _I, np.uint8, _I, np.float32, np.float32, np.uint8)


def _longer(column: NDArray[Any], n: int, value: int) -> NDArray[Any]:
    return np.concatenate([column, np.full(n - len(column), value, column.dtype)])


def _together(parts: list[tuple[NDArray[Any], ...]], nothing: tuple[NDArray[Any], ...]) -> list[NDArray[Any]]:
    return [np.concatenate(x) for x in zip(nothing, *parts, strict=True)]


@njit(cache=True, nogil=True)
def add_up(
    asker: Rows,
    page: Rows,
    user: Rows,
    item: Rows,
    time_ms: Times,
    seconds: Floats,
    expected: Floats,
    reactions: NDArray[np.uint8],
    people: NDArray[np.float64],
    videos: NDArray[np.float64],
    n_views: Rows,
    enough_ms: Times,
) -> None:
    """Add B asks and n views to the sums; the last four arguments are changed."""
    for b in range(len(asker)):
        people[asker[b], SESSIONS] += page[b] == 0
        people[asker[b], PAGES] += 1
    for v in range(len(user)):
        u, i = user[v], item[v]
        people[u, VIEWS] += 1
        people[u, SECONDS] += seconds[v]
        people[u, EXPECTED] += expected[v]
        for bit in range(people.shape[1] - REACTED):
            people[u, REACTED + bit] += reactions[v] >> bit & 1
        videos[i, 0] += 1
        videos[i, 1] += seconds[v]
        videos[i, 2] += expected[v]
        n_views[i] += 1
        if n_views[i] == ENOUGH:
            enough_ms[i] = time_ms[v]
