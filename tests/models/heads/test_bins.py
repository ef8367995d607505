from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.config import convert
from feedmill.core.errors import ConfigError, DataError
from feedmill.models.heads.bins import BinnedConfig, Bins, bins_of

TEN = np.arange(1, 11, dtype=np.float32)


def bins(seconds: np.ndarray, **parameters: object) -> Bins:
    return bins_of(convert(parameters, BinnedConfig), np.asarray(seconds, np.float32))


def test_equal_frequency_by_hand() -> None:
    found = bins(TEN[::-1], n_bins=5)
    assert found.edges.tolist() == [2, 4, 6, 8]
    assert found.lower.tolist() == [0, 2, 4, 6, 8]
    assert found.upper.tolist() == [2, 4, 6, 8, 10]
    assert found.mean.tolist() == [1.5, 3.5, 5.5, 7.5, 9.5]
    assert found.n_rows.tolist() == [2] * 5


def test_uniform_exponential_and_given_by_hand() -> None:
    found = bins(TEN, bins="uniform", width_s=3.0)
    assert found.edges.tolist() == [3, 6, 9]
    assert found.mean.tolist() == [2, 5, 8, 10]
    np.testing.assert_allclose(bins(TEN, bins="exponential", growth=2.0).edges, np.expm1([0.5, 1, 1.5, 2]), rtol=1e-6)
    found = bins(TEN, bins=[0.5, 4.5, 100.0])
    np.testing.assert_array_equal(found.edges, np.array([0.5, 4.5], np.float32))  # nothing lies above 100 s
    assert found.mean.tolist() == [0.25, 2.5, 7.5]  # the middle where there are no rows
    assert found.n_rows.tolist() == [0, 4, 6]


def test_medians() -> None:
    found = bins([1, 1, 4, 10, 20, 90], bins=[5.0])
    assert found.median.tolist() == [1, 20]
    assert found.mean.tolist() == [2, 40]


def test_a_label_that_many_share_is_not_cut_apart() -> None:
    found = bins([0] * 6 + [1, 2, 3, 4], n_bins=10)
    assert found.edges.tolist() == [0, 1, 2, 3]
    assert found.n_rows.tolist() == [6, 1, 1, 1, 1]
    assert bins([3] * 2 + [7] * 8, n_bins=2).edges.tolist() == [3]  # the median is the longest


def test_labels_are_capped() -> None:
    assert bins([1, 2, 5000], n_bins=3, cap_s=60.0).mean.tolist() == [1, 2, 60]


@given(st.lists(st.integers(0, 40), min_size=12, max_size=80), st.integers(2, 12))
def test_bins_part_the_rows(seconds: list[int], n_bins: int) -> None:
    t = np.array([*seconds, 41], np.float32) / 2
    found = bins(t, n_bins=n_bins)
    assert found.n_rows.min() > 0
    assert found.n_rows.sum() == len(t)
    assert len(found.mean) == len(found.edges) + 1 <= n_bins
    assert (np.diff(found.edges) > 0).all()
    assert ((found.mean <= found.upper) & ((found.mean > found.lower) | (found.lower == 0))).all()
    assert float(found.mean @ found.n_rows) == pytest.approx(float(t.sum()), rel=1e-5)
    assert found.share.sum() == pytest.approx(1)


@pytest.mark.parametrize("edges", [(), (3.0, 2.0), (2.0, 2.0), (0.0, 4.0), (-1.0, 4.0), (1.0, float("inf"))])
def test_edges_out_of_order_are_refused(edges: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match="each above the one before"):
        bins(TEN, bins=edges)


def test_labels_that_cannot_be_cut_are_refused() -> None:
    with pytest.raises(DataError, match="10 rows that were all watched 7 s"):
        bins(np.full(10, 7))
    with pytest.raises(DataError, match="10 rows that were all watched 5 s"):
        bins(TEN + 5, cap_s=5.0)
    with pytest.raises(DataError, match="10 rows for 11 bins"):
        bins(TEN, n_bins=11)
    with pytest.raises(DataError, match="10 rows for 21 bins"):
        bins(TEN + 0.25, bins="uniform", width_s=0.5)
    with pytest.raises(DataError, match="none of 10 watch times lies above"):
        bins(TEN, bins=[10.0, 20.0])
    with pytest.raises(ConfigError, match="10,000 bins"):
        bins(TEN, bins="uniform", width_s=0.001)
    with pytest.raises(ConfigError, match="bins"):
        bins(TEN, bins="square")
