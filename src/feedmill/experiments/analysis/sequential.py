"""Intervals that may be looked at every day: a confidence sequence, and the p-value that goes with it.

The normal mixture of Robbins (1970), as in the mSPRT of Johari et al. (2017; Operations Research 2022) and the
asymptotic confidence sequences of Waudby-Smith et al. (Annals of Statistics 2024): with probability 1 - alpha the truth
is inside at every look, so that stopping at the first look that excludes 0 errs in at most alpha of the cases.

With I the information of a look (1 / se², or what grows with it: users) and I* that at which it is to be tightest,
the interval is the estimate +- bound(I / I*) se, where for t = I / I*

    bound(t)² = (1 + 1 / (r t)) log((1 + r t) / alpha²),    r = log((1 + r) / alpha²).

At alpha = 0.05 that is 3.03 se at t = 1 (a fixed interval has 1.96), 3.8 at a tenth and 3.2 at ten times of it.

Assumed: many users at the first look already (the estimate is about normal; 100 in an arm), and independent increments
of information: what a day adds does not depend on the estimate so far. It holds for users who arrive. It does not hold
exactly where the same users go on acting: their days are alike, the estimate then moves less than the bound allows
for, and the interval is wider than it need be. I* must not depend on the outcomes: state it before, or take it from the
number of users of the first day.
"""

from __future__ import annotations

import msgspec
import numpy as np
from scipy.special import lambertw

from feedmill.experiments.analysis.compare import ALPHA, Effect, fieller
from feedmill.experiments.analysis.moments import Doubles


class Always(msgspec.Struct, frozen=True, kw_only=True):
    """Intervals, absolute and relative, and a p-value that hold at whatever look one stops."""

    low: float
    high: float
    relative_low: float | None
    relative_high: float | None
    p: float


def bound(share: Doubles | float, alpha: float = ALPHA) -> Doubles:
    """Half the interval, in standard errors.

    Args:
        share: of the planned information, above 0: users so far over those planned, or (planned se / se)².
    """
    r = _mixture(alpha)
    t = np.asarray(share, np.float64)
    out: Doubles = np.sqrt((1 + 1 / (r * t)) * np.log((1 + r * t) / alpha**2))
    return out


def any_look(x: Effect, share: float, alpha: float = ALPHA) -> Always:
    """The intervals of an effect that hold at any look, and the p-value of this one alone."""
    width = float(bound(share, alpha))
    low, high = fieller(x, width)
    p = float(always_valid(np.array([x.difference / x.se]), np.array([share]), alpha)[0])
    return Always(
        low=x.difference - width * x.se,
        high=x.difference + width * x.se,
        relative_low=low,
        relative_high=high,
        p=p,
    )


def always_valid(z: Doubles, share: Doubles, alpha: float = ALPHA) -> Doubles:
    """The p-value after each look, which never rises: under the null it ever falls below any a in at most a of cases.

    Args:
        z: float64[…, looks] estimate / se, in the order of the looks.
        share: of the planned information at each look.
        alpha: that for which the mixture is tightest; at p <= alpha the interval of that look excludes 0.
    """
    rt = _mixture(alpha) * np.asarray(share, np.float64)
    log_p = 0.5 * np.log1p(rt) - 0.5 * np.square(z) * rt / (1 + rt)
    out: Doubles = np.minimum.accumulate(np.exp(np.minimum(log_p, 0.0)), axis=-1)
    return out


def _mixture(alpha: float) -> float:
    """The r of above: I* over the precision of the mixed normal, at which the interval is tightest at I*."""
    return float(-lambertw(-(alpha**2) / np.e, -1).real - 1)
