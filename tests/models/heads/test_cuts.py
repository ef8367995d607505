import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.errors import DataError
from feedmill.models.heads.cuts import bin_means, capped_labels, inner_edges


def test_labels_end_at_the_cap() -> None:
    assert capped_labels(np.array([1, 50], np.float32), 20.0).tolist() == [1, 20]


def test_labels_that_do_not_differ_below_the_cap_are_refused() -> None:
    with pytest.raises(DataError, match="all 2 watch times are 20 s"):
        capped_labels(np.array([30, 50], np.float32), 20.0)


def test_fewer_rows_than_bins_are_refused() -> None:
    with pytest.raises(DataError, match="2 watch times for 3 bins"):
        capped_labels(np.array([30, 50], np.float32), 60.0, 3)


def test_a_bin_ends_with_its_edge() -> None:
    t = np.array([1.0, 2, 3, 4, 5, 6])
    edges = inner_edges(t, np.array([1 / 3, 2 / 3]))
    assert edges.tolist() == [2, 4]
    assert bin_means(t, edges).tolist() == [1.5, 3.5, 5.5]


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 7.0, 60.0]), min_size=2, max_size=50), st.integers(2, 12))
def test_every_bin_holds_rows_however_many_are_equal(labels: list[float], n_bins: int) -> None:
    t = np.array(labels)
    if t.min() == t.max():
        return
    edges = inner_edges(t, np.arange(1, n_bins) / n_bins)
    rows = np.bincount(np.searchsorted(edges, t, side="left"), minlength=len(edges) + 1)
    assert (np.diff(edges) > 0).all()
    assert (rows > 0).all()
    assert rows @ bin_means(t, edges) == pytest.approx(t.sum())
