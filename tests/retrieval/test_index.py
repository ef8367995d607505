from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.errors import DataError
from feedmill.retrieval.index import FlatIndex, unit


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).standard_normal(shape).astype(np.float32)


@given(st.integers(2, 60), st.integers(0, 70), st.integers(0, 1000))
def test_equals_sorting_all_products(n: int, k: int, seed: int) -> None:
    """Small whole numbers, whose products are exact and often tie."""
    random = np.random.default_rng(seed)
    vectors = random.integers(-2, 3, (n, 3)).astype(np.float32)
    queries = random.integers(-2, 3, (4, 3)).astype(np.float32)
    keep = random.random(n) < 0.7
    for mask in (None, keep):
        rows, scores = FlatIndex(vectors).search(queries, k, mask)
        assert rows.shape == scores.shape == (4, min(k, n - 1))
        for r, products in enumerate(queries @ vectors.T):
            allowed = [i for i in range(1, n) if mask is None or mask[i]]
            best = sorted(allowed, key=lambda i: (-products[i], i))[:k]
            assert rows[r, : len(best)].tolist() == best
            assert scores[r, : len(best)].tolist() == products[best].tolist()
            assert (rows[r, len(best) :] == 0).all()
            assert (scores[r, len(best) :] == -np.inf).all()


@pytest.mark.parametrize("n", [0, 1])
def test_an_empty_index_answers(n: int) -> None:
    index = FlatIndex(np.zeros((n, 4), np.float32))
    assert len(index) == 0
    rows, scores = index.search(draw(2, 4), 10)
    assert rows.shape == scores.shape == (2, 0)


def test_no_query_no_answer() -> None:
    assert FlatIndex(draw(9, 4)).search(np.zeros((0, 4), np.float32), 3)[0].shape == (0, 3)


def test_all_masked_is_padding() -> None:
    rows, scores = FlatIndex(draw(5, 4)).search(draw(1, 4), 3, np.zeros(5, bool))
    assert rows.tolist() == [[0, 0, 0]]
    assert np.isneginf(scores).all()


def test_cosine_is_the_product_of_units() -> None:
    vectors, query = draw(50, 6), draw(1, 6)
    rows, scores = FlatIndex(unit(vectors)).search(unit(query), 49)
    lengths = np.linalg.norm(vectors[rows[0]], axis=1) * np.linalg.norm(query)
    np.testing.assert_allclose(scores[0], vectors[rows[0]] @ query[0] / lengths, rtol=1e-4, atol=1e-6)


def test_the_unit_of_zero_is_zero() -> None:
    assert unit(np.zeros((2, 3), np.float32)).tolist() == [[0] * 3] * 2


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(bad: float) -> None:
    vectors = draw(5, 4)
    with pytest.raises(DataError, match="query is not finite"):
        FlatIndex(vectors).search(np.full((1, 4), bad, np.float32), 3)
    vectors[3, 1] = bad
    with pytest.raises(DataError, match="row 3 is not finite"):
        FlatIndex(vectors)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(DataError, match="N x D"):
        FlatIndex(np.zeros(3, np.float32))
    with pytest.raises(DataError, match="R x 4"):
        FlatIndex(draw(5, 4)).search(draw(1, 3), 2)
    with pytest.raises(DataError, match="5 rows"):
        FlatIndex(draw(5, 4)).search(draw(1, 4), 2, np.ones(4, bool))


def test_a_search_holds_its_own_thread_to_one_openmp_thread() -> None:
    """OpenMP's setting belongs to the calling thread, so the thread that built the index cannot make it."""
    index = FlatIndex(draw(50, 4))

    def search() -> int:
        faiss.omp_set_num_threads(2)
        index.search(draw(1, 4), 3)
        return int(faiss.omp_get_max_threads())

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(search).result() == 1
