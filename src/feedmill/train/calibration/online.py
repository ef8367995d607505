"""Calibrators that follow a stream: decayed counts of what was said and what came of it, fitted anew when asked.

A row enters when its label is known (joined, and its window over), with the probability that was served for it before
calibration: predict first, learn later. Counts stand in a grid of buckets by bins of the logit, so the memory does not
grow, an update is a scatter, and every form is the offline fit (``train.calibration.fit``) to the counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from feedmill.core.config import Config
from feedmill.core.errors import ArtifactError, DataError
from feedmill.metrics.calibrators import Calibrator, logit
from feedmill.train.calibration.fit import CalibrationConfig, Observed, fit

Numbers = NDArray[Any]
Doubles = NDArray[np.float64]
LOW, HIGH, WIDTH = -16.2, 16.2, 0.2  # of the logit's bins; ``metrics.calibrators.logit`` stays within
N_BINS = round((HIGH - LOW) / WIDTH)
N, POSITIVE, SAID = range(3)  # what is counted: rows, positives, sum of probabilities


class OnlineConfig(Config, frozen=True):
    """How an online calibrator forgets."""

    half_life_s: Annotated[float, Meta(gt=0, description="a row this many seconds old counts half")] = 86_400.0
    min_rows: Annotated[float, Meta(ge=0, description="decayed rows below which the calibrator at the start stays")] = (
        200.0
    )


class DecayedCounts:
    """The counts of one head.

    Args:
        n_buckets: beside bucket 0.
        counts: float64[n_buckets + 1, N_BINS, 3] as of ``time_ms``, to go on from.
    """

    def __init__(
        self, config: OnlineConfig, n_buckets: int = 0, counts: Doubles | None = None, time_ms: int = 0
    ) -> None:
        shape = (n_buckets + 1, N_BINS, 3)
        self.config, self.n_buckets, self.time_ms = config, n_buckets, time_ms
        self.counts = np.zeros(shape) if counts is None else np.array(counts, np.float64)
        if self.counts.shape != shape:
            raise ArtifactError(f"counts {list(self.counts.shape)}", f"{list(shape)}", "start the calibrator anew")

    def update(
        self,
        labels: Numbers,
        probs: Numbers,
        time_ms: Numbers,
        bucket: Numbers | None = None,
        weight: Numbers | None = None,
    ) -> None:
        """Rows whose label came in, in any order; a late one counts what it would have counted in time.

        Args:
            labels: [n] of 0 and 1; NaN is left out.
            probs: [n] as they were before this calibrator, corrected for down-sampling.
            time_ms: int[n] of the impressions.
            bucket: int[n] in 0..n_buckets.
            weight: [n], 1 / the chance a row was kept with.

        Raises:
            DataError: see ``Observed.of``; or a bucket there is not.
        """
        n = len(labels)
        b = np.zeros(n, np.int64) if bucket is None else np.asarray(bucket, np.int64)
        if len(b) and not 0 <= b.min() <= b.max() <= self.n_buckets:
            raise DataError(f"buckets {b.min()} to {b.max()}", f"0 to {self.n_buckets}")
        newest = max(self.time_ms, int(np.max(time_ms, initial=0)))
        age = (newest - np.asarray(time_ms, np.float64)) / 1e3
        w = (np.ones(n) if weight is None else np.asarray(weight, np.float64)) * self._left(age)
        rows = Observed.of(labels, probs, w, b)
        self.counts *= self._left((newest - self.time_ms) / 1e3 if self.time_ms else 0.0)
        self.time_ms = newest
        at = (rows.bucket, np.floor((logit(rows.probs) - LOW) / WIDTH).astype(np.int64))
        for what, values in ((N, 1.0), (POSITIVE, rows.labels), (SAID, rows.probs)):
            np.add.at(self.counts[..., what], at, rows.weight * values)

    def calibrator(self, config: CalibrationConfig) -> Calibrator | None:
        """What the counts ask for, of the configured kind; none with too few rows or one class only."""
        bucket, at = np.nonzero(self.counts[..., N] > 0)
        n, positive, said = self.counts[bucket, at].T
        if n.sum() < self.config.min_rows:
            return None
        p = np.clip(said / n, 0, 1)
        labels = np.repeat([1.0, 0.0], len(p))
        weight = np.r_[positive, np.maximum(n - positive, 0)]
        rows = Observed.of(labels, np.tile(p, 2), weight, np.tile(bucket, 2))
        return fit(config, rows, self.n_buckets)

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """What a checkpoint keeps: ``counts`` and ``time_ms``."""
        return {"counts": self.counts.copy(), "time_ms": np.array(self.time_ms)}

    @staticmethod
    def of(config: OnlineConfig, arrays: Mapping[str, Numbers]) -> DecayedCounts:
        """The inverse of ``arrays``: goes on as if never stopped.

        Raises:
            ArtifactError: of another shape.
        """
        counts = np.asarray(arrays["counts"], np.float64)
        return DecayedCounts(config, len(counts) - 1, counts, int(arrays["time_ms"]))

    def _left(self, age_s: Any) -> Any:
        return np.exp2(-age_s / self.config.half_life_s)
