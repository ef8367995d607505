"""A quiet month of one-minute windows, and the same with breaks: who raises the alarm, and when.

The windows are drawn, not joined: 43,200 minutes of days, nights and weekends. Rates swing with the hour, wander, and
vary more than Poisson's counts; at night a minute has a handful of impressions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from feedmill.core.clock import rng

if TYPE_CHECKING:
    from feedmill.samples.guard import GuardConfig

DAY, MINUTE_MS = 1440, 60_000
OURS, SCIPY = "the guard", "binomial test, p < 1e-9 (SciPy)"
Longs = NDArray[np.int64]


class Month(NamedTuple):
    """Counts int64[n] of n minutes."""

    shown: Longs
    clicks: Longs
    likes: Longs
    lost: Longs  # of the clicks that were said, those that joined nothing


def month(seed: int, n_days: int = 30, feeds: float = 400.0) -> Month:
    """``feeds`` impressions a minute on average, 2 % of that at the deepest of the night."""
    random, minute = rng(seed, "quiet month"), np.arange(n_days * DAY)
    weekend = 1 + 0.3 * (minute // DAY % 7 >= 5)
    day = np.sin(2 * np.pi * (minute - 600) / DAY)
    shown = random.poisson(feeds * weekend * (1 + 0.98 * day))
    wander = np.zeros(len(minute))
    noise = random.normal(0, 0.08 * np.sqrt(1 - 0.95**2), len(minute))
    for k in range(1, len(minute)):
        wander[k] = 0.95 * wander[k - 1] + noise[k]
    rate = 0.2 * (1 + 0.15 * day) * weekend**0.2 * np.exp(wander)
    clicks = random.binomial(shown, random.beta(400 * rate, 400 * (1 - rate)))  # feeds of one person are alike
    likes, lost = random.binomial(shown, 0.02 * np.exp(wander)), random.binomial(clicks, 0.02)
    return Month(shown, clicks - lost, likes, lost)


def broken(of: Month, at: int, keep: float, minutes: int = 30, seed: int = 0) -> Month:
    """The same with a share of the clicks alone for some minutes."""
    clicks, rows = of.clicks.copy(), slice(at, at + minutes)
    clicks[rows] = rng(seed, "broken", at).binomial(clicks[rows], keep)
    return Month(of.shown, clicks, of.likes, of.lost)


class Watcher(Protocol):
    """Takes a minute; whether it raises the alarm in it."""

    def __call__(self, minute: int, shown: int, clicks: int, likes: int, lost: int) -> bool: ...


def alarms(watcher: Watcher, of: Month, low: int = 0, high: int | None = None) -> Longs:
    """The minutes in which there is an alarm."""
    columns = (c[low:high].tolist() for c in of)
    return low + np.flatnonzero([watcher(low + m, *row) for m, row in enumerate(zip(*columns, strict=True))])


def watchers() -> Iterator[tuple[str, Callable[[], Watcher]]]:
    """The guard and others, each made anew by a call; of river those there are."""
    yield OURS, Ours
    yield SCIPY, Binomial
    try:
        from river import drift
    except ModuleNotFoundError:
        return
    yield "ADWIN (river)", lambda: River(drift.ADWIN())
    yield "ADWIN by impression (river)", lambda: River(drift.ADWIN(), by_minute=False)
    yield "Page-Hinkley (river)", lambda: River(drift.PageHinkley(mode="both"))
    yield "KSWIN (river)", lambda: River(drift.KSWIN(seed=0))


class Ours:
    """Alarms when the guard opens."""

    def __init__(self, config: GuardConfig | None = None) -> None:
        from feedmill.samples.guard import Guard, GuardConfig

        self.guard = Guard(config or GuardConfig())

    def __call__(self, minute: int, shown: int, clicks: int, likes: int, lost: int) -> bool:
        from feedmill.samples.guard import Window

        rates = {"click": (clicks, shown), "like": (likes, shown), "click.lost": (lost, clicks + lost)}
        was = self.guard.is_open
        self.guard.observe(Window(minute * MINUTE_MS, (minute + 1) * MINUTE_MS, rates))
        return self.guard.is_open and not was


class Binomial:
    """A minute's clicks against the hour before, as if minutes differed by chance alone; every alarm is one."""

    def __init__(self) -> None:
        self._past: list[tuple[int, int]] = []

    def __call__(self, minute: int, shown: int, clicks: int, likes: int, lost: int) -> bool:
        from scipy.special import bdtr

        k, n = (sum(column) for column in zip(*self._past, strict=True)) if self._past else (0, 0)
        self._past = [*self._past, (clicks, shown)][-60:]
        if not k or not shown or len(self._past) < 10:
            return False
        low, high = float(bdtr(clicks, shown, k / n)), 1 - float(bdtr(max(clicks - 1, 0), shown, k / n))
        return 2 * min(low, high if clicks else 1.0) < 1e-9


class River:
    """A detector of river over the rate of each minute, or over 0 and 1 of each impression."""

    def __init__(self, detector: Any, by_minute: bool = True) -> None:
        self._detector, self._by_minute = detector, by_minute

    def __call__(self, minute: int, shown: int, clicks: int, likes: int, lost: int) -> bool:
        values = (
            [clicks / max(shown, 1)] if self._by_minute else np.diff(np.arange(shown + 1) * clicks // max(shown, 1))
        )
        found = False
        for value in values if shown else ():
            self._detector.update(float(value))
            found |= self._detector.drift_detected
        return found
