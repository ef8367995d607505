"""What a slate costs a person at the moment: the same person, at the same time, with the oracle's slate instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Mask, Rows, Times
from feedmill.core.errors import ConfigError
from feedmill.metrics.intervals import Interval
from feedmill.sim.feeds.kernels import seed_of
from feedmill.sim.figures import ratio
from feedmill.sim.views import Asks, Slates
from feedmill.sim.watch import REFERENCE, WEIGHTS, _remember, mean_s, one_affinity, tiredness
from feedmill.sim.world import World

LIKING = WEIGHTS.index("liking")
STRETCH_MS = 300_000  # asks of the same five minutes are sampled together: the oracle looks at many at little more cost


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """n asks that were looked at; seconds are float32[n] that the truth expects.

    Attributes:
        day, user: int32[n].
        item, best: int32[n, K] the slate of the feed, and the oracle's.
        seconds, best_seconds: of the slate, were it watched to its end.
        stayed, best_stayed: of what comes before the person leaves.
    """

    day: Rows
    user: Rows
    item: Rows
    best: Rows
    seconds: Floats
    best_seconds: Floats
    stayed: Floats
    best_stayed: Floats

    def __len__(self) -> int:
        return len(self.day)


class Regret:
    """Looks at a share of the asks while an audience lives with a feed; changes nothing.

    Hand it to ``live`` among ``looks``.

    Args:
        world: the one that is lived in.
        seed: of the sample, which is of stretches of five minutes with all their asks.
        sampled: share of the stretches.

    Raises:
        ConfigError: a share that is not above 0 and at most 1.
    """

    def __init__(self, world: World, seed: int, sampled: float = 0.02) -> None:
        if not 0 < sampled <= 1:
            raise ConfigError(f"a sample of {sampled} of the asks", "above 0 and at most 1")
        self._world, self._seed, self._sampled = world, seed, sampled
        self._rows: list[tuple[NDArray[Any], ...]] = []

    def __call__(self, day: int, asks: Asks, slates: Slates) -> None:
        """Before people see their slates."""
        rows = np.flatnonzero(chosen(self._seed, asks.time_ms, self._sampled))
        if not len(rows):
            return
        asks, item = asks.take(rows), slates.item[rows]
        best = self._world.oracle_slates(asks, item.shape[1])
        seconds = (*slate_seconds(self._world, asks, item), *slate_seconds(self._world, asks, best))
        self._rows.append((np.full(len(rows), day, np.int32), asks.user, item, best, *seconds))

    def sample(self) -> Sample:
        """All that was looked at; slates of different widths are filled up with nothing."""
        width = max((row[2].shape[1] for row in self._rows), default=0)
        none = (*(np.zeros(0, np.int32),) * 2, *(np.zeros((0, width), np.int32),) * 2, *(np.zeros(0, np.float32),) * 4)
        rows = [(*row[:2], _wide(row[2], width), _wide(row[3], width), *row[4:]) for row in self._rows]
        day, user, item, best, *seconds = (np.concatenate(x) for x in zip(none, *rows, strict=True))
        whole, stayed, best_whole, best_stayed = seconds
        return Sample(day, user, item, best, whole, best_whole, stayed, best_stayed)


def share_now(sample: Sample, seed: int, first: int = 0, last: int | None = None, *, leaving: bool = False) -> Interval:
    """The slates' seconds over the oracle's for the same people at the same moments; an interval over people.

    Args:
        first, last: days, both of them too; None = the last there is.
        leaving: of what people see before they leave, so that a slate that holds them counts for more; else of whole
            slates.
    """
    ours, best = (sample.stayed, sample.best_stayed) if leaving else (sample.seconds, sample.best_seconds)
    within = (sample.day >= first) & (sample.day <= (sample.day.max(initial=0) if last is None else last))
    user = sample.user[within]
    return ratio(np.bincount(user, ours[within]), np.bincount(user, best[within]), seed)


def share_now_by_day(sample: Sample, seed: int, n_days: int, *, leaving: bool = False) -> list[Interval]:
    """``share_now`` of each day; NaN where none was sampled."""
    return [share_now(sample, seed, day, day, leaving=leaving) for day in range(n_days)]


def slate_seconds(world: World, asks: Asks, item: Rows) -> tuple[Floats, Floats]:
    """Seconds that the truth expects of slates, shown to these people now; float32[B] each.

    Every slot is as tiring as those before it make it. Whom one may come to follow on the way is left out.

    Args:
        item: int32[B, K].

    Returns:
        Of whole slates, and of what comes before the person leaves.
    """
    whole, stayed = np.zeros(len(asks), np.float32), np.zeros(len(asks), np.float32)
    item = np.ascontiguousarray(item, np.int32)
    expect_slates(world.truth, world.memory, asks.user, asks.time_ms, asks.page, item, whole, stayed)
    return whole, stayed


def _wide(item: Rows, width: int) -> Rows:
    return np.pad(item, ((0, 0), (0, width - item.shape[1])), constant_values=-1)


@njit(cache=True, nogil=True)
def chosen(seed: Any, time_ms: Times, share: float) -> Mask:
    """bool[B]: which asks are in the sample, by their time and nothing else."""
    out = np.empty(len(time_ms), np.bool_)
    for b in range(len(time_ms)):
        out[b] = seed_of(seed, 0, time_ms[b] // STRETCH_MS) >> np.uint64(11) < share * 9007199254740992.0
    return out


@njit(cache=True, nogil=True)
def expect_slates(
    truth: Any, memory: Any, user: Rows, time_ms: Times, page: Rows, slates: Rows, whole: Floats, stayed: Floats
) -> None:
    """Walk through each slate as ``watch_slates`` does, with expectations for chance, and forget it again."""
    n_slots = slates.shape[1]
    bits = np.zeros(n_slots, np.uint8)
    for b in range(len(user)):
        u, now, stays = user[b], time_ms[b], 1.0
        counts = (memory.n_views[u], memory.in_session[u], memory.n_today[u], memory.last_ms[u], memory.pleasure[u])
        topics, authors = memory.topics[u].copy(), memory.authors[u].copy()
        if page[b] == 0:
            memory.in_session[u] = 0
        for k in range(n_slots):
            i = slates[b, k]
            if i < 0 or not truth.is_on[i]:
                continue
            bits[k] = memory.seen[u, i >> 3]
            a = one_affinity(truth, memory, u, i, now) - tiredness(truth, memory, u, i, now)
            seconds = mean_s(truth.curve, a, truth.duration_s[i])
            whole[b] += seconds
            stayed[b] += stays * seconds
            liked = max(-2.0, min(2.0, a - REFERENCE))
            stays *= 1.0 - min(1.0, np.exp(-truth.weights[LIKING] * liked) / truth.stay[u])
            _remember(truth, memory, u, i, now, liked)
            now += np.int64(1000.0 * seconds) + 1000
        for k in range(n_slots - 1, -1, -1):  # from the end: two videos may share a byte
            i = slates[b, k]
            if i >= 0 and truth.is_on[i]:
                memory.seen[u, i >> 3] = bits[k]
        memory.topics[u], memory.authors[u] = topics, authors
        memory.n_views[u], memory.in_session[u], memory.n_today[u], memory.last_ms[u], memory.pleasure[u] = counts
