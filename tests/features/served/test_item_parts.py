from __future__ import annotations

import json
from collections.abc import Sequence
from threading import Thread
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Rows
from feedmill.core.errors import ArtifactError
from feedmill.core.events import EventBatch, Kind
from feedmill.features.served.item_parts import KEYS, ItemParts, keys_of, taken
from feedmill.state import State
from worlds import START_MS, catalogue, click

N = 21  # rows of the catalogue, row 0 among them


class World:
    """Items whose row is [topic, 2 · topic]; counts how many rows were made."""

    def __init__(self, n_stored: int = N) -> None:
        self.state, self.made = State(), 0
        self.state.fold(catalogue(N - 1))
        rows = np.arange(n_stored, dtype=np.int32)
        self.arrays: dict[str, NDArray[Any]] = {"part": self.rows(rows)[0], KEYS: keys_of(self.ids(rows))}
        self.made = 0

    def ids(self, items: Rows) -> Rows:
        return self.state.catalogue.topics[items]

    def rows(self, items: Rows) -> Sequence[Floats]:
        self.made += len(items)
        topic = self.state.catalogue.topics[items, 0].astype(np.float32)
        return [np.column_stack([topic, 2 * topic])]

    def open(self) -> ItemParts:
        return ItemParts(self.arrays, ["part"], self.state, self.ids, self.rows)

    def describe(self, item: str, topic: str) -> None:
        payload = json.dumps({"topics": [topic]})
        self.state.fold(EventBatch.rows([click(START_MS, "", item, Kind.ITEM, payload=payload)]))

    def check(self, parts: ItemParts, items: Sequence[int]) -> None:
        rows = np.array(items, np.int32)
        topic = self.state.catalogue.topics[np.where(rows < len(self.state.items), rows, 0), 0]
        np.testing.assert_array_equal(parts.rows(rows)[0], np.column_stack([topic, 2 * topic]).astype(np.float32))


def test_what_is_stored_is_looked_up() -> None:
    world = World()
    parts = world.open()
    world.check(parts, [3, 1, 20, 3, 0])
    world.check(parts, [])
    assert (world.made, parts.n_made) == (0, 0)


def test_a_new_item_is_made_once() -> None:
    world = World()
    parts = world.open()
    world.describe("new", "t2")
    new = world.state.items.row("new")
    for _ in range(3):
        world.check(parts, [1, new, 2, new])
    assert world.made == 1


def test_items_newer_than_the_artifact_are_made_when_they_are_asked_for() -> None:
    world = World(n_stored=10)
    parts = world.open()
    assert world.made == 0
    world.check(parts, [9, 10, 20])
    assert world.made == 2


def test_an_item_described_anew_is_made_anew() -> None:
    world = World()
    parts = world.open()
    world.check(parts, [5, 6])
    world.describe("i5", "another")
    world.check(parts, [5, 6])
    world.describe("i5", "a third")
    world.check(parts, [5, 6])
    assert world.made == 2
    world.describe("i6", world.state.catalogue.topic_ids.id(int(world.state.catalogue.topics[6, 0])))
    world.check(parts, [5, 6])
    assert world.made == 2, "described as it was"


def test_what_changed_before_it_was_opened_counts_too() -> None:
    world = World()
    world.describe("i7", "another")
    world.check(world.open(), [6, 7, 8])
    assert world.made == 1


def test_more_changes_than_are_remembered() -> None:
    world = World()
    parts = world.open()
    world.describe("i4", "another")
    world.state.catalogue.described.n += 1 << 17
    world.check(parts, [3, 4])


def test_a_row_that_the_state_has_not_met_is_nothing() -> None:
    world = World()
    parts = world.open()
    world.check(parts, [2, N + 500])
    world.describe("new", "t1")  # which takes row N
    world.check(parts, [N, N + 500])


def test_half_precision_comes_back_as_float32() -> None:
    world = World()
    world.arrays["part"] = world.arrays["part"].astype(np.float16)
    (rows,) = world.open().rows(np.array([1, 2], np.int32))
    assert rows.dtype == np.float32


def test_every_finite_half_is_read_as_numpy_reads_it() -> None:
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    stored = every[np.isfinite(every)].reshape(-1, 2, 1)
    items = np.random.default_rng(0).permutation(len(stored)).astype(np.int32)
    assert np.array_equal(taken(stored, items), stored[items].astype(np.float32))


@pytest.mark.parametrize("name", ["part", KEYS])
def test_arrays_that_are_missing_or_cut_short(name: str) -> None:
    world = World()
    cut = world.arrays.pop(name)
    with pytest.raises(ArtifactError, match="train again"):
        world.open()
    world.arrays[name] = cut[:-1]
    with pytest.raises(ArtifactError, match="rows"):
        world.open()


def test_threads_that_ask_at_once_get_the_same() -> None:
    world = World(n_stored=5)
    parts, wrong = world.open(), []

    def ask(seed: int) -> None:
        random = np.random.default_rng(seed)
        for _ in range(200):
            rows = random.integers(0, N, 8).astype(np.int32)
            topic = world.state.catalogue.topics[rows, 0]
            if not np.array_equal(parts.rows(rows)[0][:, 0], topic):
                wrong.append(rows)

    threads = [Thread(target=ask, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_keys_tell_rows_apart() -> None:
    random = np.random.default_rng(0)
    ids = np.unique(random.integers(0, 50, (3000, 4)).astype(np.int32), axis=0)
    assert len(np.unique(keys_of(ids))) == len(ids)
    np.testing.assert_array_equal(keys_of(ids), keys_of(ids.copy()))
