"""What most people watch for long at the moment, the same for everyone."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from feedmill.core.batches import Mask, Rows
from feedmill.core.clock import rng
from feedmill.core.config import Config
from feedmill.core.events import EventBatch
from feedmill.sim.config import DAY_MS, HOUR_MS
from feedmill.sim.feeds.catalogue import Catalogue
from feedmill.sim.feeds.chance import Memory, Slots
from feedmill.sim.feeds.kernels import by_order
from feedmill.sim.feeds.recent import Recent
from feedmill.sim.views import Asks, Slates, Views

LongSeconds = Annotated[
    float, Meta(gt=0, description="seconds that make a view a long one; watching a shorter video to its end does too")
]


class PopularConfig(Config, frozen=True, kw_only=True):
    """What counts, and for how long."""

    slots: Slots = 10
    memory: Memory = 1000
    long_s: LongSeconds = 18.0
    half_life_days: Annotated[float, Meta(ge=0.1, description="days in which the weight of a long view halves")] = 3.0
    every_s: Annotated[float, Meta(ge=0, description="seconds that an order of the videos is kept")] = 3600.0


class PopularFeed:
    """The most long views of late, of what a person has not seen.

        score(i) = sum over the long views of i of 2^(-age / half-life)

    Equal scores, such as those of videos that nobody has watched yet, stand in an order drawn from the seed.

    Attributes:
        order: int32[n] rows of the videos that may be shown, best first.
    """

    Config = PopularConfig

    def __init__(self, config: PopularConfig, seed: int) -> None:
        self.config, self._seed = config, seed
        self.catalogue, self.seen = Catalogue(), Recent(config.memory)
        self.order: Rows = np.zeros(0, np.int32)
        self._score: NDArray[np.float64] = np.zeros(0)
        self._tie: NDArray[np.float64] = np.zeros(0)
        self._as_of_ms = self._ordered_ms = 0

    def describe(self, events: EventBatch) -> None:
        """New videos begin without a view, behind all that have one."""
        self.catalogue.take(events)
        n = len(self.catalogue)
        self._tie = np.concatenate([self._tie, rng(self._seed, "ties", n).random(n - len(self._tie))])
        self._score = np.concatenate([self._score, np.zeros(n - len(self._score))])
        self._put_in_order(self._ordered_ms)

    def slates(self, asks: Asks) -> Slates:
        """The first that each has not seen."""
        self.ready(asks)
        is_on, seen = self.catalogue.is_on, self.seen
        return Slates(by_order(asks.user, self.order, is_on, seen.item, seen.n, self.config.slots))

    def ready(self, asks: Asks) -> None:
        """Make room for those who ask, and put the videos in order again if it is time."""
        self.seen.has(asks.user)
        now_ms = int(asks.time_ms.max(initial=0))
        if now_ms - self._ordered_ms >= self.config.every_s * 1000:
            self._put_in_order(now_ms)

    def take(self, asks: Asks, slates: Slates, views: Views) -> None:
        """Count long views."""
        self.count(views)

    def count(self, views: Views) -> Mask:
        """Count; bool[n] says which views were long."""
        self.seen.note(views.user, views.item)
        is_long = self.catalogue.long_views(views.item, views.seconds, self.config.long_s)
        if len(views):
            self._fade_to(int(views.time_ms.max()))
            age_days = (self._as_of_ms - views.time_ms[is_long]) / DAY_MS
            np.add.at(self._score, views.item[is_long], np.exp2(-age_days / self.config.half_life_days))
        return is_long

    def night(self, day: int) -> None:
        """Nothing is left for the night."""

    def _fade_to(self, time_ms: int) -> None:
        """Bring scores up to date once an hour: in between, what is newer weighs more than 1."""
        if time_ms - self._as_of_ms >= HOUR_MS:
            self._score *= np.exp2((self._as_of_ms - time_ms) / DAY_MS / self.config.half_life_days)
            self._as_of_ms = time_ms

    def _put_in_order(self, now_ms: int) -> None:
        on = self.catalogue.on
        self.order = on[np.lexsort((self._tie[on], -self._score[on]))]
        self._ordered_ms = now_ms
