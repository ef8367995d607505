"""Differences of means and ratios: by hand, as SciPy's Welch, as the bootstrap; what CUPED may and may not do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from experiments.analysis.audiences import habits, means
from feedmill.core.clock import rng
from feedmill.core.errors import DataError
from feedmill.experiments.analysis.compare import Effect, effect
from feedmill.metrics.rollup.units import Units


def compared(units: Units, cuped: bool = True) -> Effect:
    return effect(units, "treated", "control", cuped=cuped)


def test_means_by_hand() -> None:
    x = compared(means([1, 2, 3], [2, 4, 6]))
    assert (x.value_control, x.value, x.difference) == pytest.approx((2, 4, 2))
    assert x.se == pytest.approx(np.sqrt(1 / 3 + 4 / 3))
    assert x.relative == pytest.approx(1)
    assert (x.n, x.n_control, x.is_rough, x.is_adjusted) == (3, 3, True, False)


def test_a_ratio_by_hand() -> None:
    num, den = np.array([1.0, 3, 2, 6]), np.array([2.0, 2, 2, 4])
    units = replace(means([1, 3], [2, 6]), num=num, den=den)
    x = compared(units)
    assert (x.value_control, x.value) == pytest.approx((1, 8 / 6))
    # Control: R = 1, mean den 2, so L = (num - den) / 2 = -1/2, 1/2: variance 1/2, of the mean 1/4.
    # Treated: R = 4/3, mean den 3, L = (2 - 8/3) / 3, (6 - 16/3) / 3 = -2/9, 2/9: variance 8/81, of the mean 4/81.
    assert x.se == pytest.approx(np.sqrt(1 / 4 + 4 / 81))


def test_means_are_as_welch_says() -> None:
    draw = rng(1, "welch")
    control, treated = draw.lognormal(0, 1, 300), draw.lognormal(0.1, 1.3, 200)
    x, theirs = compared(means(control, treated)), stats.ttest_ind(treated, control, equal_var=False)
    assert x.p == pytest.approx(theirs.pvalue)
    low, high = theirs.confidence_interval()
    assert (x.low, x.high) == pytest.approx((low, high))


def test_a_ratio_is_as_the_bootstrap_says() -> None:
    units, draw = habits(3000, 2, is_ratio=True), rng(2, "bootstrap")
    ratios = []
    for arm in (units.of("control"), units.of("treated")):
        rows = draw.integers(0, len(arm), (1000, len(arm)))
        ratios.append(arm.num[rows].sum(axis=1) / arm.den[rows].sum(axis=1))
    assert compared(units, cuped=False).se == pytest.approx(np.std(ratios[1] - ratios[0]), rel=0.08)


def test_cuped_takes_off_the_squared_correlation() -> None:
    n, inside = 2000, 0
    for seed in range(200):
        draw = rng(seed, "cuped")
        before = draw.normal(10, 2, n)
        num = before + draw.normal(0, 2, n)  # correlation 0.71
        arm = draw.integers(0, 2, n).astype(np.int32)
        ones = np.ones(n)
        x = compared(Units(("control", "treated"), arm, num + 0.5 * arm, ones, before, ones))
        inside += x.low < 0.5 < x.high
        assert x.is_adjusted
        assert x.cut == pytest.approx(0.5, abs=0.08)
        assert x.se == pytest.approx(2 * 2 / np.sqrt(n), rel=0.07)
    assert 180 <= inside <= 198


@pytest.mark.parametrize("is_ratio", [False, True])
def test_cuped_moves_no_effect_and_narrows_it(is_ratio: bool) -> None:
    units = habits(20_000, 4, 0.1, is_ratio=is_ratio)
    plain, adjusted = compared(units, cuped=False), compared(units)
    assert adjusted.se < 0.8 * plain.se
    assert adjusted.cut == pytest.approx(1 - (adjusted.se / plain.se) ** 2)
    assert abs(adjusted.difference - plain.difference) < 3 * plain.se
    assert adjusted.relative_low is not None
    assert adjusted.relative_high is not None
    assert adjusted.relative_low < 0.1 < adjusted.relative_high
    assert (adjusted.value, adjusted.value_control) == (plain.value, plain.value_control)


def test_cuped_undoes_an_unlucky_split() -> None:
    """All of the difference was there before."""
    draw, n = rng(5, "unlucky"), 1000
    before = draw.lognormal(0, 1, n)
    arm = (before > np.median(before)).astype(np.int32)
    ones = np.ones(n)
    x = compared(Units(("control", "treated"), arm, before + draw.normal(0, 0.1, n), ones, before, ones))
    assert abs(x.difference) < 0.05
    assert x.value - x.value_control > 1


def test_history_that_says_nothing_is_not_used() -> None:
    units = means(rng(6, "a").normal(5, 1, 500), rng(6, "b").normal(5, 1, 500))
    nothing = compared(units)
    assert not nothing.is_adjusted
    assert nothing == compared(replace(units, num_before=np.ones(1000), den_before=np.ones(1000)))
    assert nothing.p == compared(units, cuped=False).p


numbers = st.lists(st.integers(0, 1000), min_size=3, max_size=30).filter(lambda x: len(set(x)) > 1)


@given(numbers, numbers)
def test_swapping_the_arms_negates(control: list[int], treated: list[int]) -> None:
    units = means(control, treated)
    one, other = compared(units), effect(units, "control", "treated")
    assert (one.difference, one.low, one.high) == pytest.approx((-other.difference, -other.high, -other.low))
    assert (one.se, one.p, one.cut) == pytest.approx((other.se, other.p, other.cut))
    if one.relative is not None and other.relative is not None:
        assert (1 + one.relative) * (1 + other.relative) == pytest.approx(1)


@given(numbers, numbers)
def test_the_relative_interval_agrees_with_the_difference(control: list[int], treated: list[int]) -> None:
    x = compared(means(control, treated))
    if x.relative_low is not None and x.relative_high is not None:
        assert x.relative_low <= (x.relative or 0) <= x.relative_high
        if min(abs(x.low), abs(x.high)) > 1e-9:
            assert (x.relative_low < 0 < x.relative_high) == (x.low < 0 < x.high)


@given(st.integers(0, 50), st.floats(1e-6, 1e6), st.booleans())
@settings(max_examples=30)
def test_units_of_measurement_do_not_matter(seed: int, scale: float, is_ratio: bool) -> None:
    units = habits(200, seed, is_ratio=is_ratio)
    one, other = compared(units), compared(replace(units, num=scale * units.num, num_before=scale * units.num_before))
    assert other.difference == pytest.approx(scale * one.difference, rel=1e-6, abs=1e-9 * scale)
    assert (other.p, other.cut, other.se) == pytest.approx((one.p, one.cut, scale * one.se), rel=1e-6)
    assert other.relative == pytest.approx(one.relative, rel=1e-6, abs=1e-9)


def test_what_cannot_be_compared_says_why() -> None:
    with pytest.raises(DataError, match="two at least"):
        compared(means([1], [1, 2]))
    with pytest.raises(DataError, match="users alike"):
        compared(means([1, 1], [1, 1]))
    with pytest.raises(DataError, match="users alike"):  # each arm is, and they differ: rounding is no variance
        compared(means([5] * 103, [7] * 117))
    with pytest.raises(DataError, match="divide by"):
        compared(replace(means([1, 2], [1, 2]), den=np.array([0.0, 0, 1, 1])))
    with pytest.raises(DataError, match='no arm "other"'):
        effect(means([1, 2], [1, 2]), "other", "control")
