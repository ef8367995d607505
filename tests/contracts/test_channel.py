"""Every registered channel against the suite; a new one is added to ``MAKE``."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from contracts import channel as suite
from contracts.channel import REQUEST, Made, Make
from feedmill.core.batches import Floats, Interactions, Part, UserColumns
from feedmill.core.clock import rng
from feedmill.core.events import EventBatch, Kind
from feedmill.retrieval import CHANNELS
from feedmill.retrieval.text import TextChannel, TextChannelConfig
from feedmill.retrieval.unshown import UnshownChannel
from feedmill.retrieval.vector import VectorChannel, with_index
from feedmill.state import State

DIM = 8


@lru_cache
def state_of(n_items: int) -> State:
    """A state that has met users u1 to u29, and items i1, i2, … of three authors, four topics and two cities; two of
    three are advertisements."""
    state, rows = State(), range(1, n_items)
    users = {f"u{k}": {"city": f"c{k % 2}", "group": f"g{k % 3}", "cell": f"u33d{k % 2}"} for k in range(1, 30)}
    state.fold(
        EventBatch.of({"kind": int(Kind.USER), "user_id": list(users), "payload": [*map(json.dumps, users.values())]})
    )
    state.fold(EventBatch.of({"kind": int(Kind.SEARCH), "user_id": ["u3"], "payload": "what user 3 looks for"}))
    items = [
        {
            "author_id": f"a{k % 3}",
            "topics": [f"t{k % 4}", "all"],
            "city": f"c{k % 2}",
            "cell": f"u33{'bcdef'[k % 5]}{k % 2}",
            "publish_ms": 1_000 + k // 2 * 100,
            **({"slot": "ad", "bid": k // 4 % 5} if k % 3 else {}),
        }
        for k in rows
    ]
    if items:
        ids, payloads = [f"i{k}" for k in rows], [json.dumps(about) for about in items]
        state.fold(EventBatch.of({"kind": int(Kind.ITEM), "item_id": ids, "payload": payloads}))
    return state


def counting(kind: str, **parameters: Any) -> Make:
    cls: Any = CHANNELS[kind]
    config = msgspec.convert(parameters, cls.Config)

    def make(interactions: Interactions) -> Made:
        state = state_of(interactions.n_items)
        return Made(cls.build(interactions, state, config, seed=1), lambda part: cls(kind, config, part, state))

    return make


def remembering(**parameters: Any) -> Make:
    """The channel of leftovers, of which user 3 has some."""
    config = msgspec.convert(parameters, UnshownChannel.Config)

    def make(interactions: Interactions) -> Made:
        state = state_of(interactions.n_items)
        part = UnshownChannel.build(interactions, state, config, seed=1)

        def open_(part: Part) -> UnshownChannel:
            channel = UnshownChannel("unshown", config, part, state)
            rows = np.arange(1, interactions.n_items, dtype=np.int32)
            for many, at in ((rows[:20], REQUEST.time_ms - 9), (rows[10:], REQUEST.time_ms - 5)):
                channel.remember(3, many, many % 7, at)
            return channel

        return Made(part, open_)

    return make


def vector(metric: str, index: str = "auto", *, looked_up: bool = False) -> Make:
    config = msgspec.convert({"metric": metric, "index": index}, VectorChannel.Config)

    def encoder(user: UserColumns) -> Floats:
        vectors = [rng(int(row), "user").standard_normal(DIM) for row in user.row]
        return np.array(vectors, np.float32).reshape(len(user), DIM)

    def make(interactions: Interactions) -> Made:
        vectors = rng(1, "items").standard_normal((interactions.n_items, DIM)).astype(np.float32)
        vectors[4:8] = vectors[4:5]  # twins, so that there are ties
        state = state_of(interactions.n_items)
        users = rng(2, "users").standard_normal((30, DIM)).astype(np.float32)
        arrays = {"item_vectors": vectors, **({"user_vectors": users} if looked_up else {})}
        part = with_index(Part("vector", {"metric": metric}, arrays), config, seed=1)
        made = None if looked_up else encoder
        return Made(part, lambda part: VectorChannel("vector", config, part, state, encoder=made))

    return make


def words() -> Make:
    """The channel that reads texts; user 3 has searched."""

    def encode(texts: Sequence[str]) -> Floats:
        return np.array([rng(1, text).standard_normal(DIM) for text in texts], np.float32).reshape(len(texts), DIM)

    def make(interactions: Interactions) -> Made:
        vectors = rng(1, "items").standard_normal((interactions.n_items, DIM)).astype(np.float32)
        vectors[4:8] = vectors[4:5]
        state, config = state_of(interactions.n_items), TextChannelConfig()
        part = Part("text", {}, {"item_vectors": vectors})
        return Made(part, lambda part: TextChannel("text", config, part, state, texts=encode))

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
    "swing": counting("swing"),
    "swing, all options": counting(
        "swing", top_k=5, alpha=10, user_exponent=0.25, item_exponent=0.3, max_users_per_item=6, scale_rows=True
    ),
    "ridge": counting("ridge"),
    "ridge, all options": counting(
        "ridge",
        top_k=12,
        n_regressors=12,
        l2=1,
        user_exponent=0.5,
        item_exponent=0.3,
        scale_rows=True,
        max_items_per_user=8,
    ),
    "usercf": counting("usercf"),
    "usercf, few": counting("usercf", top_k=4, discount="power", item_exponent=0.2, neighbour_items=6, fold_in_users=0),
    "usercf, authors": counting("usercf", similarity="authors", scale_rows=True, max_users_per_item=6, fold_in_users=5),
    "followed": counting("followed"),
    "followed, in turn": counting("followed", mix="share", depth=9),
    "topic": counting("topic"),
    "topic, latest": counting("topic", order="newest", mix="score", lanes={"clicked": 1.0}, max_keys=2),
    "topic, most liked": counting("topic", mix="score", half_life_days=0),
    "author": counting("author"),
    "city": counting("city"),
    "city, cells": counting("city", geohash="cell", precisions=[5, 4, 2], order="newest"),
    "segment": counting("segment", by=["group"], min_users=2),
    "segment, of two": counting("segment", by=["city", "group"], min_users=1, top_k=8, prior=3),
    "fresh": counting("fresh"),
    "fresh, all cold": counting("fresh", quota=15, newest=0, max_impressions=1, max_age_days=0),
    "marked": counting("marked"),
    "marked, by a number": counting("marked", order="bid"),
    "unshown": remembering(),
    "unshown, few": remembering(per_user=12),
    "text": words(),
    "vector": vector("inner_product"),
    "vector, cosine": vector("cosine"),
    "vector, l2, ivf": vector("l2", "ivf"),
    "vector, hnsw": vector("cosine", "hnsw"),
    "vector, lsh": vector("inner_product", "lsh"),
    "vector, matrix": vector("inner_product", looked_up=True),
}
CHECKS = [name for name in vars(suite) if name.startswith("check_")]


def test_every_registered_channel_is_checked() -> None:
    assert {name.split(",")[0] for name in MAKE} == set(CHANNELS)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("kind", MAKE)
def test_channel(kind: str, check: str, tmp_path: Path) -> None:
    run = getattr(suite, check)
    run(MAKE[kind], tmp_path) if "folder" in inspect.signature(run).parameters else run(MAKE[kind])
