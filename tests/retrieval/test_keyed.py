from __future__ import annotations

import json
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.batches import Rows
from feedmill.core.events import EventBatch, Kind
from feedmill.retrieval import keyed
from feedmill.retrieval.keyed import KeyedItems, Lists, newest, scored
from feedmill.state import State

_about = st.fixed_dictionaries(
    {}, optional={"topics": st.lists(st.sampled_from("xyz"), max_size=3), "publish_ms": st.integers(0, 4)}
)
_item = st.sampled_from([f"i{k}" for k in range(8)])
_batches = st.lists(st.lists(st.tuples(_item, st.one_of(_about, st.just({"deleted": True}))), max_size=4), max_size=6)


def described(*items: tuple[str, dict[str, Any]]) -> EventBatch:
    return EventBatch.of(
        {"kind": int(Kind.ITEM), "item_id": [i for i, _ in items], "payload": [json.dumps(a) for _, a in items]}
    )


def topics_of(state: State) -> keyed.KeysOf:
    def keys(rows: Rows) -> Rows:
        topics: Rows = state.catalogue.topics[rows]
        return topics

    return keys


def read(lists: Lists) -> list[list[int]]:
    """Each key's rows, the two lists merged."""
    out = []
    for q in range(len(lists.begin)):
        old = slice(lists.begin[q], lists.end[q])
        new = slice(lists.new_start[q], lists.new_start[q + 1])
        entries = [
            (-order, row)
            for row, order in zip(lists.item[old].tolist(), lists.order[old].tolist(), strict=True)
            if not lists.moved[row]
        ]
        fresh = list(zip((-lists.new_order[new]).tolist(), lists.new_item[new].tolist(), strict=True))
        assert entries == sorted(entries)
        assert fresh == sorted(fresh)
        out.append([row for _, row in sorted(entries + fresh)])
    return out


def expected(state: State, key: int) -> list[int]:
    catalogue = state.catalogue
    rows = np.flatnonzero((catalogue.topics == key).any(axis=1))
    order = newest(state)(rows.astype(np.int32))
    return [int(row) for _, row in sorted(zip(-order, rows, strict=True))]


@given(_batches, st.sampled_from([0, 1024]))
def test_lists_are_those_of_the_catalogue_however_it_came_about(
    batches: list[list[tuple[str, dict[str, Any]]]], few: int
) -> None:
    """Items appear, move to other topics, change their time, are taken down and come back."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keyed, "FEW", few)
        state = State()
        items = KeyedItems(state, topics_of(state), newest(state))
        keys = np.arange(5, dtype=np.int32)
        for batch in [[], *batches]:
            state.fold(described(*batch))
            assert read(items.lists(keys)) == [[], *(expected(state, key) for key in range(1, 5))]


def test_a_few_changes_do_not_sort_everything_anew_and_many_do(monkeypatch: pytest.MonkeyPatch) -> None:
    state = State()
    state.fold(described(*((f"i{k}", {"topics": ["t"], "publish_ms": k}) for k in range(1, 4000))))
    sorts = []
    sort = KeyedItems._sort
    monkeypatch.setattr(KeyedItems, "_sort", lambda self: sorts.append(1) or sort(self))
    items, key = KeyedItems(state, topics_of(state), newest(state)), np.ones(1, np.int32)
    for k in range(4000, 4500):
        state.fold(described((f"i{k}", {"topics": ["t"], "publish_ms": k})))
        assert read(items.lists(key))[0][0] == k
    assert len(sorts) == 1
    for start in range(4500, 7500, 500):
        state.fold(described(*((f"i{k}", {"topics": ["t"], "publish_ms": k}) for k in range(start, start + 500))))
        assert len(read(items.lists(key))[0]) == start + 499
    assert 2 <= len(sorts) <= 4


def test_what_was_described_too_long_ago_is_found_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feedmill.state.described.ROOM", 4)
    state = State()
    items = KeyedItems(state, topics_of(state), newest(state))
    state.fold(described(*((f"i{k}", {"topics": ["t"]}) for k in range(9))))
    assert read(items.lists(np.ones(1, np.int32)))[0] == list(range(1, 10))


def test_orders() -> None:
    state = State()
    state.fold(described(("a", {"publish_ms": 5}), ("b", {}), ("c", {"publish_ms": -5})))
    rows = np.array([1, 2, 3], np.int32)
    assert newest(state)(rows).tolist() == [5, -(2.0**62), -5]
    assert scored(np.array([0, 0.5], np.float32))(rows).tolist() == [0.5, 0, 0]


def test_threads_see_whole_lists_while_the_log_is_folded() -> None:
    state, failures, done = State(), [], threading.Event()
    items = KeyedItems(state, topics_of(state), newest(state))

    def look() -> None:
        before = 0
        while not done.is_set():
            rows = read(items.lists(np.ones(1, np.int32)))[0]
            if len(set(rows)) < len(rows) or len(rows) < before:
                failures.append(rows)
            before = len(rows)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for k in range(300):
        state.fold(described((f"i{k}", {"topics": ["t"], "publish_ms": k % 7})))
    done.set()
    for thread in threads:
        thread.join()
    assert not failures
