"""A break after a break: whether the first blinds the guard for the second, with outliers in its baseline or without.

The second comes some windows after the first one ended, at noon of the quiet month's days, and lasts for 30 minutes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from feedmill.cli.bench.guard.month import DAY, MINUTE_MS, Month, Ours, alarms, broken
from feedmill.samples.guard import Guard, GuardConfig

NOON, LAST_MIN = 720, 30
BETWEEN = (1, 5, 20, 60)
WAYS = {"whole baseline": GuardConfig(outlier=1e9), "without outliers": GuardConfig()}


class First(NamedTuple):
    """What came first: how long, which share of the clicks it kept, and how long before its end it was resumed."""

    minutes: int
    keep: float
    resumed_min: int = 0


FIRSTS = {
    "clicks stop for 10 min, found": First(10, 0.0),
    "half of the clicks lost for 1 min, not found": First(1, 0.5),
    "clicks stop for 10 min, resumed by hand 3 min before their end": First(10, 0.0, 3),
    "half of the clicks lost for 15 min, resumed by hand 3 min before their end": First(15, 0.5, 3),
}


def primed(whole: Month, day: int, way: str) -> bytes:
    """A guard's state at noon, after a whole day."""
    watcher, at = Ours(WAYS[way]), day * DAY + NOON
    alarms(watcher, whole, at - DAY, at)
    return watcher.guard.state()


def delay(whole: Month, day: int, way: str, state: bytes, first: First, between: int, keep: float) -> float:
    """Minutes from the second break's beginning until the guard is open; NaN where it never is before it is over."""
    at = day * DAY + NOON
    end = at + first.minutes
    second, watcher = end + between, Ours(WAYS[way])
    watcher.guard = Guard.of(WAYS[way], state)
    twice = broken(broken(whole, at, first.keep, first.minutes), second, keep, LAST_MIN)
    for minute in range(at, second + LAST_MIN):
        if first.resumed_min and minute == end - first.resumed_min:
            watcher.guard.resume(minute * MINUTE_MS)
        watcher(minute, *(int(column[minute]) for column in twice))
        if minute >= second and watcher.guard.is_open:
            return minute - second + 1.0
    return np.nan
