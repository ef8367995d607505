"""One rate of the stream: what it was, and whether the last windows differ from that by more than chance.

Counts of people's feedback vary more than Poisson's: how much more is measured on the baseline (quasi-Poisson,
McCullagh and Nelder 1989, section 6.2), and the uncertainty of the baseline itself is part of the standard deviation.
A rate is compared over the last 1, 2, 4 and 8 windows, so that a small loss is found as surely as a large one, only
later.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from feedmill.samples.guard.config import GuardConfig
from feedmill.samples.guard.outliers import FEWEST, are_usual, median
from feedmill.samples.guard.windows import Finding

SCALES = (1, 2, 4, 8)
LOST = ".lost"
RAREST = 1e-4  # a rate below is none: a kind of feedback that the product does not have yet
HOUR_MS, HOURS = 3_600_000, 24


class Entry(NamedTuple):
    """Windows that together expect enough: k of n, since when."""

    k: float
    of: float
    start_ms: int


class OfHour(msgspec.Struct):
    """What an hour of the day is like: k of n on the days before ``day``, older ones weighing less, and on ``day``."""

    past_k: float = 0.0
    past_of: float = 0.0
    day: int = -1
    k: float = 0.0
    of: float = 0.0

    def add(self, entry: Entry, keep: float) -> None:
        """Count a window."""
        day = _day(entry)
        if day > self.day:
            self.past_k, self.past_of = self.before(day, keep)
            self.day, self.k, self.of = day, 0.0, 0.0
        self.k, self.of = self.k + entry.k, self.of + entry.of

    def before(self, day: int, keep: float) -> tuple[float, float]:
        """What was counted on earlier days, of how many."""
        if day <= self.day:
            return self.past_k, self.past_of
        weight = keep ** (day - self.day)
        return (self.past_k + self.k) * weight, (self.past_of + self.of) * weight


class Rate(msgspec.Struct):
    """The memory of one rate; plain data, so that it can be stored as JSON.

    Attributes:
        past: the baseline, oldest first; what of it is unlike the rest does not count.
        recent: after it, and not yet part of it.
        pending: too little to be judged.
        hours: by hour of the day, UTC, as text.
        is_off: found off, and not found well since.
    """

    past: list[Entry] = []
    recent: list[Entry] = []
    pending: Entry | None = None
    hours: dict[str, OfHour] = {}
    is_off: bool = False

    def observe(self, name: str, found: Entry, config: GuardConfig, *, is_open: bool) -> Finding | None:
        """Judge a window, with those before it that were too small. What is found off never becomes the baseline.

        Args:
            is_open: whether the guard is: then nothing becomes the baseline.
        """
        held = self.pending
        entry = found if held is None else Entry(held.k + found.k, held.of + found.of, held.start_ms)
        past, floor = _healthy(self.past, config), _floor(name, config)
        expected = entry.of * max(_rate(past), floor)
        is_much = entry.of > 0 and entry.k >= max(config.least, config.factor * expected)
        if expected < config.least and not is_much:
            is_hopeless = not self.past and entry.of * RAREST > config.least
            self.pending = None if is_hopeless else entry
            return None
        self.pending = None
        if len(self.past) < config.warm:
            if not is_open:
                self._learn(entry, config)
            return None
        self.recent.append(entry)
        off = self._judged(name, past, config, floor)
        if off is not None:
            self.is_off, self.recent = True, []
        elif len(self.recent) > SCALES[-1]:
            oldest = self.recent.pop(0)
            if not is_open:
                self._learn(oldest, config)
        return off

    def is_well(self, name: str, config: GuardConfig) -> bool:
        """Whether a rate that was off is as usual again; one that never was is well."""
        if not self.is_off:
            return True
        last = self.recent[-config.healthy :]
        k, of = sum(e.k for e in last), sum(e.of for e in last)
        floor, near = _floor(name, config), math.sqrt(config.factor)
        expected = of * max(self.usual(config), floor)
        return expected >= config.least and (k > expected / near or floor > 0) and k < near * expected

    def settle(self) -> None:
        """The guard has opened or closed: what came last is judged no more."""
        self.recent, self.pending = [], None

    def usual(self, config: GuardConfig) -> float:
        """The baseline's rate, 0.0 before there is one."""
        return _rate(_healthy(self.past, config))

    def _learn(self, entry: Entry, config: GuardConfig) -> None:
        self.past = [*self.past, entry][-config.baseline :]
        if config.season:
            self.hours.setdefault(_hour(entry), OfHour()).add(entry, config.season)

    def _judged(self, name: str, past: Sequence[Entry], config: GuardConfig, floor: float) -> Finding | None:
        """The finding of the fewest windows that are off."""
        known, usual = sum(e.of for e in past), _rate(past)
        rate = max(usual, floor)
        for n in SCALES:
            last = self.recent[-n:]
            if len(last) < n:
                return None
            k, of = sum(e.k for e in last), sum(e.of for e in last)
            if not _is_off(k, of * rate, _z(k, of * rate, 1.0, of / known), config, up_only=floor > 0):
                continue  # not even if counts were Poisson's, which vary least: the common case, and a cheap one
            spread = _spread(past, usual)
            z = _z(k, of * rate, spread, of / known)
            if not _is_off(k, of * rate, z, config, up_only=floor > 0):
                continue
            expected, before = self._of_hours(last, config)
            if before and not _is_off(k, expected, _z(k, expected, spread, of / before), config, up_only=floor > 0):
                continue
            words = f"{name}: {k / of:.4g} where {usual:.4g} is usual ({z:+.0f} standard deviations)"
            return Finding(name, k / of, usual, last[0].start_ms, words)
        return None

    def _of_hours(self, last: Sequence[Entry], config: GuardConfig) -> tuple[float, float]:
        """What the same hours of earlier days would expect, and of how many they know; 0 where they know too little."""
        expected, before = 0.0, math.inf
        for e in last:
            k, of = self.hours.get(_hour(e), OfHour()).before(_day(e), config.season)
            if k < config.least:
                return 0.0, 0.0
            expected, before = expected + e.of * k / of, min(before, of)
        return expected, before


