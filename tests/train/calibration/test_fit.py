from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.clock import rng
from feedmill.core.config import convert
from feedmill.core.errors import ConfigError, DataError
from feedmill.metrics.calibration import ece, pcoc
from feedmill.metrics.calibrators import Isotonic, Platt, Shifts, logit, sigmoid
from feedmill.train.calibration.fit import (
    CalibrationConfig,
    Observed,
    fit,
    fit_isotonic,
    fit_platt,
    fit_shifts,
    pooled,
)

KINDS = ("platt", "isotonic", "bucket")


def world(n: int, seed: int = 0, slope: float = 0.5, intercept: float = -1.0) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and predictions whose truth is sigmoid(slope logit(p) + intercept): too sure, and too high."""
    random = rng(seed, "world")
    p = sigmoid(random.normal(-2, 1.5, n))
    return (random.random(n) < sigmoid(slope * logit(p) + intercept)).astype(float), p


def best_rising(value: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """By brute force over all ways to cut into blocks."""
    n, best, fit_ = len(value), np.inf, value
    for cuts in itertools.product([False, True], repeat=n - 1):
        block = np.cumsum([0, *cuts])
        means = np.bincount(block, weight * value) / np.bincount(block, weight)
        error = (weight * (value - means[block]) ** 2).sum()
        if (np.diff(means) >= 0).all() and error < best - 1e-12:
            best, fit_ = error, means[block]
    return fit_


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 4)), min_size=1, max_size=7))
def test_pooled_is_the_best_rising_fit(drawn: list[tuple[int, int]]) -> None:
    value, weight = np.array(drawn, float).T
    start = pooled(value, weight)
    block = np.searchsorted(start, np.arange(len(value)), "right") - 1
    means = np.bincount(block, weight * value) / np.bincount(block, weight)
    np.testing.assert_allclose(means[block], best_rising(value, weight), atol=1e-9)
    assert (np.diff(means) > 0).all()


def test_platt_finds_what_was_planted() -> None:
    found = fit_platt(Observed.of(*world(60_000)))
    assert found.slope == pytest.approx(0.5, abs=0.03)
    assert found.intercept == pytest.approx(-1.0, abs=0.06)


def test_platt_is_the_minimum_of_log_loss() -> None:
    y, p = world(500)
    found, z = fit_platt(Observed.of(y, p)), logit(p)

    def loss(a: float, b: float) -> float:
        return float(np.logaddexp(0, -(2 * y - 1) * (a * z + b)).sum() + (a - 1) ** 2 / 2)

    least = loss(found.slope, found.intercept)
    for da, db in itertools.product([-0.01, 0, 0.01], repeat=2):
        assert loss(found.slope + da, found.intercept + db) >= least


def test_platt_never_turns_the_order_round() -> None:
    y, p = world(2000)
    assert fit_platt(Observed.of(1 - y, p)).slope == 1.0


def test_platt_far_away_and_separable_stays_finite() -> None:
    p = np.r_[np.full(50, 0.01), np.full(50, 0.02)]
    found = fit_platt(Observed.of(np.repeat([0, 1], 50), p))
    assert np.isfinite([found.slope, found.intercept]).all()
    rare = fit_platt(Observed.of(np.r_[1, np.zeros(9999)], np.full(10_000, 0.9)))
    assert rare(np.array([0.9]), np.zeros(1, int))[0] == pytest.approx(1e-4, rel=0.01)


def test_isotonic_by_hand() -> None:
    """Blocks {0.1}, {0.2, 0.3, 0.4} and {0.5} of 0, 1/3 and 1; the ends as if half a row more had been otherwise."""
    p, y = np.array([0.1, 0.2, 0.3, 0.4, 0.5]), np.array([0, 1, 0, 0, 1])
    found = fit_isotonic(Observed.of(y, p))
    values = found(p, np.zeros(5, int))
    assert values[[0, 4]] == pytest.approx([1 / 6, 1 - 0.25])
    np.testing.assert_allclose(values[1:4], 1 / 3, atol=0.002)
    assert (np.diff(values) > 0).all()


def test_isotonic_means_what_it_says_also_where_predictions_hardly_differ() -> None:
    for levels in (1, 2, 5, 400):
        random = rng(levels, "levels")
        p = 0.2 + 0.01 * random.integers(0, levels, 5000) / levels
        y = (random.random(5000) < 0.6).astype(float)
        for found in (fit_isotonic(Observed.of(y, p)), fit_platt(Observed.of(y, p))):
            assert pcoc(y, found(p, np.zeros(5000, int))) == pytest.approx(1, abs=0.005)
            assert found(np.array([0.05, 0.9]), np.zeros(2, int)) == pytest.approx([0.5, 0.85], abs=0.36)


def test_isotonic_gives_no_certainties_and_keeps_the_order() -> None:
    y, p = world(3000)
    found = fit_isotonic(Observed.of(y, p))
    assert 0 < found.y.min() < found.y.max() < 1
    grid = np.linspace(0.001, 0.999, 500)
    assert (np.diff(found(grid, np.zeros(500, int))) > 0).all(), "no two candidates become equal"


def test_shifts_make_the_mean_of_each_bucket_right() -> None:
    y, p = world(9000)
    bucket = rng(1, "bucket").integers(0, 4, len(y))
    found = fit_shifts(Observed.of(y, p, bucket=bucket), 3, 0.0)
    after = found(p, bucket)
    for k in range(4):
        assert pcoc(y[bucket == k], after[bucket == k]) == pytest.approx(1, abs=1e-6)


def test_a_bucket_of_few_rows_has_nearly_the_shift_of_all() -> None:
    y, p = world(9000)
    bucket = np.zeros(len(y), int)
    bucket[:5] = 1
    y[:5] = 1
    few = fit_shifts(Observed.of(y, p, bucket=bucket), 2, 500.0).shift
    overall = fit_shifts(Observed.of(y, p), 0, 0.0).shift[0]
    assert abs(few[1] - overall) < 0.15
    assert few[2] == pytest.approx(overall), "a bucket without rows"
    assert fit_shifts(Observed.of(y, p, bucket=bucket), 2, 0.0).shift[1] > 5


@pytest.mark.parametrize("kind", KINDS)
def test_held_out_rows_come_true_after(kind: str) -> None:
    bucket = rng(0, "bucket").integers(0, 3, 40_000)
    y, p = world(40_000)
    config = CalibrationConfig(kind=kind)  # type: ignore[arg-type]
    found = fit(config, Observed.of(y[:20_000], p[:20_000], bucket=bucket[:20_000]), 2)
    assert found is not None
    later, before = slice(20_000, None), ece(y[20_000:], p[20_000:])
    after = found(p[later], bucket[later])
    assert before > 0.05
    assert pcoc(y[later], after) == pytest.approx(1, abs=0.05)
    assert ece(y[later], after) < (0.01 if kind != "bucket" else before), "a shift cannot mend a slope"


@pytest.mark.parametrize("kind", KINDS)
def test_weights_count_like_repeats(kind: str) -> None:
    y, p = world(400)
    times, bucket = rng(2, "times").integers(1, 4, 400), np.arange(400) % 3
    config = CalibrationConfig(kind=kind, prior_count=0)  # type: ignore[arg-type]
    weighed = fit(config, Observed.of(y, p, times, bucket), 2)
    repeated = fit(config, Observed.of(*(np.repeat(c, times) for c in (y, p)), None, np.repeat(bucket, times)), 2)
    assert weighed is not None
    assert repeated is not None
    np.testing.assert_allclose(weighed(p, bucket), repeated(p, bucket), rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_one_class_fits_nothing(kind: str, label: float) -> None:
    config = CalibrationConfig(kind=kind)  # type: ignore[arg-type]
    assert fit(config, Observed.of(np.full(50, label), np.full(50, 0.3)), 2) is None
    assert fit(config, Observed.of(np.zeros(0), np.zeros(0)), 2) is None


@pytest.mark.parametrize("kind", KINDS)
def test_two_rows_are_enough_not_to_fail(kind: str) -> None:
    found = fit(CalibrationConfig(kind=kind), Observed.of(np.array([0, 1]), np.array([0.5, 0.5])), 9)  # type: ignore[arg-type]
    assert isinstance(found, Platt | Isotonic | Shifts)
    assert found(np.array([0.5]), np.zeros(1, int))[0] == pytest.approx(0.5, abs=1e-6)


def test_missing_rows_are_left_out_and_wrong_ones_refused() -> None:
    rows = Observed.of([1, np.nan, 0, 1], [0.5, 0.5, np.nan, 0.25], [1, 1, 1, 0])
    assert rows.labels.tolist() == [1]
    with pytest.raises(DataError, match="probabilities from"):
        Observed.of([1, 0], [1.5, 0.1])
    with pytest.raises(DataError, match="labels"):
        Observed.of([2, 0], [0.5, 0.1])
    with pytest.raises(DataError, match="lengths"):
        Observed.of([1], [0.5, 0.1])
    with pytest.raises(DataError, match="weights"):
        Observed.of([1, 0], [0.5, 0.1], [1, -1])


def test_the_config_refuses_what_it_does_not_know() -> None:
    with pytest.raises(ConfigError, match=r"rank\.calibration\.kind"):
        convert({"kind": "spline"}, CalibrationConfig, "rank.calibration")
    with pytest.raises(ConfigError, match=r"rank\.calibration\.share"):
        convert({"share": 0}, CalibrationConfig, "rank.calibration")
