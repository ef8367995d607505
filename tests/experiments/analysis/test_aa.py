"""5,000 A/A tests: the interval of the false-positive rate contains 5 %, for means, ratios and CUPED."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.analysis.audiences import habits, means
from feedmill.core.clock import rng
from feedmill.core.errors import DataError
from feedmill.experiments.analysis.aa import Rate, Splits, assignments, drawn, false_positives
from feedmill.experiments.analysis.compare import differences, effect
from feedmill.experiments.analysis.moments import Products
from feedmill.metrics.rollup.units import Units


@pytest.mark.parametrize("cuped", [False, True])
@pytest.mark.parametrize(("share", "n"), [(0.5, 4000), (0.3, 8000)])
def test_five_percent_are_told_apart(cuped: bool, share: float, n: int) -> None:
    metrics = {"mean": habits(n, 1), "ratio": habits(n, 1, is_ratio=True)}
    seen: list[float] = []
    rates = false_positives(metrics, Splits(5000, share, seed=2), cuped=cuped, advance=seen.append)
    for rate in rates.values():
        assert rate.n == 5000
        assert rate.low <= 0.05 <= rate.high
    assert sum(seen) == 10_000


def test_a_small_arm_pays_for_what_cuped_fits() -> None:
    """18 users of 600, and a history that says nothing: not much more than 5 %, as without CUPED."""
    draw, n = rng(3, "small"), 600
    was_there = draw.random(n) < 0.7
    num, before, times = draw.normal(10, 2, n), draw.normal(5, 2, n) * was_there, draw.integers(1, 9, n) * was_there
    units = Units(("all",), np.zeros(n, np.int32), num, np.ones(n), before, times.astype(np.float64))
    splits = Splits(4000, 0.03, 1)
    assert false_positives({"m": units}, splits)["m"].share < 0.07
    assert false_positives({"m": units}, splits, cuped=False)["m"].share == pytest.approx(0.05, abs=0.01)


def test_an_effect_is_no_false_positive() -> None:
    """The machinery would notice: users of which one half has 5 % more."""
    units = habits(4000, 1)
    moved = Products(habits(4000, 1, 0.2))
    members = (units.arm == 1).astype(np.float64)[None]
    assert differences(moved.of(members), moved.of(1 - members)).p()[0] < 0.001


def test_splits_are_what_effect_says_of_them() -> None:
    units, splits = habits(300, 3), Splits(4, 0.5, 7)
    (found,) = drawn(Products(units), splits)
    (members,) = assignments(300, splits)
    for k in range(4):
        units.arm[:] = members[k]
        one = effect(units, "treated", "control")
        assert (found.difference[k], found.se[k], found.p()[k]) == pytest.approx((one.difference, one.se, one.p))


def test_splits_repeat_and_differ() -> None:
    one, same, other = (next(assignments(50, Splits(10, 0.3, seed))) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    assert np.concatenate(list(assignments(1000, Splits(200, 0.3)))).mean() == pytest.approx(0.3, abs=0.01)


def test_a_rate_has_the_exact_binomial_interval() -> None:
    assert Rate.of(0, 10).high == pytest.approx(1 - 0.025**0.1)
    assert Rate.of(5, 10).share == 0.5


def test_too_few_or_equal_users_say_so() -> None:
    with pytest.raises(DataError, match="3 users"):
        false_positives({"m": means([1], [2, 3])}, Splits(10))
    with pytest.raises(DataError, match="users alike"):
        false_positives({"m": means([1, 1, 1], [1, 1, 1])}, Splits(10))