def _floor(name: str, config: GuardConfig) -> float:
    return config.lost if name.endswith(LOST) else 0.0


def _day(entry: Entry) -> int:
    return entry.start_ms // (HOUR_MS * HOURS)


def _hour(entry: Entry) -> str:
    return str(entry.start_ms // HOUR_MS % HOURS)


def _rate(past: Sequence[Entry]) -> float:
    of = sum([e[1] for e in past])
    return sum([e[0] for e in past]) / of if of > 0 else 0.0


def _healthy(past: Sequence[Entry], config: GuardConfig) -> Sequence[Entry]:
    """The entries that are like most others, in standard deviations of Poisson's counts from the median rate."""
    if len(past) < FEWEST:
        return past
    usual = median([k / of for k, of, _ in past])
    z = [(k - of * usual) / math.sqrt(max(of * usual, 1.0)) for k, of, _ in past]
    kept = are_usual(z, config.outlier, config.outlier)
    return past if all(kept) else [e for e, is_usual in zip(past, kept, strict=True) if is_usual]


def _spread(past: Sequence[Entry], usual: float) -> float:
    """How many times a Poisson count's variance the counts have, 1 at least."""
    pairs = np.array([(e.k, e.of) for e in past], np.float64)
    expected = pairs[:, 1] * usual
    is_enough = expected >= 5
    spread = (pairs[:, 0] - expected)[is_enough] ** 2 / expected[is_enough]
    return max(1.0, float(spread.sum()) / (len(spread) - 1)) if len(spread) > 1 else 1.0


def _z(k: float, expected: float, spread: float, share: float) -> float:
    """Standard deviations; ``share``: how large it is beside what it is compared with."""
    return (k - expected) / math.sqrt(spread * max(expected, 1.0) * (1 + share))


def _is_off(k: float, expected: float, z: float, config: GuardConfig, *, up_only: bool) -> bool:
    times = k / expected if expected > 0 else math.inf
    is_far = times >= config.factor or (times <= 1 / config.factor and not up_only)
    return is_far and abs(z) >= config.z
