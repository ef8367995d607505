from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.retrieval.index import Metric, VectorIndex
from feedmill.retrieval.index.build import build, chosen
from feedmill.retrieval.index.flat import Flat


@given(st.integers(2, 60), st.integers(0, 70), st.integers(0, 1000), st.sampled_from(["inner_product", "l2"]))
def test_equals_sorting_all_scores(n: int, k: int, seed: int, metric: Metric) -> None:
    """Small whole numbers, whose scores are exact and often tie."""
    random = np.random.default_rng(seed)
    vectors = random.integers(-2, 3, (n, 3)).astype(np.float32)
    queries = random.integers(-2, 3, (4, 3)).astype(np.float32)
    index = VectorIndex(build(vectors, chosen("flat"), metric), few=0)
    there = [i for i in range(1, n) if vectors[i].any()]
    for mask in (None, random.random(n) < 0.7):
        rows, scores = index.search(queries, k, mask)
        assert rows.shape == scores.shape == (4, min(k, len(there)))
        for r, query in enumerate(queries):
            true = vectors @ query if metric == "inner_product" else -((vectors - query) ** 2).sum(1)
            allowed = [i for i in there if mask is None or mask[i]]
            best = sorted(allowed, key=lambda i: (-true[i], i))[:k]
            assert rows[r, : len(best)].tolist() == best
            assert scores[r, : len(best)].tolist() == true[best].tolist()
            assert (rows[r, len(best) :] == 0).all()
            assert (scores[r, len(best) :] == -np.inf).all()


@pytest.mark.parametrize("metric", ["inner_product", "l2"])
def test_ties_at_the_cut_go_to_those_that_stand_first(metric: Metric) -> None:
    vectors = np.tile(np.array([[1, 0], [0, 1]], np.float32), (500, 1))
    found = Flat(vectors, metric).find(np.array([[1, 0]] * 40, np.float32), 7, None, 1)
    assert (np.sort(found, axis=1) == np.arange(0, 14, 2)).all()
    keep = np.arange(1000) >= 100
    assert np.sort(Flat(vectors, metric).find(np.array([[0, 1]], np.float32), 2, keep, 1)).tolist() == [[101, 103]]


def test_an_answer_does_not_depend_on_how_many_ask_at_once() -> None:
    random = np.random.default_rng(0)
    index = VectorIndex.build(random.standard_normal((5000, 24)).astype(np.float32), "flat")
    queries = random.standard_normal((50, 24)).astype(np.float32)
    rows, scores = index.search(queries, 20)
    for r in range(50):
        one, alone = index.search(queries[r : r + 1], 20)
        assert one[0].tolist() == rows[r].tolist()
        assert alone[0].tolist() == scores[r].tolist()
