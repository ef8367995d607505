from __future__ import annotations

import numpy as np
import pytest

from contracts import scorer as suite
from contracts.scorer import Made, Make
from feedmill.core.batches import CandidateBatch, Floats, UserColumns
from feedmill.core.events import EventBatch, Kind
from feedmill.serve.scorers import GraphScorer, Remembered, VectorScorer
from feedmill.state import State

VECTORS = np.array([[0, 0], [1, 0], [0, 1], [3, 4]], np.float32)


def viewer(user_id: str) -> UserColumns:
    state = State()
    state.fold(EventBatch.rows([{"kind": Kind.CLICK, "user_id": "u", "item_id": "i"}]))
    return state.view(user_id, 0)


def encode(user: UserColumns) -> Floats:
    return np.array([[2, 1]] * len(user), np.float32)


class Doubling:
    """A graph whose heads are known functions of the item row."""

    heads = ("click", "like")

    def score(self, user: UserColumns, items: np.ndarray) -> Floats:
        return np.column_stack([items, 2 * items]).astype(np.float32)


def vector() -> Made:
    return Made(VectorScorer(VECTORS, encode), viewer("u"), viewer("nobody"), [3, 1, 2])


def graph() -> Made:
    return Made(GraphScorer(Doubling()), viewer("u"), viewer("nobody"), [3, 1, 2])


@pytest.mark.parametrize("check", suite.CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("make", [vector, graph])
def test_contract(make: Make, check: object) -> None:
    assert callable(check)
    check(make)


def test_prerank_is_the_inner_product_and_missing_for_items_newer_than_the_vectors() -> None:
    batch = CandidateBatch.of("any", [3, 9, 1], [0, 0, 0])
    scores = VectorScorer(VECTORS, encode).score(suite.REQUEST, viewer("u"), batch)
    np.testing.assert_array_equal(scores[:, 0], np.array([10, np.nan, 2], np.float32))


def test_retrieval_and_prerank_encode_a_user_once_between_them() -> None:
    asked: list[UserColumns] = []

    def counting(user: UserColumns) -> Floats:
        asked.append(user)
        return encode(user)

    remembered, first, second = Remembered(counting), viewer("u"), viewer("u")
    for user in (first, first, second, second, first):
        np.testing.assert_array_equal(remembered(user), encode(user))
    assert asked == [first, second, first]
