"""Counters of a user with a topic: their own or none, whatever has to give way."""

from __future__ import annotations

import json

import numpy as np

from feedmill.core.events import EventBatch, Kind
from feedmill.state import State, StateConfig
from feedmill.state.arrays import WAYS
from state.logs import START_MS, random_log
from state.reference import Reference, rows_of

COUNTS = ("click.all", "impression.all")


def described(topics: dict[str, list[str]]) -> EventBatch:
    payloads = [json.dumps({"topics": t}) for t in topics.values()]
    return EventBatch.of({"kind": int(Kind.ITEM), "item_id": list(topics), "payload": payloads})


def clicks(user: str, items: str, time_ms: int = START_MS) -> EventBatch:
    return EventBatch.of({"kind": int(Kind.CLICK), "user_id": user, "item_id": list(items), "time_ms": time_ms})


def pair_clicks(state: State, user: str) -> list[float]:
    items = np.arange(1, len(state.items), dtype=np.int32)
    counts: list[float] = state.probe(state.view(user, START_MS), items).pair_counts[:, 0].tolist()
    return counts


def test_a_user_has_counters_of_each_topic_and_an_item_the_mean_of_its_topics() -> None:
    state = State(StateConfig(counts=("click.all",), user_topics=1000))
    state.fold(described({"a": ["x"], "b": ["x", "y"], "c": ["z"]}))
    state.fold(clicks("u", "aab"))
    state.fold(clicks("v", "c"))
    assert pair_clicks(state, "u") == [3.0, 2.0, 0.0]
    assert pair_clicks(state, "v") == [0.0, 0.0, 1.0]
    assert pair_clicks(state, "nobody") == [0.0, 0.0, 0.0]


def test_without_room_for_pairs_there_are_none() -> None:
    state = State(StateConfig(counts=("click.all",)))
    state.fold(described({"a": ["x"]}))
    state.fold(clicks("u", "a"))
    assert state.probe(state.view("u", START_MS), np.array([1], np.int32)).pair_counts.shape == (1, 0)


def test_the_least_lately_used_gives_way() -> None:
    """A table of one set: the fifth user takes the row of the one who clicked first, and reads as new on return."""
    state = State(StateConfig(counts=("click.all",), user_topics=1))
    assert state.config.n_pairs == WAYS
    state.fold(described({"a": ["x"]}))
    for k, user in enumerate("pqrs"):
        state.fold(clicks(user, "aa", START_MS + k))
    assert [pair_clicks(state, user) for user in "pqrs"] == [[2.0]] * 4
    state.fold(clicks("p", "a", START_MS + 9))
    state.fold(clicks("t", "a", START_MS + 10))
    assert [pair_clicks(state, user) for user in "pqrst"] == [[3.0], [0.0], [2.0], [2.0], [1.0]]


def test_a_table_that_is_far_too_small_forgets_and_never_invents() -> None:
    config = StateConfig(counts=COUNTS, user_topics=24)
    state, reference = State(config), Reference(config)
    events = random_log(800, n_users=20, n_items=30, seed=5)
    state.fold(events)
    reference.fold(rows_of(events))
    items = np.arange(1, len(state.items), dtype=np.int32)
    n_kept = 0
    for user in state.users.ids()[1:6]:
        kept = state.probe(state.view(user, state.newest_ms), items).pair_counts
        for row, item in zip(kept, state.items.ids(items), strict=True):
            truth = reference.pair_counts(user, item, state.newest_ms)
            assert (row <= truth + 1e-4).all()
            n_kept += bool(row.any())
    assert n_kept > 0


def test_many_pairs_spread_over_the_whole_table() -> None:
    """At half its size a table of four rows to a set loses about a pair in thirty (beyond 4 of Poisson(2))."""
    n_users, n_topics = 256, 16
    state = State(StateConfig(counts=("click.all",), user_topics=2 * n_users * n_topics))
    state.fold(described({f"i{t}": [f"t{t}"] for t in range(n_topics)}))
    user, item = np.divmod(np.arange(n_users * n_topics), n_topics)
    columns = {"user_id": [f"u{u}" for u in user.tolist()], "item_id": [f"i{i}" for i in item.tolist()]}
    state.fold(EventBatch.of({"kind": int(Kind.CLICK), "time_ms": START_MS, **columns}))
    kept = sum(sum(pair_clicks(state, f"u{u}")) for u in range(n_users))
    assert 0.9 < kept / (n_users * n_topics) < 1.0
