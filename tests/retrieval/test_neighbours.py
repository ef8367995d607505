from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.channel import viewer
from feedmill.retrieval.neighbours import LookupConfig, NeighbourLookup, add_up, recent

ITEMS = st.lists(st.integers(1, 11), max_size=12)


def test_interest_times_similarity_is_added_up() -> None:
    """Four liked items, each with candidate 9 in its list: 2 x .1 + 1 x .4 + 4 x .2 + 3 x .6 = 3.2."""
    neighbours = np.array([[0], [9], [9], [9], [9]], np.int32)
    sims = np.array([[0], [0.1], [0.4], [0.2], [0.6]], np.float32)
    liked, like = np.array([1, 2, 3, 4], np.int32), np.array([2, 1, 4, 3], np.float32)
    rows, scores = add_up(liked, like, neighbours, sims, 5)
    assert rows.tolist() == [9]
    assert scores[0] == pytest.approx(3.2)


@given(ITEMS, st.integers(0, 15), st.integers(1, 4))
def test_equals_a_plain_loop(history: list[int], limit: int, width: int) -> None:
    draw = np.random.default_rng(width)
    neighbours = np.array([draw.permutation(np.arange(1, 12))[:width] for _ in range(10)], np.int32)
    neighbours[3, 1:] = 0  # a short list
    sims = draw.random((10, width)).astype(np.float32)
    weights = draw.random(len(history)).astype(np.float32)
    expected: dict[int, float] = {}
    for item, weight in zip(history, weights, strict=True):
        if item < 10:  # the others are newer than the lists
            for row, sim in zip(neighbours[item].tolist(), sims[item], strict=True):
                if row:
                    expected[row] = expected.get(row, 0) + float(weight) * float(sim)
    rows, scores = add_up(np.array(history, np.int32), weights, neighbours, sims, limit)
    best = sorted(expected, key=lambda row: (-expected[row], row))[:limit]
    assert rows.tolist() == best
    np.testing.assert_allclose(scores, [expected[row] for row in best], rtol=1e-5)


def test_lanes_and_recency_weigh_the_recent_items() -> None:
    config = LookupConfig(lanes={"clicked": 1.0, "liked": 3.0}, recency=0.5, last_n=2)
    rows, weights = recent(viewer(1, clicked=[7, 7, 8, 9], liked=[8]), config)
    assert rows.tolist() == [7, 8, 8]  # the second 7 is the same interest, 9 is beyond the last two
    assert weights.tolist() == [1, 0.5, 3]


def test_no_history_no_answer() -> None:
    arrays = {"neighbours": np.ones((3, 2), np.int32), "sims": np.ones((3, 2), np.float32)}
    assert len(NeighbourLookup("itemcf", LookupConfig(), arrays).answer(viewer(), 10)) == 0
