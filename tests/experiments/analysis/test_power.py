"""The calculator: textbook numbers, round trips, and experiments that find what it promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.analysis.audiences import habits, means
from feedmill.core.errors import DataError
from feedmill.experiments.analysis.compare import effect
from feedmill.experiments.analysis.power import Baseline, Design, baseline, least_effect, power, prospect, se, users

ONE = Baseline(n=1000, value=10.0, variance=1.0, cut=0.5)


def test_sixteen_times_the_variance_over_the_effect_squared() -> None:
    """Lehr's rule per arm: 2 (1.96 + 0.84)² = 15.7; the treated spread is as much larger as their mean."""
    grown = (1 + (1 + 0.1 / ONE.value) ** 2) / 2
    assert users(ONE, 0.1, Design(cuped=False)) == pytest.approx(2 * 15.698 * 100 * grown, abs=1)
    assert users(ONE, 0.1, Design()) == pytest.approx(15.698 * 100 * grown, abs=1)  # CUPED took half of it off
    assert se(ONE, 400, Design(cuped=False)) == pytest.approx(0.1)


def test_no_effect_is_found_as_often_as_alpha_says() -> None:
    assert power(ONE, 0.0, 500, Design(alpha=0.1)) == pytest.approx(0.1)


@given(st.floats(0.001, 10), st.floats(0.001, 0.2), st.floats(0.5, 0.99), st.floats(0.01, 0.5))
def test_users_least_effect_and_power_agree(delta: float, alpha: float, chance: float, share: float) -> None:
    design = Design(alpha=alpha, power=chance, share=share)
    n = users(ONE, delta, design)
    assert least_effect(ONE, n, design) <= delta * (1 + 1e-9)
    if n > 100:
        assert power(ONE, delta, n, design) == pytest.approx(chance, abs=0.02)


def test_users_who_are_too_few_for_any_effect_are_said_to_be() -> None:
    """Above a variance of share * (value / width)² * n, the spread grows faster than the effect."""
    wide = Baseline(n=4, value=1.0, variance=1.0, cut=0.0)
    assert least_effect(wide, 4, Design()) == float("inf")
    found = least_effect(wide, 100, Design())
    assert found == pytest.approx(2.8016 * se(wide, 100, Design(), found), rel=1e-4)
    assert least_effect(Baseline(n=4, value=0.0, variance=1.0, cut=0.0), 4, Design()) == pytest.approx(2.8016, rel=1e-4)


def test_the_baseline_is_that_of_the_users() -> None:
    x = baseline(means([1, 2, 3], [4, 5, 9]))
    assert (x.n, x.value, x.variance, x.cut) == (6, 4.0, pytest.approx(8.0), 0.0)
    assert baseline(habits(5000, 0)).cut > 0.2


def test_experiments_of_that_size_find_it() -> None:
    base = baseline(habits(50_000, 100, is_ratio=True))
    n = users(base, 0.05 * base.value, Design())
    found = [effect(habits(n, seed, 0.05, is_ratio=True), "treated", "control").p < 0.05 for seed in range(200)]
    assert 0.72 < np.mean(found) < 0.88


def test_a_prospect_says_what_there_is() -> None:
    units = habits(2000, 1)
    x = prospect(units, Design(), 0.02)
    assert x.effect == pytest.approx(0.02 * x.baseline.value)
    assert x.users > 2000
    assert x.least_effect > x.effect
    assert x.power < 0.8
    assert prospect(units, Design(), 0.02, absolute=3.0).effect == 3.0


def test_what_has_no_answer_says_why() -> None:
    with pytest.raises(DataError, match="an effect of 0"):
        users(ONE, 0.0, Design())
    with pytest.raises(DataError, match="users alike"):
        baseline(means([1, 1], [1, 1]))
    with pytest.raises(DataError, match="0 users"):
        baseline(means([], []))
