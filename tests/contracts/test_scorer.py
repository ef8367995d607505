"""Every kind of scorer against the suite; a new one is added to ``MAKE``."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from contracts import scorer as suite
from contracts.scorer import Made, Make
from feedmill.core.batches import Floats, Rows, UserColumns
from feedmill.core.events import EventBatch, Kind
from feedmill.features.served.trees_graph import TreesGraph
from feedmill.serve.scorers import GraphScorer, VectorScorer
from feedmill.state import State
from train.trees_world import World

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

    def score(self, user: UserColumns, items: Rows) -> Floats:
        return np.column_stack([items, 2 * items]).astype(np.float32)


def vector() -> Made:
    return Made(VectorScorer(VECTORS, encode), viewer("u"), viewer("nobody"), [3, 1, 2])


def graph() -> Made:
    return Made(GraphScorer(Doubling()), viewer("u"), viewer("nobody"), [3, 1, 2])


@cache
def trees() -> Made:
    world = World()
    scorer = GraphScorer(TreesGraph(world.fit(), world.state))
    return Made(scorer, world.state.view("u1", 0), world.state.view("nobody", 0), [3, 1, 2])


MAKE: dict[str, Make] = {"vector": vector, "graph": graph, "trees": trees}


@pytest.mark.parametrize("check", suite.CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("kind", list(MAKE))
def test_scorer(kind: str, check: Callable[[Make], None]) -> None:
    check(MAKE[kind])
