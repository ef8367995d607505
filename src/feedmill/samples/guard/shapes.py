"""One column of the stream: how its values were distributed, and whether they are so still."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from feedmill.metrics.stability import stability
from feedmill.samples.guard.config import GuardConfig
from feedmill.samples.guard.windows import Finding

PER_BIN = 20  # values for each bin before a distribution is judged
Counts = list[float]


class Shape(msgspec.Struct):
    """The memory of one distribution; plain data.

    Attributes:
        past: counts of the healthy windows before, oldest first; ``indexes``: how far each was from those before it.
        pending: counts that are too few, since ``since_ms``.
        is_off: found off, and not found well since.
    """

    past: list[Counts] = []
    indexes: list[float] = []
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
            self.past, self.indexes = [], []
        index = stability(smoothed(np.sum(self.past, axis=0)), smoothed(counts)) if self.past else 0.0
        chance = 2 * (len(counts) - 1) / n  # what chance alone gives, twice
        limit = max(config.psi + chance, 2 * max(self.indexes, default=0.0))
        if len(self.past) >= config.warm and index >= limit:
            self.is_off = True
            words = f"{name}: its values moved, stability index {index:.2f} (limit {limit:.2f})"
            return Finding(name, index, limit, start_ms, words)
        self.is_off = False
        if not is_open:
            self.past = [*self.past, counts.tolist()][-config.baseline :]
            self.indexes = [*self.indexes, index][-config.baseline :] if len(self.past) > 2 else []
        return None

    def is_well(self, name: str, config: GuardConfig) -> bool:
        """Whether what was last judged is as usual."""
        return not self.is_off

    def settle(self) -> None:
        """The guard has opened or closed: what waits is judged no more."""
        self.pending = []


def smoothed(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares of counts by bin, half a count added to each: no bin is empty."""
    more = counts + 0.5
    shares: NDArray[np.float64] = more / more.sum()
    return shares
