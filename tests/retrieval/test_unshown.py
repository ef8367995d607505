from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from contracts.channel import REQUEST, viewer
from feedmill.core.batches import Part, Rows
from feedmill.core.events import EventBatch, Kind
from feedmill.retrieval.unshown import Leftovers, UnshownChannel, UnshownConfig
from feedmill.state import State

NOW = REQUEST.time_ms


@pytest.fixture(scope="module")
def state() -> State:
    state = State()
    state.fold(EventBatch.of({"kind": int(Kind.ITEM), "item_id": [f"i{k}" for k in range(1, 100)]}))
    state.fold(EventBatch.rows([{"kind": Kind.ITEM, "item_id": "i9", "payload": '{"available": false}'}]))
    return state


def opened(state: State, memory: Leftovers | None = None, **parameters: Any) -> UnshownChannel:
    return UnshownChannel("unshown", UnshownConfig(**parameters), Part("unshown", {}, {}), state, memory=memory)


def rows(*items: int) -> Rows:
    return np.array(items, np.int32)


def items(channel: UnshownChannel, user: int = 1, limit: int = 10, **lanes: Any) -> list[int]:
    return channel.fetch(REQUEST, viewer(user, **lanes), limit).item.tolist()


def test_leftovers_come_back_best_first_without_what_was_shown_since(state: State) -> None:
    channel = opened(state)
    channel.remember(1, rows(4, 5, 6, 9), np.array([0.1, 0.9, 0.5, 0.7]), NOW)
    assert items(channel) == [5, 6, 4]  # 9 is not available
    assert items(channel, shown=[6]) == [5, 4]
    assert items(channel, user=2) == []
    assert items(channel, limit=1) == [5]


def test_nobody_is_not_remembered(state: State) -> None:
    channel = opened(state)
    channel.remember(0, rows(4), np.ones(1), NOW)
    channel.remember(1, rows(), np.ones(0), NOW)
    assert len(channel.memory) == 0


def test_later_requests_add_and_the_best_places_stay(state: State) -> None:
    channel = opened(state, per_user=3)
    channel.remember(1, rows(1, 2, 3), np.array([3, 2, 1]), NOW - 9)
    channel.remember(1, rows(4, 3), np.array([200, 100]), NOW - 5)  # another model's scale
    assert items(channel) == [1, 4, 2]  # places 1, 1 and 1/2; 3 had 1/3 and has 1/2, since as long


def test_it_expires_however_often_it_comes_up(state: State) -> None:
    channel = opened(state, expire_s=10)
    channel.remember(1, rows(1, 2), np.array([2, 1]), NOW - 10_001)
    assert items(channel) == []
    channel.remember(1, rows(1, 2), np.array([2, 1]), NOW - 15_000)
    channel.remember(1, rows(1, 3), np.array([2, 1]), NOW - 5_000)
    assert items(channel) == [3]
    channel.remember(1, rows(1), np.ones(1), NOW)
    assert items(channel) == [1, 3]


def test_users_who_asked_longest_ago_are_forgotten(state: State) -> None:
    channel = opened(state, max_users=2)
    for user in (1, 2, 1, 3):
        channel.remember(user, rows(user), np.ones(1), NOW)
    assert [items(channel, user) for user in (1, 2, 3)] == [[1], [], [3]]


def test_the_next_artifacts_channel_goes_on_with_the_memory(state: State) -> None:
    first = opened(state)
    first.remember(1, rows(4), np.ones(1), NOW)
    assert items(opened(state, first.memory)) == [4]
    assert items(opened(state)) == []


def test_threads_leave_whole_lists(state: State) -> None:
    """Items of one request have the same parity: a torn list would mix them."""
    memory, failures, done = Leftovers(UnshownConfig(per_user=20, max_users=3)), [], threading.Event()

    def write(parity: int) -> None:
        some = np.arange(2 + parity, 42, 2, dtype=np.int32)
        for n in range(400):
            memory.put(n % 5 + 10 * parity, some, np.arange(len(some)), NOW + n)

    def read() -> None:
        while not done.is_set():
            for user in (0, 1, 2, 10, 11, 12):
                found, places = memory.get(user, NOW)
                if len(found) != len(places) or len(np.unique(found % 2)) > 1 or len(np.unique(found)) < len(found):
                    failures.append((user, found))

    readers = [threading.Thread(target=read) for _ in range(2)]
    writers = [threading.Thread(target=write, args=(parity,)) for parity in (0, 1)]
    for thread in (*readers, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in readers:
        thread.join()
    assert not failures
    assert len(memory) == 3
