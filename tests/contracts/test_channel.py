"""Every registered channel against the suite; a new one is added to ``MAKE``."""

from __future__ import annotations

import inspect
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from contracts import channel as suite
from contracts.channel import Made, Make
from feedmill.core.batches import Floats, Interactions, Part, UserColumns
from feedmill.core.clock import rng
from feedmill.core.events import EventBatch, Kind
from feedmill.retrieval import CHANNELS
from feedmill.retrieval.vector import VectorChannel
from feedmill.state import State

DIM = 8


@lru_cache
def state_of(n_items: int) -> State:
    """A state that has met items i1, i2, …"""
    state = State()
    ids = [f"i{row}" for row in range(1, n_items)]
    if ids:
        state.fold(EventBatch.of({"kind": int(Kind.ITEM), "item_id": ids, "payload": "{}"}))
    return state


def counting(kind: str, **parameters: Any) -> Make:
    cls: Any = CHANNELS[kind]
    config = msgspec.convert(parameters, cls.Config)

    def make(interactions: Interactions) -> Made:
        state = state_of(interactions.n_items)
        return Made(cls.build(interactions, state, config, seed=1), lambda part: cls(kind, config, part, state))

    return make


def vector(metric: str) -> Make:
    config = msgspec.convert({"metric": metric}, VectorChannel.Config)

    def encoder(user: UserColumns) -> Floats:
        vectors = [rng(int(row), "user").standard_normal(DIM) for row in user.row]
        return np.array(vectors, np.float32).reshape(len(user), DIM)

    def make(interactions: Interactions) -> Made:
        vectors = rng(1, "items").standard_normal((interactions.n_items, DIM)).astype(np.float32)
        vectors[4:8] = vectors[4:5]  # twins, so that there are ties
        state = state_of(interactions.n_items)
        part = Part("vector", {"metric": metric}, {"item_vectors": vectors})
        return Made(part, lambda part: VectorChannel("vector", config, part, state, encoder=encoder))

    return make


MAKE: dict[str, Make] = {
    "popular": counting("popular"),
    "popular, all time": counting("popular", half_life_days=0),
    "itemcf": counting("itemcf"),
    "itemcf, all options": counting(
        "itemcf",
        top_k=5,
        last_n=3,
        lanes={"clicked": 1.0, "liked": 2.0},
        recency=0.9,
        iuf=True,
        user_exponent=0.5,
        norm="count",
        item_exponent=0.3,
        history_exponent=0,
        shrinkage=2,
        scale_rows=True,
        max_users_per_item=6,
        max_items_per_user=8,
    ),
    "vector": vector("inner_product"),
    "vector, cosine": vector("cosine"),
}
CHECKS = [name for name in vars(suite) if name.startswith("check_")]


def test_every_registered_channel_is_checked() -> None:
    assert {name.split(",")[0] for name in MAKE} == set(CHANNELS)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("kind", MAKE)
def test_channel(kind: str, check: str, tmp_path: Path) -> None:
    run = getattr(suite, check)
    run(MAKE[kind], tmp_path) if "folder" in inspect.signature(run).parameters else run(MAKE[kind])
