"""The exposure at which seconds watched are calibrated, and the real figures.

Figures say how people watch what a feed of theirs shows them, so they hold at some affinity, and it is not known at
which. Here they are taken to hold where a feed shows people, of four random videos, the one they like best: better
than chance, far from an oracle. Durations are those of SegMM's views (He et al., SIGIR 2025, arXiv 2504.04237): a
fifth of them within each of ``EDGES_S``, even in their logarithm.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Floats
from feedmill.core.clock import rng
from feedmill.core.events import EventBatch
from feedmill.sim.views import NOTHING, Asks, Slates, Views
from feedmill.sim.watch import draws_s
from feedmill.sim.world import World

BEST_OF = 4
EDGES_S = (5.0, 10.0, 16.0, 32.0, 64.0, 200.0)


class Fifth(NamedTuple):
    """Seconds watched of a fifth of the views, by duration."""

    mean_s: float
    median_s: float
    to_the_end: float
    within_3_s: float
    over_1_5_times: float


SEGMM = (
    Fifth(9.6, 8.3, 0.55, 0.21, 0.25),
    Fifth(11.8, 10.7, 0.42, 0.24, 0.15),
    Fifth(15.2, 10.3, 0.33, 0.28, 0.08),
    Fifth(21.9, 12.0, 0.24, 0.29, 0.02),
    Fifth(35.6, 11.2, 0.11, 0.26, 0.01),
)
"""What 10,000 real views are like."""
SEGMM_MEAN_S = 18.8
SEGMM_QUANTILES_S = {0.1: 1.4, 0.25: 2.9, 0.5: 9.5, 0.75: 22.8, 0.9: 47.7, 0.99: 132.0}


def reference_views(world: World, seed: int, n: int) -> tuple[Floats, Floats]:
    """float32[n] durations and float32[n] seconds watched, of people who have not seen anything today."""
    random = rng(seed, "reference")
    user = random.integers(0, len(world.users), n).astype(np.int32)
    item = random.choice(np.flatnonzero(world.videos.is_on), (BEST_OF, n)).astype(np.int32)
    time_ms = np.full(n, world.now_ms)
    best = np.max([world.affinity(user, row, time_ms) for row in item], axis=0)
    edges, fifth = np.log(EDGES_S), random.integers(0, len(SEGMM), n)
    duration_s = np.exp(edges[fifth] + random.random(n) * np.diff(edges)[fifth]).astype(np.float32)
    return duration_s, draws_s(world.curve, best, duration_s, seed)


def by_fifth(duration_s: NDArray[np.floating], seconds: NDArray[np.floating]) -> tuple[Fifth, ...]:
    """What views are like, as ``SEGMM`` has it."""
    fifth = np.digitize(duration_s, EDGES_S[1:-1])
    return tuple(
        Fifth(
            float(watched.mean()),
            float(np.median(watched)),
            float((watched >= whole).mean()),
            float((watched < 3).mean()),
            float((watched > 1.5 * whole).mean()),
        )
        for watched, whole in ((seconds[fifth == k], duration_s[fifth == k]) for k in range(len(SEGMM)))
    )


class ReferenceFeed:
    """The exposure above as a feed: in each slot, of four random videos the one that the person likes best."""

    def __init__(self, world: World, seed: int, slots: int = 10) -> None:
        self._world, self._seed, self._slots, self._n_asked = world, seed, slots, 0

    def describe(self, events: EventBatch) -> None:
        """The world knows."""

    def slates(self, asks: Asks) -> Slates:
        """int32[B, slots]; what is drawn twice is left out."""
        n, slots = len(asks), self._slots
        self._n_asked += 1
        on = np.flatnonzero(self._world.videos.is_on).astype(np.int32)
        if not len(on):
            return Slates(np.full((n, slots), NOTHING, np.int32))
        drawn = rng(self._seed, "reference feed", self._n_asked).integers(0, len(on), (n, slots, BEST_OF))
        item = on[drawn]
        liked = self._world.affinity(
            np.repeat(asks.user, slots * BEST_OF), item.ravel(), np.repeat(asks.time_ms, slots * BEST_OF)
        )
        best = np.take_along_axis(item, liked.reshape(item.shape).argmax(axis=2)[:, :, None], axis=2)[:, :, 0]
        is_again = np.tril(best[:, :, None] == best[:, None, :], -1).any(axis=2)
        return Slates(np.where(is_again, NOTHING, best).astype(np.int32))

    def take(self, asks: Asks, slates: Slates, views: Views) -> None:
        """Nothing is learned."""

    def night(self, day: int) -> None:
        """Nothing is learned."""
