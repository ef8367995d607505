"""One column of the stream: how its values were distributed, and whether they are so still."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from feedmill.metrics.stability import stability
from feedmill.samples.guard.config import GuardConfig
from feedmill.samples.guard.outliers import are_usual
from feedmill.samples.guard.windows import Finding

PER_BIN = 20  # values for each bin before a distribution is judged
Counts = list[float]


class Shape(msgspec.Struct):
    """The memory of one distribution; plain data.

    Attributes:
        past: counts of the healthy windows before, oldest first; what of it is unlike the rest does not count.
        pending: counts that are too few, since ``since_ms``.
        is_off: found off, and not found well since.
    """

    past: list[Counts] = []
    pending: Counts = []
    since_ms: int = 0
    is_off: bool = False

    def observe(
        self, name: str, counts: NDArray[np.float64], start_ms: int, config: GuardConfig, *, is_open: bool
    ) -> Finding | None:
        """Judge a window, with those before it that were too small.

        Args:
            is_open: whether the guard is: then nothing becomes the baseline.
        """
        if len(self.pending) == len(counts):
            counts, start_ms = counts + np.array(self.pending), self.since_ms
        n = float(counts.sum())
        if n < PER_BIN * len(counts):
            self.pending, self.since_ms = counts.tolist(), start_ms
            return None
        self.pending = []
        if self.past and len(self.past[0]) != len(counts):
            self.past = []
        if len(self.past) >= config.warm:
            usual, most = _baseline(self.past, config)
            index, chance = stability(usual, smoothed(counts)), 2 * (len(counts) - 1) / n  # what chance gives, twice
            limit = max(config.psi + chance, 2 * most)
            if index >= limit:
                self.is_off = True
                words = f"{name}: its values moved, stability index {index:.2f} (limit {limit:.2f})"
                return Finding(name, index, limit, start_ms, words)
        self.is_off = False
        if not is_open:
            self.past = [*self.past, counts.tolist()][-config.baseline :]
        return None

    def is_well(self, name: str, config: GuardConfig) -> bool:
        """Whether what was last judged is as usual."""
        return not self.is_off

    def settle(self) -> None:
        """The guard has opened or closed: what waits is judged no more."""
        self.pending = []


def _baseline(past: list[Counts], config: GuardConfig) -> tuple[NDArray[np.float64], float]:
    """The shares of the windows that are like the rest, by their distance from the median shares; and how far from
    these the farthest of them was."""
    counts = np.array(past)
    shares = smoothed(counts)
    middle = np.sort(shares, axis=0)[len(past) // 2]
    kept = are_usual(_indexes(middle / middle.sum(), shares).tolist(), config.psi, config.outlier)
    usual = smoothed(counts[kept].sum(axis=0))
    return usual, float(_indexes(usual, shares[kept]).max())


def _indexes(usual: NDArray[np.float64], found: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64[n]: ``stability`` of each row."""
    indexes: NDArray[np.float64] = ((found - usual) * np.log(found / usual)).sum(axis=-1)
    return indexes


def smoothed(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares of counts by bin, the last axis, half a count added to each: no bin is empty."""
    more = counts + 0.5
    shares: NDArray[np.float64] = more / more.sum(axis=-1, keepdims=True)
    return shares
