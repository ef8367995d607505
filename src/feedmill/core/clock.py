"""Time and chance are handed in, so that a run can be repeated."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from typing import Protocol

import numpy as np


class Clock(Protocol):
    """Tells the time the feed believes it is."""

    def now_ms(self) -> int:
        """Milliseconds since 1970 UTC."""
        ...


class WallClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


class LogClock:
    """A clock that starts at a log's newest event and then runs at normal speed.

    An old log (MovieLens ends in 1998) is served as if today were the day it ended: windowed counts would
    otherwise all have decayed to nothing.
    """

    def __init__(self, newest_ms: int) -> None:
        self._ahead_ms = newest_ms - time.time_ns() // 1_000_000

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self._ahead_ms


class NewestClock:
    """A clock that stands at a log's newest event and moves when a newer one comes: time is what the log says.

    Days that are simulated or replayed pass as fast as their events.

    Args:
        newest_ms: tells the newest event's time; 0 while there is none.
    """

    def __init__(self, newest_ms: Callable[[], int]) -> None:
        self._newest_ms = newest_ms

    def now_ms(self) -> int:
        return self._newest_ms()


class FixedClock:
    """A clock that stands where it is put; tests and evaluation move it by hand."""

    def __init__(self, time_ms: int = 0) -> None:
        self.time_ms = time_ms

    def now_ms(self) -> int:
        return self.time_ms


def rng(seed: int, *purpose: str | int) -> np.random.Generator:
    """A generator for one purpose: the same seed and purpose give the same stream, others are independent."""
    words = [zlib.crc32(str(p).encode()) for p in purpose]
    return np.random.default_rng([seed, *words])
