"""A world: people, videos, and the truth about what they do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
import numpy as np
from msgspec.structs import asdict
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Mask, Rows, Times
from feedmill.core.clock import rng
from feedmill.core.config import convert
from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch
from feedmill.sim import audience, catalogue
from feedmill.sim.config import DAY_MS, WorldConfig
from feedmill.sim.day import Sessions, evening, session_lengths, sessions_of
from feedmill.sim.from_log import fitted
from feedmill.sim.memory import grown, no_memory, see
from feedmill.sim.oracle_kernel import Oracle
from feedmill.sim.views import Asks, Slates, Views
from feedmill.sim.watch import WEIGHTS, Memory, Truth, affinities, means_s, watch_slates


@dataclass(frozen=True, slots=True, eq=False)
class Response:
    """What people made of B slates.

    Attributes:
        views: what a feed is told.
        expected: float32[n] seconds that were to be expected of each view at its moment. Hidden.
        goes_on: bool[B] whether the person asks for another slate in this session.
        next_ms: int64[B] when they do, or when they left.
    """

    views: Views
    expected: Floats
    goes_on: Mask
    next_ms: Times


class World:
    """People who watch videos, and what is true about them: a feed knows nothing of it, an oracle all.

    Rows count from 0 in order of arrival and are never reused. The same seed, and the same slates for the same asks,
    give the same bytes. A day is ``begin_day``, any number of ``respond``, ``end_day``.

    Attributes:
        users, videos: the columns; what is hidden says so there.
        memory: what people have seen, and their satisfaction.
        day: -1 before the first.
        now_ms: the day's midnight.
    """

    def __init__(self, config: WorldConfig, seed: int, people: audience.People, videos: catalogue.Videos) -> None:
        self.config, self.seed, self.users, self.videos = config, seed, people, videos
        self.day, self.now_ms = -1, config.start_ms
        self.memory: Memory = no_memory(len(people), len(videos), config.n_topics)
        self._n_told = self._n_met = 0
        self._gone: list[NDArray[np.int64]] = []
        self._luck = int(rng(seed, "luck").integers(0, 1 << 62))
        self._knows: Oracle | None = None
        self._open()
        self._warm()

    @staticmethod
    def make(config: WorldConfig, seed: int) -> World:
        """Of made people and videos.

        Raises:
            ConfigError: a parameter is out of its range.
        """
        config = convert(msgspec.to_builtins(config), WorldConfig, "world")
        people = audience.make_people(config, seed, 0, config.n_users, -1)
        return World(config, seed, people, catalogue.make_videos(config, seed, 0, config.n_videos, -1))

    @staticmethod
    def from_log(events: EventBatch | Iterable[EventBatch], config: WorldConfig, seed: int) -> World:
        """Of the people and items of a real log, with tastes fitted to what they did: ``from_log.py``.

        Raises:
            ConfigError: a parameter is out of its range.
            DataError: nobody did anything in the log.
        """
        config = convert(msgspec.to_builtins(config), WorldConfig, "world")
        fitted_config, people, videos, user, item = fitted(events, config, seed)
        world = World(fitted_config, seed, people, videos)
        see(world.memory, user, item)
        return world

    @property
    def truth(self) -> Truth:
        """Today's, hidden from every feed but the oracle: regret is counted by it."""
        return self._truth

    def describe(self) -> EventBatch:
        """USER and ITEM events of those who are new since the last call, and of videos that have gone."""
        users, items = np.arange(self._n_met, len(self.users)), np.arange(self._n_told, len(self.videos))
        self._n_met, self._n_told = len(self.users), len(self.videos)
        gone, self._gone = np.concatenate([*self._gone, np.zeros(0, np.int64)]), []
        return EventBatch.concat(
            [
                catalogue.described(self.videos, items, self.now_ms),
                catalogue.taken_down(self.videos, gone, self.now_ms),
                audience.described(self.users, users, self.now_ms),
            ]
        )

    def begin_day(self) -> Sessions:
        """The next day: videos come and go, people join, tastes drift. Who comes today and when, in order of time."""
        self.day += 1
        self.now_ms = self.config.start_ms + self.day * DAY_MS
        if self.day > 0:
            self.users.vector = audience.drifted(self.config, self.users, self.seed, self.day)
            self._arrive()
        self._open()
        return sessions_of(self.config, self.users, self.memory, self.seed, self.day, self.now_ms)

    def end_day(self) -> None:
        """Satisfaction is settled: some leave for good."""
        leaves = evening(self.config, self.users, self.memory, self.seed, self.day, self.now_ms)
        self.users.is_here &= ~leaves

    def affinity(self, user: Rows, item: Rows, time_ms: Times) -> Floats:
        """float32[n] how much each person likes each video, before what they have just seen."""
        return self._affinity(user, item, time_ms, False)

    def expected_s(self, user: Rows, item: Rows, time_ms: Times) -> Floats:
        """float32[n] seconds that each person is to be expected to watch each video if it came next, in the session
        that is going on or was the last: the truth."""
        tired = self._affinity(user, item, time_ms, True)
        out: Floats = means_s(self._truth.curve, tired, self.videos.duration_s[item])
        return out

    def respond(self, asks: Asks, slates: Slates) -> Response:
        """People look at their slates, and remember.

        Raises:
            DataError: as many slates as asks are needed, and rows of videos that there are.
        """
        item, size = np.ascontiguousarray(slates.item, np.int32), slates.item.size
        self._check(asks, item)
        n_asks = len(asks)
        ask, place = np.empty(size, np.int32), np.empty(size, np.int32)
        at_ms, seconds, expected = np.empty(size, np.int64), np.empty(size, np.float32), np.empty(size, np.float32)
        reactions = np.empty(size, np.uint8)
        goes_on, next_ms = np.empty(n_asks, np.bool_), np.empty(n_asks, np.int64)
        n = watch_slates(
            self._truth, self.memory, self._luck, *_columns(asks.user, asks.time_ms, asks.page), item,
            ask, place, at_ms, seconds, expected, reactions, goes_on, next_ms,
        )  # fmt: skip
        ask, place = ask[:n], place[:n]
        views = Views(ask, asks.user[ask], item[ask, place], place, at_ms[:n], seconds[:n], reactions[:n])
        return Response(views, expected[:n], goes_on, next_ms)

    def oracle_slates(self, asks: Asks, k: int) -> Rows:
        """int32[B, k]: greedily the videos of most expected seconds of all that are on; -1 where there are no more."""
        return self._oracle().slates(self.memory, asks.user, asks.time_ms, asks.page, k)

    def expected_all(self, asks: Asks) -> Floats:
        """float32[B, C] seconds to be expected of each of the C videos that are on, in order of row, were it next."""
        return self._oracle().expected(self.memory, asks.user, asks.time_ms, asks.page)

    def _oracle(self) -> Oracle:
        """Today's; made when somebody asks."""
        if self._knows is None:
            self._knows = Oracle(self._truth)
        return self._knows

    @property
    def curve(self) -> NDArray[np.float64]:
        """How affinity and duration become seconds, for the functions of ``watch.py``."""
        return self._truth.curve

    def _affinity(self, user: Rows, item: Rows, time_ms: Times, is_tired: bool) -> Floats:
        user, time_ms, item = _columns(user, time_ms, item)
        out: Floats = affinities(self._truth, self.memory, user, item, time_ms, is_tired)
        return out

    def _check(self, asks: Asks, item: Rows) -> None:
        if len(asks) != len(item):
            raise DataError(f"{len(item)} slates", f"{len(asks)}, one for each ask", "answer each, if with nothing")
        if item.size and item.max() >= len(self.videos):
            raise DataError(f"a slate with the video row {item.max()}", f"rows below {len(self.videos)}",
                            "a feed may show what was described to it")  # fmt: skip

    def _arrive(self) -> None:
        """The day's new people and videos, and the end of the oldest videos."""
        config, seed, day = self.config, self.seed, self.day
        n_new = rng(seed, "arrivals", day).poisson(config.new_users * config.n_users)
        if n_new:
            self.users.add(audience.make_people(config, seed, len(self.users), n_new, day))
        if config.video_days > 0:
            n_born = rng(seed, "births", day).poisson(config.n_videos / config.video_days)
            if n_born:
                self.videos.add(catalogue.make_videos(config, seed, len(self.videos), n_born, day))
            is_old = self.videos.is_on & (self.now_ms - self.videos.born_ms > config.video_days * DAY_MS)
            self.videos.is_on &= ~is_old
            self._gone.append(np.flatnonzero(is_old))
        self.memory = grown(self.memory, len(self.users), len(self.videos))

    def _open(self) -> None:
        """Today's truth in the order of the kernels' arguments."""
        c, u, v = self.config, self.users, self.videos
        flat = asdict(c.taste) | asdict(c.tire) | {"liking": c.habit.liking}
        curve = np.array([c.watch.skip, c.watch.full, c.watch.part, c.watch.again,
                          (c.watch.again_times, c.watch.skip_s, c.watch.skip_power, c.watch.longest_s)])  # fmt: skip
        reacts = np.array([c.react.like, c.react.share, c.react.comment, c.react.follow, c.react.dislike])
        self._truth = Truth(
            u.vector, u.language, u.city, session_lengths(c, u, self.now_ms), v.vector, v.quality, v.fresh_ms,
            v.born_ms, v.duration_s, v.author, v.language, v.city, v.is_on, np.array([flat[w] for w in WEIGHTS]),
            curve, reacts, c.n_topics,
        )  # fmt: skip
        self._knows = None

    def _warm(self) -> None:
        """Compile, or load what was compiled, before the first person asks; nothing is remembered of it."""
        nobody = Asks(np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.int32))
        self.respond(nobody, Slates(np.zeros((0, 1), np.int32)))
        self.expected_s(nobody.user, nobody.user, nobody.time_ms)


def _columns(user: Rows, time_ms: Times, row: Rows) -> tuple[Rows, Times, Rows]:
    """As the kernels are compiled for them: another type or layout would have them compiled again."""
    return (
        np.ascontiguousarray(user, np.int32),
        np.ascontiguousarray(time_ms, np.int64),
        np.ascontiguousarray(row, np.int32),
    )
