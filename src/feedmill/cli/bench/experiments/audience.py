"""Users like those of a feed: a few use it a lot and many hardly, each has habits, and some are new.

Users come on a day with a chance of their own, see as many items as is their habit, watch some of them, and for as long
as is their taste: seconds per user have a spike at 0 and a heavy tail, users with more impressions watch longer, and
the fortnight before says much about the days of the experiment, except of those who are new.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedmill.core.clock import rng
from feedmill.metrics.rollup.units import Units

Doubles = NDArray[np.float64]

DAYS, DAYS_BEFORE = 14, 14
NEW = 0.2  # users with no history
SHOWN = 12.0  # impressions of a day on which a user comes, on average over users


class Audience(NamedTuple):
    """n users over some days.

    Attributes:
        shown, seconds: float64[n, days].
        shown_before, seconds_before: float64[n] of the fortnight before; 0 for new users.
        first: int64[n] the day on which the user came first; users who never came are left out.
    """

    shown: Doubles
    seconds: Doubles
    shown_before: Doubles
    seconds_before: Doubles
    first: NDArray[np.int64]

    def head(self, n: int) -> Audience:
        """The first n users."""
        before = self.shown_before[:n], self.seconds_before[:n]
        return Audience(self.shown[:n], self.seconds[:n], *before, self.first[:n])

    def units(self, day: int, arm: NDArray[Any], lift: float = 0.0, *, is_ratio: bool = False) -> Units:
        """Those who came by the end of a day, what they did until then, treated ones longer by ``lift``.

        Args:
            arm: int[n], 1 = treated.
            is_ratio: seconds per impression, not per user.
        """
        here = self.first <= day
        seconds = self.seconds[here, : day + 1].sum(axis=1) * (1 + lift * arm[here])
        shown = self.shown[here, : day + 1].sum(axis=1) if is_ratio else np.ones(here.sum())
        before = self.shown_before[here]
        own = before if is_ratio else (before > 0).astype(np.float64)
        return Units(("control", "treated"), arm[here].astype(np.int32), seconds, shown, self.seconds_before[here], own)


def audience(n: int, seed: int, *purpose: str | int, days: int = DAYS, span: int = 1) -> Audience:
    """Draws n users, of whom those who come at all are returned; a column may stand for ``span`` days."""
    draw = rng(seed, "audience", *purpose)
    comes = draw.beta(0.8, 2.0, n)
    habit = draw.gamma(1.5, SHOWN / 1.5, n)
    watches = draw.beta(2.0, 3.0, n)
    taste = draw.lognormal(2.0, 0.6, n)
    shown = draw.poisson(habit[:, None] * draw.binomial(span, comes[:, None], (n, days)))
    seconds = _seconds(draw, shown, watches[:, None], taste[:, None])
    n_before = draw.binomial(DAYS_BEFORE, comes) * (draw.random(n) > NEW)
    shown_before = draw.poisson(habit * n_before)
    seconds_before = _seconds(draw, shown_before, watches, taste)
    came = (shown > 0).any(axis=1)
    first = (shown > 0).argmax(axis=1)
    before = shown_before.astype(np.float64), seconds_before
    return Audience(shown[came].astype(np.float64), seconds[came], before[0][came], before[1][came], first[came])


def _seconds(draw: np.random.Generator, shown: NDArray[Any], watches: Doubles, taste: Doubles) -> Doubles:
    """Sums of exponential watch times of the items that are watched."""
    n_watched = draw.binomial(shown, np.broadcast_to(watches, shown.shape))
    return draw.standard_gamma(n_watched) * taste
