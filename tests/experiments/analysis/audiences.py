"""Users of two arms for tests of the analysis."""

from __future__ import annotations

from typing import Any

import numpy as np

from feedmill.core.clock import rng
from feedmill.metrics.rollup.units import Units


def means(control: Any, treated: Any) -> Units:
    """A mean per user, without history."""
    num = np.concatenate([control, treated]).astype(np.float64)
    arm = np.repeat([0, 1], [len(control), len(treated)]).astype(np.int32)
    none = np.zeros(len(num))
    return Units(("control", "treated"), arm, num, np.ones(len(num)), none, none)


def habits(n: int, seed: int, lift: float = 0.0, *, is_ratio: bool = False, new: float = 0.2) -> Units:
    """Seconds per user (or per impression) of users with habits, a heavy tail, and some without a history."""
    draw = rng(seed, "habits")
    rate, taste = draw.gamma(1.0, 10.0, n), draw.lognormal(1.0, 0.7, n)
    arm = draw.integers(0, 2, n).astype(np.int32)
    is_old = draw.random(n) >= new
    shown, shown_before = draw.poisson(rate) + 1.0, (draw.poisson(rate) + 1.0) * is_old
    num = draw.standard_gamma(shown * 0.5) * taste * (1 + lift * arm)
    before = draw.standard_gamma(np.maximum(shown_before * 0.5, 1e-9)) * taste * is_old
    den = shown if is_ratio else np.ones(n)
    return Units(("control", "treated"), arm, num, den, before, shown_before if is_ratio else is_old.astype(np.float64))
