"""Maps from a model's probabilities to probabilities that come true, as they are served: NumPy, no order of a head
turned round. They are fitted in ``train.calibration.fit`` and stored in the ranker's part: parameters in its config,
curves among its arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedmill.core.errors import ArtifactError
from feedmill.metrics.classification import EPSILON

Numbers = NDArray[Any]
Doubles = NDArray[np.float64]


def logit(probs: Numbers) -> Doubles:
    """log(p / (1 - p)) of probabilities kept ``EPSILON`` from 0 and 1; NaN stays."""
    p = np.clip(np.asarray(probs, np.float64), EPSILON, 1 - EPSILON)
    return np.asarray(np.log(p) - np.log1p(-p), np.float64)


def sigmoid(z: Numbers) -> Doubles:
    """1 / (1 + e^-z) without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * np.asarray(z, np.float64))), np.float64)


@dataclass(frozen=True, slots=True)
class Platt:
    """sigmoid(slope logit(p) + intercept), slope > 0. Platt 1999, on the logit instead of a margin."""

    slope: float = 1.0
    intercept: float = 0.0

    def __call__(self, probs: Numbers, bucket: Numbers) -> Doubles:
        """float64[n]; ``bucket`` is not looked at."""
        return sigmoid(self.slope * logit(probs) + self.intercept)


@dataclass(frozen=True, slots=True, eq=False)
class Isotonic:
    """A rising curve, straight between points (x, y), and level before the first and after the last.

    Fitted by pool-adjacent-violators (Ayer et al. 1955; for probabilities Zadrozny and Elkan, KDD 2002).

    Attributes:
        x: float64[K] strictly rising.
        y: float64[K] rising, inside (0, 1).
    """

    x: Doubles
    y: Doubles

    def __call__(self, probs: Numbers, bucket: Numbers) -> Doubles:
        """float64[n]; ``bucket`` is not looked at."""
        return np.asarray(np.interp(np.asarray(probs, np.float64), self.x, self.y), np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Shifts:
    """sigmoid(logit(p) + shift of the row's bucket): within a bucket the order stays.

    Attributes:
        shift: float64[K + 1], of bucket 0 (unknown) first.
    """

    shift: Doubles

    def __call__(self, probs: Numbers, bucket: Numbers) -> Doubles:
        """float64[n]; ``bucket`` int[n] in 0..K."""
        return sigmoid(logit(probs) + self.shift[bucket])


Calibrator = Platt | Isotonic | Shifts


def apply(calibrators: Mapping[str, Calibrator], heads: tuple[str, ...], probs: Numbers, bucket: Numbers) -> Doubles:
    """float64[n, H]: each head through its calibrator; a head without one, and a NaN, stay as they are.

    Args:
        heads: names of the columns of ``probs`` [n, H].
        bucket: int[n], 0 = unknown.
    """
    out = np.array(probs, np.float64)
    for h, head in enumerate(heads):
        if head in calibrators:
            known = ~np.isnan(out[:, h])
            out[known, h] = calibrators[head](out[known, h], bucket[known])
    return out


def stored(calibrators: Mapping[str, Calibrator]) -> tuple[dict[str, Any], dict[str, Doubles]]:
    """What goes into a part: parameters by head for its config, and arrays ``calibration.<head>.<name>``."""
    config: dict[str, Any] = {}
    arrays: dict[str, Doubles] = {}
    for head, found in calibrators.items():
        if isinstance(found, Platt):
            config[head] = {"kind": "platt", "slope": found.slope, "intercept": found.intercept}
        elif isinstance(found, Isotonic):
            config[head] = {"kind": "isotonic"}
            arrays |= {f"calibration.{head}.x": found.x, f"calibration.{head}.y": found.y}
        else:
            config[head] = {"kind": "bucket"}
            arrays[f"calibration.{head}.shift"] = found.shift
    return config, arrays


def opened(config: Mapping[str, Any], arrays: Mapping[str, Numbers]) -> dict[str, Calibrator]:
    """The inverse of ``stored``.

    Raises:
        ArtifactError: a kind this version does not know, or an array that is missing.
    """
    out: dict[str, Calibrator] = {}
    for head, of in config.items():
        try:
            if of["kind"] == "platt":
                out[head] = Platt(float(of["slope"]), float(of["intercept"]))
            elif of["kind"] == "isotonic":
                out[head] = Isotonic(*(np.asarray(arrays[f"calibration.{head}.{k}"], np.float64) for k in "xy"))
            elif of["kind"] == "bucket":
                out[head] = Shifts(np.asarray(arrays[f"calibration.{head}.shift"], np.float64))
            else:
                raise KeyError(of["kind"])
        except (KeyError, TypeError) as e:
            raise ArtifactError(f"calibration of {head}: {e} cannot be read", "what this version writes") from None
    return out
