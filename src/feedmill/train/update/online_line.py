"""A line on the logit of each head that follows the stream, while the layers that it stands behind are frozen.

User-id rows learn what people like; that everybody clicks less today is nobody's own, and no row is there to learn it.
Fitted on what was said before it was learned from, as ``train.calibration.online`` counts it; a new version begins with
no line, for its own layers have learned the day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from feedmill.core.batches import Floats, SampleBatch
from feedmill.features.served.calibrated import ONLINE, lined, probabilities, straight
from feedmill.metrics.calibrators import Platt
from feedmill.publish.delta import Change
from feedmill.train.calibration.fit import CalibrationConfig
from feedmill.train.calibration.online import DecayedCounts, OnlineConfig
from feedmill.train.update.config import IncrementalConfig

COUNTS, AS_OF = "online.counts", "online.time_ms"
PLATT = CalibrationConfig(kind="platt")


class OnlineLine:
    """Slope and intercept for each of H heads.

    Args:
        heads, kinds: of the ranker; those that are no probabilities stay as they are.
    """

    def __init__(self, heads: Sequence[str], kinds: Sequence[str], config: IncrementalConfig) -> None:
        self._is_probability = np.array([bool(name) for name in probabilities(tuple(heads), list(kinds))])
        self._config = OnlineConfig(half_life_s=config.half_life_s, min_rows=config.min_rows)
        self._is_on = config.calibrate
        self._counts = [DecayedCounts(self._config) for _ in heads]
        self.line = straight(len(self._counts))

    def follow(self, probs: Floats, samples: SampleBatch) -> Floats:
        """What the line makes of rows, which it then learns from.

        Args:
            probs: float32[C, H] without it.
            samples: their labels, with the ranker's heads in its order.

        Returns:
            float32[C, H].
        """
        served = lined(probs, self.line, self._is_probability)
        time_ms = samples.probe.time_ms[samples.probe.request_of]
        for h in np.flatnonzero(self._is_probability & self._is_on).tolist():
            rows = samples.mask[:, h]
            if rows.any():
                weight = samples.weight[rows]
                self._counts[h].update(samples.labels[rows, h], probs[rows, h], time_ms[rows], weight=weight)
        self._fit()
        return served

    def changes(self) -> dict[str, Change]:
        """What a delta says: the line, and the counts to go on from."""
        rows = np.arange(len(self._counts), dtype=np.int32)
        counts = np.stack([c.counts[0] for c in self._counts]) if self._counts else np.zeros((0, 1, 3))
        times = np.array([float(c.time_ms) for c in self._counts])
        return {ONLINE: Change(rows, self.line.copy()), COUNTS: Change(rows, counts), AS_OF: Change(rows, times)}

    def back_to(self, changes: Mapping[str, Change]) -> None:
        """Be as another was whose ``changes`` these are; as new without."""
        n = len(self._counts)
        if COUNTS in changes:
            pairs = zip(changes[COUNTS].values, changes[AS_OF].values, strict=True)
            self._counts = [DecayedCounts(self._config, 0, counts[None], int(t)) for counts, t in pairs]
        else:
            self._counts = [DecayedCounts(self._config) for _ in range(n)]
        self.line = straight(n)
        self._fit()

    def _fit(self) -> None:
        for h in np.flatnonzero(self._is_probability & self._is_on).tolist():
            found = self._counts[h].calibrator(PLATT)
            if isinstance(found, Platt):
                self.line[h] = found.slope, found.intercept
