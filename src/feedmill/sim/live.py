"""The one closed loop: people ask, a feed answers, people watch, the feed learns, night falls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext

import numpy as np

from feedmill.core.batches import Mask, Rows, Times
from feedmill.core.errors import DataError
from feedmill.core.progress import progress
from feedmill.sim.config import DAY_MS
from feedmill.sim.day import Sessions
from feedmill.sim.diary import Diary
from feedmill.sim.feed import Feed
from feedmill.sim.recorder import Recorder
from feedmill.sim.views import NOTHING, Asks, Slates
from feedmill.sim.world import World

Look = Callable[[int, Asks, Slates], None]


def live(
    world: World,
    feed: Feed,
    n_days: int,
    *,
    slate: int = 10,
    tick_s: float = 300.0,
    keep: bool = True,
    looks: Sequence[Look] = (),
    what: str = "simulated days",
) -> Diary:
    """Let an audience live with a feed for some days.

    Slates that are due in the same tick are asked for together, each person at most once; who is due again within it
    asks in a further round. So a feed knows of nobody's views that are a tick or more ahead of what it is asked, and
    each is asked and answered for the moment at which the person is there. A session belongs to the day on which it
    began: the night waits for its end. One that would begin while the person is still there does not.

    Args:
        world: new, or as the days before have left it.
        feed: told of everybody and everything that is new before each day.
        slate: slots that people get; what a feed offers beyond is cut off.
        tick_s: seconds of a tick; fewer, and a feed that learns at once learns sooner, in smaller batches.
        keep: keep every view in the diary, 28 bytes each.
        looks: called with the day, the asks and the slates before people see these: the world is as it was when they
            asked.
        what: beside the progress bar; "" = none.

    Returns:
        The days' diary; after Ctrl-C, of those that were over.

    Raises:
        DataError: a feed's slates are not what ``Slates`` says.
    """
    recorder = Recorder(world.config.start_ms + (world.day + 1) * DAY_MS, keep)
    loop = _Loop(world, feed, slate, recorder, looks)
    sessions = Queue(round(tick_s * 1000))
    day = 0
    try:
        with progress(what, n_days) if what else nullcontext(float) as advance:
            for day in range(n_days):
                sessions.add(world.begin_day())
                feed.describe(world.describe())
                loop.day(day, sessions)
                feed.night(world.day)
                world.end_day()
                advance(1)
    except KeyboardInterrupt:
        if not day:
            raise
    return recorder.diary(world.videos.born_ms)


class _Loop:
    def __init__(self, world: World, feed: Feed, slate: int, recorder: Recorder, looks: Sequence[Look]) -> None:
        self._recorder = recorder
        self._world, self._feed, self._slate, self._looks = world, feed, slate, looks

    def day(self, day: int, sessions: Queue) -> None:
        n_videos = len(self._world.videos.ids)
        self._recorder.begin_day(len(self._world.users.ids), n_videos)
        while len(asks := sessions.due()):
            slates = checked(self._feed.slates(asks), asks, self._slate, n_videos)
            for look in self._looks:
                look(day, asks, slates)
            response = self._world.respond(asks, slates)
            self._feed.take(asks, slates, response.views)
            self._recorder.note(asks, response.views, response.expected)
            sessions.back(asks, response.goes_on, response.next_ms)
        self._recorder.end_day()


class Queue:
    """Who asks next.

    Args:
        tick_ms: of those who are due first, everybody in the same tick (multiples of this) is due together.
    """

    def __init__(self, tick_ms: int) -> None:
        self._tick_ms = max(tick_ms, 1)
        self._user: Rows = np.zeros(0, np.int32)
        self._time_ms: Times = np.zeros(0, np.int64)
        self._page: Rows = np.zeros(0, np.int32)
        self._next = 0  # of the sessions, which begin after those who wait
        self._sessions = (self._user, self._time_ms)
        self._until_ms: Times = np.zeros(0, np.int64)  # by person: there until then

    def add(self, sessions: Sessions) -> None:
        """A day's sessions, in order of time; those of the day before are over."""
        self._sessions, self._next = (sessions.user, sessions.time_ms), 0
        n = int(sessions.user.max(initial=-1)) + 1
        more = max(0, n - len(self._until_ms))
        self._until_ms = np.concatenate([self._until_ms, np.zeros(more, np.int64)])

    def due(self) -> Asks:
        """Those of the earliest tick, each person once, in order of time, then person; empty when the day is over."""
        while True:
            self._admit()
            if not len(self._user):
                return Asks(self._user, self._time_ms, self._page)
            end = (int(self._time_ms.min()) // self._tick_ms + 1) * self._tick_ms
            # Whoever is due comes before all that is later; of two of one person the later waits for the next round.
            order = np.lexsort((self._user, self._time_ms))
            order = order[: np.searchsorted(self._time_ms[order], end)]
            first = np.unique(self._user[order], return_index=True)[1]
            rows = order[np.sort(first)]
            is_due = np.zeros(len(self._user), np.bool_)
            is_due[rows] = True
            there = (self._page[rows] == 0) & (self._time_ms[rows] < self._until_ms[self._user[rows]])
            asks = Asks(self._user[rows], self._time_ms[rows], self._page[rows]).take(~there)
            self._keep(~is_due)
            if len(asks):
                return asks

    def back(self, asks: Asks, goes_on: Mask, next_ms: Times) -> None:
        """They have seen their slates; those who go on ask again at ``next_ms``."""
        next_ms = np.maximum(next_ms, asks.time_ms + 1)
        self._until_ms[asks.user] = next_ms
        self._wait(asks.user[goes_on], next_ms[goes_on], asks.page[goes_on] + np.int32(1))

    def _admit(self) -> None:
        """Let sessions in that begin in the earliest tick."""
        user, time_ms = self._sessions
        if self._next == len(user):
            return
        earliest = int(time_ms[self._next])
        if len(self._user):
            earliest = min(earliest, int(self._time_ms.min()))
        end = (earliest // self._tick_ms + 1) * self._tick_ms
        last = int(np.searchsorted(time_ms, end))
        if last > self._next:
            new = slice(self._next, last)
            self._wait(user[new], time_ms[new], np.zeros(last - self._next, np.int32))
            self._next = last

    def _wait(self, user: Rows, time_ms: Times, page: Rows) -> None:
        self._user = np.concatenate([self._user, user])
        self._time_ms = np.concatenate([self._time_ms, time_ms])
        self._page = np.concatenate([self._page, page])

    def _keep(self, rows: Mask) -> None:
        self._user, self._time_ms, self._page = self._user[rows], self._time_ms[rows], self._page[rows]


def checked(slates: Slates, asks: Asks, k: int, n_videos: int) -> Slates:
    """The first k slots.

    Raises:
        DataError: not a row for each ask, rows of no video, or a video twice in one slate.
    """
    item = slates.item
    if item.ndim != 2 or len(item) != len(asks):
        raise DataError(f"slates of shape {item.shape}", f"({len(asks)}, slots): a row for each who asked")
    if item.size and not (item.min() >= NOTHING and item.max() < n_videos):
        raise DataError(f"slates with rows {item.min()} to {item.max()}", f"{NOTHING} (nothing) to {n_videos - 1}")
    ordered = np.sort(item, axis=1)
    if ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] != NOTHING)).any():
        raise DataError("a slate that shows a video twice", "different videos")
    if item.shape[1] <= k and item.dtype == np.int32:
        return slates
    return Slates(np.ascontiguousarray(item[:, :k], np.int32), slates.request_id)
