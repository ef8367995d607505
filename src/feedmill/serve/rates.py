"""How often a key may ask: a token bucket each."""

from __future__ import annotations

import time
from collections.abc import Callable

BURST_S = 2.0  # a bucket that was left alone holds so many seconds' worth
_ROUNDING = 1e-9


class Rates:
    """Buckets by name. Each process counts for itself. Used from one thread, as an event loop is.

    Args:
        clock: seconds that only go on.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, name: str, per_s: float) -> float:
        """Take a token: 0.0, or seconds until there is one.

        Args:
            per_s: tokens that come in a second; 0 = there is no limit.
        """
        if per_s <= 0:
            return 0.0
        now, room = self._clock(), max(1.0, per_s * BURST_S)
        left, then = self._buckets.get(name, (room, now))
        left = min(room, left + (now - then) * per_s)
        is_there = left >= 1.0 - _ROUNDING
        self._buckets[name] = (left - is_there, now)
        return 0.0 if is_there else (1.0 - left) / per_s
