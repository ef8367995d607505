"""What the guard looks at, what it finds, and what it says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Mask, Times


class Window(NamedTuple):
    """A stretch of the joined stream.

    Attributes:
        start_ms, end_ms: event time, the end not in it.
        rates: signal -> (what was counted, of how many): ("click", (joined clicks, impressions)), or for calibration
            (positives, sum of predictions). One whose name ends in ".lost" may rise to ``config.lost``, and fall.
        shapes: column -> counts float64[bins] of its values.
    """

    start_ms: int
    end_ms: int
    rates: Mapping[str, tuple[float, float]]
    shapes: Mapping[str, NDArray[np.float64]] = {}


class Finding(NamedTuple):
    """What is off, in words and figures, and since when."""

    signal: str
    found: float
    usual: float
    from_ms: int
    words: str


class Stretch(msgspec.Struct):
    """Event time that is not learned from; ``to_ms`` 0 = it goes on.

    Attributes:
        who: "guard", or who asked for it by hand.
        found_ms: event time at which it was found; 0 by hand.
    """

    from_ms: int
    to_ms: int = 0
    reasons: list[str] = []
    who: str = "guard"
    found_ms: int = 0


def quarantined(stretches: Iterable[Stretch], time_ms: Times) -> Mask:
    """bool[n]: which moments lie in a stretch."""
    out = np.zeros(len(time_ms), np.bool_)
    for s in stretches:
        out |= (time_ms >= s.from_ms) & ((time_ms < s.to_ms) if s.to_ms else True)
    return out
