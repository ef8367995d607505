from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.errors import DataError
from feedmill.metrics.calibration import ece, pcoc, reliability

rates = st.lists(st.integers(0, 20), min_size=1, max_size=80)


def test_pcoc() -> None:
    assert pcoc(np.array([1, 0, 0, 1]), np.array([0.5, 0.5, 0.5, 0.5])) == 1
    assert pcoc(np.array([10.0, 20.0]), np.array([30.0, 30.0])) == 2
    assert pcoc(np.array([1, 0]), np.array([0.5, 0.5]), weight=np.array([1, 3])) == 2
    assert np.isnan(pcoc(np.zeros(2), np.full(2, 0.1)))
    assert np.isnan(pcoc(np.empty(0), np.empty(0)))


def test_down_sampled_negatives_read_high_by_the_known_amount() -> None:
    kept = 0.01  # of the negatives; true rate 0.1 %
    labels, weight = np.array([1, 0]), np.array([1.0, 999.0])
    raw = 1 / (1 + 999 * kept)
    assert raw == pytest.approx(0.091, abs=1e-3)
    assert pcoc(labels, np.full(2, raw), weight) == pytest.approx(91, abs=0.1)
    assert pcoc(labels, np.full(2, raw / (raw + (1 - raw) / kept)), weight) == pytest.approx(1)


def test_ece_known_answers() -> None:
    labels = np.array([0, 1] * 50)
    assert ece(labels, np.full(100, 0.5)) == pytest.approx(0)
    assert ece(labels, np.full(100, 0.8)) == pytest.approx(0.3)
    halves = np.repeat([0.2, 0.9], 50)
    assert ece(labels, halves, n_bins=2) == pytest.approx((0.3 + 0.4) / 2)
    assert np.isnan(ece(np.empty(0), np.empty(0)))


@given(rates, st.integers(1, 12))
def test_buckets_hold_every_row_once_and_never_split_equals(drawn: list[int], n_bins: int) -> None:
    predicted = np.array(drawn) / 20
    table = reliability(predicted, predicted, n_bins)
    assert table.n.sum() == len(predicted)
    assert (table.n > 0).all()
    assert len(table.n) <= n_bins
    assert (np.diff(table.predicted) > 0).all(), "buckets of equals would have equal means"
    np.testing.assert_allclose(table.predicted, table.actual)


@given(rates)
def test_what_says_the_truth_has_no_error(drawn: list[int]) -> None:
    truth = np.array(drawn) / 20
    assert ece(truth, truth) == pytest.approx(0)


def test_refusals() -> None:
    with pytest.raises(DataError, match="2 outcomes for 1"):
        pcoc(np.zeros(2), np.zeros(1))
    with pytest.raises(DataError, match="1 predictions are not finite"):
        ece(np.zeros(2), np.array([np.inf, 0.1]))
