import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from feedmill.features.quantile import fit_edges, with_powers


def cdf(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    return with_powers(values[None], edges[None])[:, 0]


def test_uniform_values_come_out_uniform() -> None:
    values = np.linspace(0, 100, 1001, dtype=np.float32)
    x = cdf(values, fit_edges(values, 33))
    assert np.abs(x - np.linspace(0, 1, 1001)).max() < 1e-3


def test_many_equal_values_share_the_middle_of_their_range() -> None:
    values = np.array([0.0] * 80 + list(range(1, 21)), np.float32)
    x = cdf(values, fit_edges(values, 101))
    assert np.unique(x[:80]).tolist() == [x[0]]
    assert 0.35 < x[0] < 0.45
    assert (np.diff(x[80:]) > 0).all()


def test_never_is_one_and_unknown_is_zero() -> None:
    edges = fit_edges(np.arange(10, dtype=np.float32), 4)
    assert cdf(np.array([np.inf, np.nan, -1e9, 1e9], np.float32), edges).tolist() == [1, 0, 0, 1]


def test_no_finite_values_fit_to_something_harmless() -> None:
    edges = fit_edges(np.full(5, np.nan, np.float32), 8)
    assert np.isfinite(cdf(np.array([1.0, np.nan], np.float32), edges)).all()


@given(
    arrays(np.float32, st.integers(1, 50), elements=st.floats(-1e6, 1e6, width=32)),
    arrays(np.float32, 20, elements=st.floats(width=32)),
)
def test_it_is_in_range_and_monotone(fitted: np.ndarray, asked: np.ndarray) -> None:
    x = cdf(asked, fit_edges(fitted, 16))
    assert ((x >= 0) & (x <= 1)).all()
    known = ~np.isnan(asked)
    order = np.argsort(asked[known], kind="stable")
    assert (np.diff(x[known][order]) >= -1e-6).all()


@given(
    arrays(np.float32, st.integers(1, 50), elements=st.sampled_from([-3.0, 0.0, 0.5, 1.0, 7.0])),
    arrays(np.float32, 20, elements=st.sampled_from([-9.0, -3.0, -0.1, 0.0, 0.25, 0.5, 0.9, 1.0, 7.0, 8.0])),
    st.integers(2, 40),
)
def test_it_is_the_share_of_edges_below_and_the_middle_of_those_that_are_equal(
    fitted: np.ndarray, asked: np.ndarray, n_edges: int
) -> None:
    edges = fit_edges(fitted, n_edges)
    low, high = np.searchsorted(edges, asked, "left"), np.searchsorted(edges, asked, "right")
    middle, between = (low + high - 1) / 2, np.interp(asked, edges, np.arange(n_edges))
    expected = np.where(high > low, middle, between) / (n_edges - 1)
    assert np.abs(cdf(asked, edges) - expected).max() < 1e-6


def test_each_column_comes_with_its_square_and_root() -> None:
    edges = np.array([[0.0, 4.0], [0.0, 1.0]], np.float32)
    out = with_powers(np.array([[1.0], [1.0]], np.float32), edges)
    assert out.tolist() == [[0.25, 1.0, 0.0625, 1.0, 0.5, 1.0]]
