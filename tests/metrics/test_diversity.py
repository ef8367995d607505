from __future__ import annotations

import itertools
from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from feedmill.core.errors import DataError
from feedmill.metrics.diversity import gini, n_distinct, topics_apart, vectors_apart


def test_vectors_apart_by_hand() -> None:
    east, north, both = [1, 0], [0, 2], [3, 3]
    assert vectors_apart(np.array([east, north], np.float32)) == pytest.approx(1)
    assert vectors_apart(np.array([east, east], np.float32)) == pytest.approx(0)
    assert vectors_apart(np.array([east, [-5, 0]], np.float32)) == pytest.approx(2)
    assert vectors_apart(np.array([east, north, both], np.float32)) == pytest.approx(1 - 2 * np.sqrt(0.5) / 3)


def test_an_item_without_a_vector_is_left_out() -> None:
    rows = np.array([[1, 0], [0, 0], [np.nan, 1], [1, 0]], np.float32)
    assert vectors_apart(rows) == pytest.approx(0)
    assert isnan(vectors_apart(rows[:3]))
    assert isnan(vectors_apart(np.zeros((0, 0), np.float32)))


def test_topics_apart_by_hand() -> None:
    assert topics_apart(np.array([[1, 2], [2, 3]], np.int32)) == pytest.approx(2 / 3)
    assert topics_apart(np.array([[1, 2], [2, 1]], np.int32)) == pytest.approx(0)
    assert topics_apart(np.array([[1, 1], [1, 0]], np.int32)) == pytest.approx(0)
    assert topics_apart(np.array([[1, 0], [2, 0], [0, 0]], np.int32)) == pytest.approx(1)
    assert topics_apart(np.array([[1, 0], [1, 0], [2, 0]], np.int32)) == pytest.approx(2 / 3)
    assert isnan(topics_apart(np.array([[1, 0], [0, 0]], np.int32)))
    assert isnan(topics_apart(np.zeros((3, 2), np.int32)))


@given(arrays(np.int32, (6, 3), elements=st.integers(0, 4)), arrays(np.float64, (6, 3), elements=st.integers(-3, 3)))
def test_both_are_the_mean_over_pairs(topics: np.ndarray, vectors: np.ndarray) -> None:
    sets = [set(row[row > 0].tolist()) for row in topics if row.any()]
    pairs = [len(a & b) / len(a | b) for a, b in itertools.combinations(sets, 2)]
    assert topics_apart(topics) == pytest.approx(1 - np.mean(pairs) if pairs else np.nan, nan_ok=True)
    some = [v / np.linalg.norm(v) for v in vectors if v.any()]
    cosines = [float(a @ b) for a, b in itertools.combinations(some, 2)]
    assert vectors_apart(vectors) == pytest.approx(1 - np.mean(cosines) if cosines else np.nan, abs=1e-9, nan_ok=True)


def test_distinct_counts_names_and_not_the_padding() -> None:
    assert n_distinct(np.array([[1, 2], [2, 0], [0, 0]], np.int32)) == 2
    assert n_distinct(np.zeros(4, np.int32)) == 0


def test_gini_by_hand() -> None:
    assert gini(np.array([3, 3, 3])) == pytest.approx(0)
    assert gini(np.array([0, 0, 0, 8])) == pytest.approx(3 / 4)
    assert gini(np.array([1, 3])) == pytest.approx(1 / 4)
    assert isnan(gini(np.zeros(5)))
    assert isnan(gini(np.zeros(0)))
    with pytest.raises(DataError, match="a count of -1"):
        gini(np.array([-1, 2]))


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12).filter(any))
def test_gini_is_half_the_mean_difference_over_the_mean(counts: list[int]) -> None:
    x = np.array(counts, float)
    by_pairs = abs(x[:, None] - x).mean() / (2 * x.mean())
    assert gini(x) == pytest.approx(by_pairs, abs=1e-12)
    assert gini(3 * x[::-1]) == pytest.approx(gini(x))
