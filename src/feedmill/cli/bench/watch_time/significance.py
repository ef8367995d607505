"""Which differences are more than chance: users and seeds drawn again together, the same draws for every head."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedmill.cli.bench.watch_time.task import Split
from feedmill.core.clock import rng
from feedmill.metrics.watch_time import SecondsRows, resamples

Numbers = NDArray[np.float64]

N_DRAWS, N_QUICK = 500, 50
N_FIFTHS = 5
OF_ORDER = ("XAUC", "XAUC per user")  # all that can be said of a head that gives no seconds
OF_TRUTH = ("true mean ratio", "true mean error")


class Measured(NamedTuple):
    """A metric of one head, the mean over seeds.

    Attributes:
        value: of all users and seeds once.
        drawn: float64[D] of users and seeds drawn again.
    """

    value: float
    drawn: Numbers

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, by the percentiles."""
        known = self.drawn[~np.isnan(self.drawn)]
        low, high = np.quantile(known, [0.025, 0.975]) if len(known) else (np.nan, np.nan)
        return float(low), float(high)


class Judge:
    """The rows of one part that all heads are held against, and the draws of users and seeds that all share.

    Args:
        lengths: float32[m] durations of the training rows, NaN = unknown, which are cut into fifths.
    """

    def __init__(self, part: Split, lengths: NDArray[np.float32], n_seeds: int, n_draws: int = N_DRAWS) -> None:
        self._part, self._fifth = part, fifths(part.duration, lengths)
        self._user = np.unique(part.user, return_inverse=True)[1]
        self._users = resamples(int(self._user.max()) + 1, n_draws, 0)
        draw = rng(0, "watch time", "seeds")
        self._seeds = draw.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), n_draws).astype(np.float64)

    def __call__(self, predicted: Sequence[NDArray[np.float32]], *, is_seconds: bool) -> dict[str, Measured]:
        """Every metric of the predictions of S seeds; of what is no seconds only those of the order."""
        each = [self._metrics(p) for p in predicted]
        share = self._seeds / self._seeds.sum(axis=1, keepdims=True)
        found = {}
        for name in each[0]:
            if is_seconds or name in OF_ORDER:
                points, drawn = zip(*(m[name] for m in each), strict=True)
                found[name] = Measured(float(np.mean(points)), (np.stack(drawn, axis=1) * share).sum(axis=1))
        return found

    def _metrics(self, predicted: NDArray[np.float32]) -> dict[str, tuple[float, Numbers]]:
        """Of one seed: the metric, and float64[D] of users drawn again."""
        p = predicted.astype(np.float64)
        rows = SecondsRows(self._part.seconds, p, self._part.user, self._fifth, N_FIFTHS)
        points, drawn = rows.metrics()[0], rows.metrics(self._users)
        found = {name: (float(points[m]), drawn[:, m]) for m, name in enumerate(rows.names)}
        truth = self._part.true_mean
        if truth is not None:
            for name, above in zip(OF_TRUTH, (p, np.abs(p - truth)), strict=True):
                sums = np.stack([np.bincount(self._user, x) for x in (above, truth)], axis=1)
                again = self._users @ sums
                found[name] = float(above.sum() / truth.sum()), again[:, 0] / again[:, 1]
        return found


class Difference(NamedTuple):
    """A head against another: by how much, 95 %, and the chance of as much by chance, corrected by Holm."""

    value: float
    low: float
    high: float
    p: float


def differences(measured: Mapping[str, Measured], against: str) -> dict[str, Difference]:
    """Each head's metric less that of one, and p of all these comparisons together (Holm 1979)."""
    found: dict[str, tuple[Measured, float]] = {}
    for name, m in measured.items():
        if name != against:
            less = Measured(m.value - measured[against].value, m.drawn - measured[against].drawn)
            found[name] = less, chance(less)
    corrected = holm([p for _, p in found.values()])
    return {
        name: Difference(less.value, *less.interval, p)
        for (name, (less, _)), p in zip(found.items(), corrected, strict=True)
    }


def chance(difference: Measured) -> float:
    """Two-sided p of a difference of 0, by the normal distribution with the draws' standard deviation.

    Counting draws on the other side of 0 cannot tell p below 1 / D, too coarse for as many comparisons as there are.
    """
    spread = float(np.nanstd(difference.drawn))
    if not spread:
        return 1.0 if difference.value == 0 else 0.0
    return math.erfc(abs(difference.value) / spread / math.sqrt(2))


def holm(p: Sequence[float]) -> list[float]:
    """p-values of m comparisons so that the chance of any false one stays at the level (Holm 1979)."""
    out, largest = [0.0] * len(p), 0.0
    for rank, i in enumerate(np.argsort(p, kind="stable").tolist()):
        largest = max(largest, min(1.0, (len(p) - rank) * p[i]))
        out[i] = largest
    return out


def fifths(duration: NDArray[np.float32], lengths: NDArray[np.float32]) -> NDArray[np.int64]:
    """int64[n] the fifth of ``lengths`` that each duration lies in, 0 = the shortest; -1 where it is not known."""
    known = lengths[~np.isnan(lengths)]
    if not len(known):
        return np.full(len(duration), -1)
    edges = np.quantile(known, np.arange(1, N_FIFTHS) / N_FIFTHS)
    return np.where(np.isnan(duration), -1, np.searchsorted(edges, duration, side="right"))
