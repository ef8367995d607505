"""Intervals that may be looked at every day: the formula, its tightest point, and what peeking does to it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.clock import rng
from feedmill.experiments.analysis.sequential import always_valid, bound

shares, alphas = st.floats(1e-3, 1e3), st.floats(0.001, 0.2)


def test_known_values() -> None:
    # r = log((1 + r) / alpha²) has the root 8.2120 at 5 %; the bound at the plan is sqrt(1 + r).
    r = 8.2120
    assert r == pytest.approx(np.log((1 + r) / 0.05**2), abs=1e-4)
    assert bound(1.0) == pytest.approx(np.sqrt(1 + r), abs=1e-4)
    assert bound(np.array([0.1, 10.0])) == pytest.approx([3.823, 3.246], abs=1e-3)


@given(shares, alphas)
def test_it_is_tightest_at_the_plan_and_wider_than_a_fixed_one(share: float, alpha: float) -> None:
    assert bound(share, alpha) >= bound(1.0, alpha) > np.sqrt(2 * np.log(1 / alpha))


@given(shares, alphas, st.floats(0.5, 1.5))
def test_the_p_value_is_that_of_the_interval(share: float, alpha: float, times: float) -> None:
    """p <= alpha exactly where the interval excludes 0."""
    if abs(times - 1) > 1e-6:
        z = times * bound(share, alpha)
        p = always_valid(np.array([z]), np.array([share]), alpha)[0]
        assert (p <= alpha) == (times > 1)


def test_the_p_value_never_rises() -> None:
    z = rng(0, "p").normal(0, 2, (20, 50))
    p = always_valid(z, np.arange(1, 51) / 25)
    assert (np.diff(p, axis=1) <= 0).all()
    assert ((p > 0) & (p <= 1)).all()


def test_peeking_errs_in_at_most_five_percent() -> None:
    """A thousand looks at sums of independent draws, from 1 % of the plan to ten times of it."""
    n_runs, n_looks = 4000, 1000
    z = np.cumsum(rng(1, "peeking").standard_normal((n_runs, n_looks), np.float32), axis=1)
    z /= np.sqrt(np.arange(1, n_looks + 1, dtype=np.float32))
    share = np.arange(1, n_looks + 1) / 100
    wrong = (abs(z) > bound(share)).any(axis=1)
    assert 0.01 < wrong.mean() < 0.05
    assert (always_valid(z, share)[:, -1] <= 0.05).mean() == pytest.approx(wrong.mean())
    assert (abs(z) > 1.96).any(axis=1).mean() > 0.4
