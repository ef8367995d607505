from __future__ import annotations

import numpy as np

from contracts.scorer import REQUEST
from feedmill.core.batches import CandidateBatch, Floats, UserColumns
from feedmill.serve.scorers import Remembered, VectorScorer
from feedmill.state import State

VECTORS = np.array([[0, 0], [1, 0], [0, 1], [3, 4]], np.float32)


def viewer() -> UserColumns:
    return State().view("nobody", 0)


def encode(user: UserColumns) -> Floats:
    return np.array([[2, 1]] * len(user), np.float32)


def test_prerank_is_the_inner_product_and_missing_for_items_newer_than_the_vectors() -> None:
    batch = CandidateBatch.of("any", [3, 9, 1], [0, 0, 0])
    scores = VectorScorer(VECTORS, encode).score(REQUEST, viewer(), batch)
    np.testing.assert_array_equal(scores[:, 0], np.array([10, np.nan, 2], np.float32))


def test_retrieval_and_prerank_encode_a_user_once_between_them() -> None:
    asked: list[UserColumns] = []

    def counting(user: UserColumns) -> Floats:
        asked.append(user)
        return encode(user)

    remembered, first, second = Remembered(counting), viewer(), viewer()
    for user in (first, first, second, second, first):
        np.testing.assert_array_equal(remembered(user), encode(user))
    assert asked == [first, second, first]


def test_by_distance() -> None:
    scorer = VectorScorer(VECTORS, lambda user: np.array([[1, 1]], np.float32), is_l2=True)
    candidates = CandidateBatch.of("any", [2, 1], [0, 0])
    expected = -((VECTORS[[2, 1]] - 1) ** 2).sum(1)
    assert scorer.score(REQUEST, viewer(), candidates)[:, 0].tolist() == expected.tolist()


def test_candidates_of_a_user_without_a_vector_keep_their_order() -> None:
    scorer = VectorScorer(VECTORS, lambda user: np.zeros((1, 2), np.float32))
    scores = scorer.score(REQUEST, viewer(), CandidateBatch.of("any", [2, 1, 99], [0, 0, 0]))
    assert scores[0] > scores[1]
    assert np.isnan(scores[2])
