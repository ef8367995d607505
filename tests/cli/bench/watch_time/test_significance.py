from __future__ import annotations

import math

import numpy as np
import pytest

from feedmill.cli.bench.watch_time.known import known
from feedmill.cli.bench.watch_time.significance import (
    OF_ORDER,
    OF_TRUTH,
    Judge,
    Measured,
    chance,
    differences,
    fifths,
    holm,
)  # fmt: skip
from feedmill.metrics.watch_time import mae
from feedmill.metrics.xauc import user_xauc, xauc

PART = known(True).validation


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge(PART, PART.duration, n_seeds=2, n_draws=40)


def said(noise: float, seed: int) -> np.ndarray:
    assert PART.true_mean is not None
    return (PART.true_mean * np.exp(noise * np.random.default_rng(seed).normal(size=len(PART)))).astype(np.float32)


def test_what_is_measured_is_the_mean_of_the_metrics_over_seeds(judge: Judge) -> None:
    each = [said(0.3, 0), said(0.3, 1)]
    found = judge(each, is_seconds=True)
    t, u = PART.seconds, PART.user
    assert found["MAE"].value == pytest.approx(np.mean([mae(t, p) for p in each]), rel=1e-6)
    assert found["XAUC"].value == pytest.approx(np.mean([xauc(t, p) for p in each]))
    assert found["XAUC per user"].value == pytest.approx(np.mean([user_xauc(u, t, p) for p in each]))
    assert {"PCOC fifth 1", "PCOC fifth 5", *OF_TRUTH} <= set(found)
    for measured in found.values():
        low, high = measured.interval
        assert low <= measured.value <= high


def test_who_says_the_truth_is_at_one(judge: Judge) -> None:
    truth = judge([said(0, 0)] * 2, is_seconds=True)
    assert truth["true mean ratio"].value == pytest.approx(1, abs=1e-5)
    assert truth["true mean ratio"].interval == pytest.approx((1, 1), abs=1e-5)
    assert truth["true mean error"].value == pytest.approx(0, abs=1e-5)
    low, high = truth["PCOC"].interval
    assert low < 1 < high


def test_of_what_is_no_seconds_only_the_order_counts(judge: Judge) -> None:
    assert set(judge([said(0, 0) / 1e6] * 2, is_seconds=False)) == set(OF_ORDER)


def test_the_same_draws_pair_heads_so_that_a_small_difference_shows(judge: Judge) -> None:
    better, worse = (judge([said(x, 0), said(x, 1)], is_seconds=True)["XAUC"] for x in (0.3, 0.5))
    found = differences({"a": better, "b": worse, "c": better}, "a")
    assert set(found) == {"b", "c"}
    assert found["b"].low <= found["b"].value <= found["b"].high < 0
    assert found["b"].p < 0.01
    width = found["b"].high - found["b"].low
    assert width < better.interval[1] - better.interval[0]
    assert (found["c"].value, found["c"].p) == (0, 1)


def test_p_is_that_of_the_normal_distribution() -> None:
    drawn = np.array([-1.0, 1.0] * 50) + 1.96
    assert chance(Measured(1.96, drawn)) == pytest.approx(0.05, abs=1e-3)
    assert chance(Measured(0.0, np.zeros(5))) == 1


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == pytest.approx([1, 1])
    assert holm([]) == []


def test_fifths_are_of_the_training_rows_and_unknown_lengths_are_in_none() -> None:
    lengths = np.arange(1, 101, dtype=np.float32)
    asked = np.array([1, 20, 21, 50, 99, 500, math.nan], np.float32)
    assert fifths(asked, lengths).tolist() == [0, 0, 1, 2, 4, 4, -1]
    assert fifths(asked, np.full(3, np.nan, np.float32)).tolist() == [-1] * 7
