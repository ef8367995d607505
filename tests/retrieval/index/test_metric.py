from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from feedmill.retrieval.index.metric import prepared, scores_at, top, unit


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).standard_normal(shape).astype(np.float32)


def test_the_unit_of_zero_is_zero() -> None:
    assert unit(np.zeros((2, 3), np.float32)).tolist() == [[0] * 3] * 2


def test_unit_has_length_one() -> None:
    np.testing.assert_allclose(np.linalg.norm(unit(draw(9, 5)), axis=1), 1, rtol=1e-6)


def test_only_the_cosine_needs_a_copy() -> None:
    vectors = draw(5, 4)
    assert prepared(vectors, "l2") is vectors
    assert prepared(vectors, "cosine") is not vectors


def test_scores_by_hand() -> None:
    vectors = np.array([[0, 0], [3, 4], [1, 0]], np.float32)
    at = np.array([2, 1])
    assert scores_at(np.array([1, 0], np.float32), vectors, at, "inner_product").tolist() == [1, 3]
    assert scores_at(np.array([1, 0], np.float32), vectors, at, "l2").tolist() == [0, -20]
    np.testing.assert_allclose(scores_at(np.array([1, 0], np.float32), vectors, at, "cosine"), [1, 0.6])


def test_equal_vectors_have_equal_scores_wherever_they_stand() -> None:
    vectors, query = draw(1000, 37), draw(37)
    vectors[[3, 500, 999]] = vectors[3]
    for metric in ("inner_product", "cosine", "l2"):
        for at in (np.arange(1000), np.array([999, 3, 7, 500])):
            scores = scores_at(query, vectors, at, metric)  # type: ignore[arg-type]
            assert len(set(scores[np.isin(at, [3, 500, 999])].tolist())) == 1


def test_no_rows_no_scores() -> None:
    assert scores_at(draw(4), draw(9, 4), np.zeros(0, np.int64), "cosine").shape == (0,)


@given(st.lists(st.integers(0, 4), max_size=30), st.integers(-1, 40))
def test_top_equals_sorting(values: list[int], k: int) -> None:
    rows = np.random.default_rng(len(values)).permutation(len(values)).astype(np.int32)
    best = sorted(zip(rows.tolist(), values, strict=True), key=lambda rv: (-rv[1], rv[0]))[: max(k, 0)]
    found, scores = top(rows, np.array(values, np.float32), k)
    assert list(zip(found.tolist(), scores.tolist(), strict=True)) == best
