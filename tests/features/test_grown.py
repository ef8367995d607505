"""A spec that goes on: ids keep their rows, new ones get some behind them, those to come too."""

from __future__ import annotations

import numpy as np
import pytest

from feedmill.core.batches import ProbeBatch
from feedmill.core.events import EventBatch
from feedmill.features import FeaturesConfig, assemble
from feedmill.features import fit as fit_features
from feedmill.features.grown import Grown, Growth, grown
from feedmill.state import Probed, State
from worlds import START_MS, catalogue, click, people

CONFIG = FeaturesConfig(histories={"clicked": [3]}, context=False)


def probe(state: State, events: EventBatch, pairs: list[tuple[str, str]]) -> Probed:
    """Each pair as a request at the end of the events."""
    state.register(events)
    n = len(pairs)
    users = np.array([state.users.row(user) for user, _ in pairs], np.int32)
    items = np.array([state.items.row(item) for _, item in pairs], np.int32)
    at, now = np.full(n, len(events)), np.full(n, START_MS + 10_000_000)
    probed = state.fold(events, ProbeBatch(users, now, at, items, np.arange(n, dtype=np.int32)))
    assert probed is not None
    return probed


def world(room: int = 0, min_count: int = 2) -> tuple[State, Grown, tuple[object, dict[str, np.ndarray]], Probed]:
    state = State()
    first = EventBatch.concat([catalogue(4), people(2), EventBatch.rows([click(START_MS, "u1", "i1")])])
    probed = probe(state, first, [("u1", "i1"), ("u1", "i2"), ("u2", "i1"), ("u2", "i2")])
    spec, arrays = fit_features.fit(CONFIG, state, probed)
    later = EventBatch.rows([click(START_MS + 1000, "u9", "i3"), click(START_MS + 2000, "u9", "i4")])
    newer = probe(state, later, [("u9", "i3"), ("u9", "i3"), ("u1", "i4")])
    return state, grown(spec, arrays, state, newer, Growth(min_count, 0, room)), (spec, arrays), newer


def test_old_ids_keep_their_slots_and_new_ones_follow() -> None:
    state, made, (_, arrays), _ = world()
    for name, old in arrays.items():
        if name.startswith("slots."):
            np.testing.assert_array_equal(made.arrays[name][: len(old)][old > 0], old[old > 0], err_msg=name)
    assert made.arrays["slots.user"][state.users.row("u9")] == 3
    assert made.arrays["slots.item"][state.items.row("i3")] > 0


def test_a_table_moves_its_rows_and_begins_new_ones_at_their_mean() -> None:
    _, made, (spec, _), _ = world()
    old = np.random.default_rng(0).normal(size=(spec.n_rows, 3)).astype(np.float32)
    old[0] = 0
    new = made.table(old)
    assert len(new) == made.spec.n_rows
    for name, n in spec.tables.items():
        was, now = spec.offsets()[name] + 1, made.spec.offsets()[name] + 1
        np.testing.assert_array_equal(new[now : now + n], old[was : was + n], err_msg=name)
        for row in new[now + n : now + made.spec.tables[name]]:
            np.testing.assert_allclose(row, old[was : was + n].mean(axis=0), rtol=1e-6)
    assert not new[0].any()


def test_old_ids_read_the_same_vectors() -> None:
    """Features of who and what was known point at the rows that hold their old vectors."""
    state, made, (spec, arrays), _ = world(room=5)
    old = np.random.default_rng(1).normal(size=(spec.n_rows, 2)).astype(np.float32)
    old[0] = 0
    user = state.view("u1", START_MS)
    probed = state.probe(user, np.array([1, 2], np.int32))
    before, after = assemble(spec, arrays, state, probed), assemble(made.spec, made.arrays, state, probed)
    known = before.item_ids > 0
    np.testing.assert_array_equal(made.table(old)[after.item_ids][known], old[before.item_ids][known])
    np.testing.assert_array_equal(made.table(old)[after.user_ids[:, 0]], old[before.user_ids[:, 0]])
    np.testing.assert_array_equal(before.item_numeric, after.item_numeric)


def test_there_is_room_for_users_to_come_by_the_number_they_will_have() -> None:
    state, made, _, _ = world(room=2)
    n = len(state.users)
    state.fold(EventBatch.rows([click(START_MS + 9000, u, "i1") for u in ("u10", "u11", "u12")]))
    rows = [state.users.row(u) for u in ("u10", "u11", "u12")]
    assert rows == [n, n + 1, n + 2]
    slots = made.arrays["slots.user"]
    assert slots[rows[0]] > 0
    assert slots[rows[1]] == slots[rows[0]] + 1
    assert rows[2] >= len(slots), "beyond the room an id is unknown, as any other"


def test_room_is_made_once() -> None:
    """A second night without new users adds none; the slots of the first stay."""
    state, made, _, newer = world(room=3)
    again = grown(made.spec, made.arrays, state, newer, Growth(room=3))
    assert again.spec.tables == made.spec.tables
    np.testing.assert_array_equal(again.before, np.arange(made.spec.n_rows))
    for name, values in made.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], values)


@pytest.mark.parametrize(("least", "is_kept"), [(1, True), (9, False)])
def test_rare_items_stay_without_a_row(least: int, is_kept: bool) -> None:
    state, made, _, _ = world(min_count=least)
    slots, row = made.arrays["slots.item"], state.items.row("i4")
    assert (row < len(slots) and slots[row] > 0) == is_kept
