"""What every head is measured on: rows with their features, split once, the same for all."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Floats, ProbeBatch, Rows, SampleBatch
from feedmill.features import FeatureBatch, FeatureSpec

WATCH = "watch_s"
NAMES = ("known", "segmm", "kuairec", "kuairand")  # of tasks where every video is played


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """C rows of one part of a task.

    Attributes:
        batch: their features.
        samples: their labels: the one head "watch_s", all known.
        duration: float32[C] seconds that each row's item lasts, NaN = unknown.
        user: int32[C] rows of users.
        true_mean: float64[C], E[t | x] of each row where it is known, as on a generated log.
    """

    batch: FeatureBatch
    samples: SampleBatch
    duration: Floats
    user: Rows
    true_mean: NDArray[np.float64] | None = None

    @property
    def seconds(self) -> Floats:
        """float32[C] watched."""
        return self.samples.labels[:, 0]

    def __len__(self) -> int:
        return len(self.samples)


class Task(NamedTuple):
    """Rows to learn from, to choose by, and to judge on.

    Attributes:
        name: of ``NAMES``, as in --only and in the figures' names.
        split: a hash of the parts, and how they were made.
    """

    name: str
    split: str
    spec: FeatureSpec
    train: Split
    validation: Split
    test: Split


def watched(user: Rows, item: Rows, time_ms: NDArray[np.int64], seconds: Floats) -> SampleBatch:
    """Samples of C impressions, each a request of its own, with the seconds watched as their one label."""
    n = len(user)
    probe = ProbeBatch(user, time_ms, np.zeros(n, np.int64), item, np.arange(n, dtype=np.int32))
    labels = np.ascontiguousarray(seconds[:, None], np.float32)
    return SampleBatch(probe, labels, np.ones_like(labels, np.bool_), np.ones(n, np.float32), (WATCH,))


def split_hash(*parts: Split) -> str:
    """Hex digest of who watched what for how long in which part."""
    digest = hashlib.sha256()
    for part in parts:
        probe = part.samples.probe
        for column in (probe.user, probe.item, probe.request_of, part.seconds):
            digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()[:12]
