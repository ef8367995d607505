"""Metrics of seconds: answers by hand, and resamples as repeated rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.errors import DataError
from feedmill.metrics.calibration import pcoc
from feedmill.metrics.watch_time import METRICS, SecondsRows, mae, resamples, rmse, slope
from feedmill.metrics.xauc import xauc, xauc_by_user

rows = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 3)), min_size=1, max_size=40)


def columns(drawn: list[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    actual, predicted, user = (np.array(c) for c in zip(*drawn, strict=True))
    return actual / 2, predicted / 3, user


def test_errors_by_hand() -> None:
    actual, predicted = np.array([10.0, 20.0, 0.0]), np.array([13.0, 16.0, 0.0])
    assert mae(actual, predicted) == pytest.approx(7 / 3)
    assert rmse(actual, predicted) == pytest.approx(np.sqrt(25 / 3))
    assert mae(actual, predicted, np.array([1, 0, 1])) == pytest.approx(1.5)
    assert rmse(actual, predicted, np.array([2, 0, 0])) == pytest.approx(3)
    assert np.isnan(mae(np.empty(0), np.empty(0)))
    assert np.isnan(rmse(np.empty(0), np.empty(0)))


def test_the_median_has_the_least_absolute_error_and_the_mean_the_least_squared() -> None:
    actual = np.array([1.0, 2.0, 3.0, 4.0, 40.0])
    tries = np.linspace(0, 40, 401)
    assert tries[np.argmin([mae(actual, np.full(5, t)) for t in tries])] == pytest.approx(3)
    assert tries[np.argmin([rmse(actual, np.full(5, t)) for t in tries])] == pytest.approx(10)


def test_slope_by_hand() -> None:
    predicted = np.array([1.0, 2.0, 3.0, 4.0])
    assert slope(2 * predicted + 7, predicted) == pytest.approx(2)
    assert slope(np.array([1.0, 3.0, 2.0, 4.0]), predicted) == pytest.approx(0.8)  # 4 / 5
    assert slope(np.array([1.0, 3.0, 2.0, 4.0]), predicted, np.array([1, 0, 0, 1])) == pytest.approx(1)
    assert np.isnan(slope(predicted, np.full(4, 0.1)))
    assert np.isnan(slope(np.empty(0), np.empty(0)))


@given(rows, st.lists(st.integers(0, 2), min_size=4, max_size=4), st.integers(0, 3))
def test_a_resample_is_its_users_rows_repeated(drawn: list[tuple[int, int, int]], times: list[int], k: int) -> None:
    actual, predicted, user = columns(drawn)
    bucket = (np.arange(len(actual)) + k) % 3 - 1  # -1: of no bucket
    whole = SecondsRows(actual, predicted, user, bucket, 2)
    n = np.array([times[u] for u in np.unique(user)])
    again = np.repeat(np.arange(len(actual)), [times[u] for u in user])
    found = whole.metrics(np.stack([n, np.ones_like(n)]))
    np.testing.assert_array_equal(found[1], whole.metrics()[0])
    once = [1] * 4
    for row, at, drawn_times in ((found[0], again, times), (found[1], np.arange(len(actual)), once)):
        if not len(at):
            assert np.isnan(row).all()
            continue
        y, p, b = actual[at], predicted[at], bucket[at]
        expected = [mae(y, p), rmse(y, p), xauc(y, p), _own(user, actual, predicted, drawn_times), pcoc(y, p)]
        expected += [slope(y, p), *(pcoc(y[b == k], p[b == k]) for k in range(2))]
        np.testing.assert_allclose(row, expected, rtol=1e-9, atol=1e-9)


def _own(user: np.ndarray, actual: np.ndarray, predicted: np.ndarray, times: list[int]) -> float:
    """A user drawn twice is two users of the same XAUC, not one with twice the rows."""
    per = xauc_by_user(user, actual, predicted)
    weight = per.n * np.array([times[u] for u in per.user])
    return float(np.average(per.xauc, weights=weight)) if weight.sum() else float("nan")


def test_intervals_hold_the_value_and_repeat() -> None:
    random = np.random.default_rng(1)
    user = random.integers(0, 30, 600)
    actual = random.exponential(10, 600)
    predicted = actual * random.uniform(0.5, 1.5, 600)
    whole = SecondsRows(actual, predicted, user, user % 5)
    found = whole.intervals(resamples(whole.n_users, 200, 7))
    assert tuple(found) == whole.names == (*METRICS, *(f"PCOC fifth {k}" for k in range(1, 6)))
    assert all(i.low < i.mean < i.high and i.n == 30 for i in found.values())
    assert found["XAUC"].mean == pytest.approx(xauc(actual, predicted))
    assert found == whole.intervals(resamples(whole.n_users, 200, 7))
    wider = whole.intervals(resamples(whole.n_users, 200, 7), 0.99)
    assert all(wider[name].low <= found[name].low for name in found)


def test_refusals() -> None:
    two = np.ones(2)
    for of in (mae, rmse, slope):
        with pytest.raises(DataError, match="2 outcomes for 1"):
            of(two, np.ones(1))
        with pytest.raises(DataError, match="1 predictions are not finite"):
            of(two, np.array([1, np.nan]))
        with pytest.raises(DataError, match="2 outcomes are not finite"):
            of(np.full(2, np.inf), two)
    with pytest.raises(DataError, match="0 rows"):
        SecondsRows(np.empty(0), np.empty(0), np.empty(0))
    with pytest.raises(DataError, match=r"shape \(1, 2\)"):
        SecondsRows(two, two, np.zeros(2)).metrics(np.ones((1, 2)))
