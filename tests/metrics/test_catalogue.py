from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.errors import DataError
from feedmill.metrics.catalogue import coverage, popularity_bias, popularity_percentile


def rows(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def test_coverage_counts_items_once_and_not_the_padding() -> None:
    ranked = np.array([[1, 2, 0], [2, 3, 0]], np.int32)
    assert coverage(ranked, n_items=7) == 0.5
    assert coverage(np.zeros((2, 3), np.int32), n_items=7) == 0
    assert coverage(np.zeros((0, 3), np.int32), n_items=1) == 0


def test_percentiles() -> None:
    counts = np.array([0, 5, 100, 5, 1, 40])
    np.testing.assert_allclose(popularity_percentile(counts), [0, 0.375, 1, 0.375, 0, 0.75])
    np.testing.assert_allclose(popularity_percentile(np.array([0])), [0])
    np.testing.assert_allclose(popularity_percentile(np.array([0, 3])), [0, 0])


@given(st.lists(st.integers(0, 5), min_size=2, max_size=30))
def test_percentiles_average_to_a_half(drawn: list[int]) -> None:
    places = popularity_percentile(np.array([0, *drawn]))[1:]
    assert places.mean() == pytest.approx(0.5, abs=1e-6)
    assert ((places >= 0) & (places <= 1)).all()


def test_a_popular_list_leans_to_the_popular() -> None:
    counts = np.array([0, 1, 2, 3, 4, 5])
    bias = popularity_bias(np.array([[5, 4], [5, 0]], np.int32), rows(1, 3, 5), counts)
    assert bias.recommended == pytest.approx((1 + 0.75 + 1) / 3)
    assert bias.consumed == pytest.approx(0.5)
    assert bias.lift > 0
    assert np.isnan(popularity_bias(np.zeros((1, 2), np.int32), rows(), counts).lift)


def test_an_item_past_the_table_is_refused() -> None:
    with pytest.raises(DataError, match="item row 9"):
        popularity_bias(np.array([[9]], np.int32), rows(1), np.ones(3))
