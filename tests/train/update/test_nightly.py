"""A night: a whole version that goes on from the one before, with rows for whoever is new; and rows that move."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feedmill.core.errors import ArtifactError, DataError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.workspace import Workspace
from feedmill.features.served.calibrated import calibrated
from feedmill.features.served.graph import Graph
from feedmill.log.memory import MemoryLog
from feedmill.publish import delta as deltas
from feedmill.publish import load, write
from feedmill.retrieval.vector import encoder_of
from feedmill.samples import SamplesConfig, sample
from feedmill.state import Replay, State
from feedmill.train import Fitted, fit
from feedmill.train.update.incremental import Incremental
from feedmill.train.update.nightly import Night, nightly
from shown_worlds import impressions
from worlds import click

pytestmark = pytest.mark.slow

RAW: dict[str, Any] = {
    "retrieval": {"channels": {"popular": {"limit": 30}, "two_tower": {"kind": "vector"}}},
    "train": {
        "n_threads": 1, "two_tower": {"epochs": 1, "embedding_dim": 4, "hidden_dims": [8, 4], "batch_size": 64},
    },
    "rank": {"kind": "dnn", "embedding_dim": 4, "hidden_dims": [8], "epochs": 2, "batch_size": 64},
    "features": {"histories": {"clicked": [3]}},
    "evaluate": {"split": "none"},
    "update": {"nightly": {"learning_rate": 0.0, "room_share": 0.5}, "incremental": {"min_rows": 50, "alpha": 0.3}},
}  # fmt: skip
WORKSPACE = Workspace(Path(), RAW)


def world() -> tuple[EventBatch, int]:
    """A log whose last part has a user and an item that were never seen before."""
    events, _ = impressions(n=1500, n_users=20, n_items=12, rate=0.3)
    n, now = len(events), int(events.numpy("time_ms").max())
    rows = []
    for k in range(40):
        rows.append(click(now + 60_000 * k, "newcomer", f"i{k % 12}", Kind.IMPRESSION))
        rows.append(click(now + 60_000 * k + 1, f"u{k % 4}", "novelty", Kind.IMPRESSION))
        rows.append(click(now + 60_000 * k + 2, "newcomer", f"i{k % 12}"))
        rows.append(click(now + 60_000 * k + 3, f"u{k % 4}", "novelty"))
        rows.append(click(now + 60_000 * k + 4, "u1", f"i{k % 12}", Kind.IMPRESSION))
        rows.append(click(now + 60_000 * k + 5, "u1", f"i{k % 12}"))
    rows += [click(now + 9_000_000 + k, f"u{k}", f"i{k % 12}", Kind.IMPRESSION) for k in range(20)]
    return EventBatch.concat([events, EventBatch.rows(rows)]), n


EVENTS, N = world()
LOG = Replay(EVENTS, State())


@pytest.fixture(scope="module")
def base() -> Fitted:
    log = MemoryLog()
    log.append(EVENTS[:N])
    return fit(WORKSPACE, log)


@pytest.fixture(scope="module")
def night(base: Fitted) -> Night:
    return nightly(WORKSPACE, base.parts, N, LOG)


@pytest.fixture(scope="module")
def state() -> State:
    state = State()
    state.fold(EVENTS)
    return state


def test_a_base_keeps_what_a_night_begins_with(base: Fitted) -> None:
    for name in ("rank", "two_tower"):
        assert {"weights", "embedding"} <= set(base.parts[name].arrays)


def test_it_begins_where_the_last_full_version_stopped(base: Fitted, night: Night) -> None:
    """With a rate of 0: the same weights bit for bit, the same rows for the ids that there were."""
    for name in ("rank", "two_tower"):
        old, new = base.parts[name], night.parts[name]
        np.testing.assert_array_equal(new.arrays["weights"], old.arrays["weights"])
        for key, slots in old.arrays.items():
            if key.startswith("slots."):
                kept = slots > 0
                np.testing.assert_array_equal(new.arrays[key][: len(slots)][kept], slots[kept])
        assert len(new.arrays["embedding"]) > len(old.arrays["embedding"])
    assert night.about["from_offset"] == N
    assert night.new["n"] == night.base["n"] > 0


def test_who_is_known_is_scored_as_before(base: Fitted, night: Night, state: State) -> None:
    items = np.array([state.items.row(f"i{k}") for k in range(12)], np.int32)
    user = state.view("u7", state.newest_ms)
    before, after = (Graph(parts["rank"], state).score(user, items) for parts in (base.parts, night.parts))
    np.testing.assert_allclose(after, before, atol=1e-6)
    was, now = (encoder_of(parts["two_tower"], state)(user) for parts in (base.parts, night.parts))
    np.testing.assert_allclose(now, was, atol=1e-6)


def test_who_is_new_has_a_row_and_who_is_to_come_too(night: Night, state: State) -> None:
    part = night.parts["rank"]
    slots = part.arrays["slots.user"]
    assert slots[state.users.row("newcomer")] > 0
    assert part.arrays["slots.item"][state.items.row("novelty")] > 0
    assert night.parts["two_tower"].arrays["item_vectors"][state.items.row("novelty")].any()
    assert (slots[len(state.users) : len(state.users) + 5] > 0).all()
    later = State()
    later.fold(EVENTS)
    later.fold(EventBatch.rows([click(later.newest_ms + 5, "tomorrow", "i1", Kind.IMPRESSION)]))
    for user_id in ("newcomer", "tomorrow", "never seen"):
        user = later.view(user_id, later.newest_ms)
        assert np.isfinite(Graph(part, later).score(user, np.arange(1, 13, dtype=np.int32))).all()


def test_the_same_night_gives_the_same_bytes(base: Fitted, night: Night, tmp_path: Path) -> None:
    again = nightly(WORKSPACE, base.parts, N, LOG)
    assert write(tmp_path, again.parts, again.about) == write(tmp_path, night.parts, night.about)


def test_nothing_new_is_no_night(base: Fitted) -> None:
    with pytest.raises(DataError, match="requests since"):
        nightly(WORKSPACE, base.parts, len(EVENTS), LOG)


def test_a_model_that_the_last_version_lacks_is_trained_first(base: Fitted) -> None:
    for name in ("rank", "two_tower"):
        with pytest.raises(ArtifactError, match=f'no part "{name}"'):
            nightly(WORKSPACE, {k: v for k, v in base.parts.items() if k != name}, N, LOG)
    other = Workspace(Path(), {**RAW, "rank": {"kind": "gbdt_lr"}})
    with pytest.raises(ArtifactError, match="gbdt_lr"):
        nightly(other, base.parts, N, LOG)


def test_a_served_graph_takes_up_a_delta_as_if_it_had_been_published(base: Fitted, tmp_path: Path) -> None:
    """One mechanism for the ranker and the channel: equal to an artifact that was written with these rows."""
    version = write(tmp_path, base.parts, base.about)
    served = load(tmp_path, version, private=deltas.MOVING)
    learner, state = Incremental(WORKSPACE, load(tmp_path, version)), State()
    state.fold(EVENTS[:N])
    state.register(EVENTS)
    samples, _ = sample(EVENTS[N:], state, SamplesConfig(min_positives=1), 0)
    probed = state.fold(EVENTS[N:], samples.probe)
    assert probed is not None
    rank, encode = served.part("rank"), encoder_of(served.part("two_tower"), state)
    graph = calibrated(Graph(rank, state), rank, state)
    user, items = state.view("u1", state.newest_ms), np.arange(1, 13, dtype=np.int32)
    before, was = graph.score(user, items), encode(user)
    deltas.write(tmp_path, learner.step(samples, probed, state, len(EVENTS)))
    delta = deltas.newest(tmp_path, version)
    assert delta is not None
    deltas.apply(served, delta)
    assert np.abs(graph.score(user, items) - before).max() > 1e-4
    assert np.abs(encode(user) - was).max() > 1e-5
    parts = dict(base.parts)
    for name, changes in delta.changes.items():
        arrays = {k: np.array(v) for k, v in parts[name].arrays.items()}
        for key, change in changes.items():
            if key in deltas.MOVING:
                arrays[key][change.rows] = change.values
        parts[name] = replace(parts[name], arrays=arrays)
    other = load(tmp_path, write(tmp_path, parts, base.about))
    part = other.part("rank")
    published = calibrated(Graph(part, state), part, state)
    np.testing.assert_allclose(graph.score(user, items), published.score(user, items), atol=1e-6)
    np.testing.assert_allclose(encode(user), encoder_of(other.part("two_tower"), state)(user), atol=1e-6)


def test_it_learns_the_same_from_what_is_left_of_a_log(base: Fitted) -> None:
    """Events from before the base's last are needed by nobody but counting channels: the state has what they made."""
    at = Workspace(Path(), {**RAW, "update": {"nightly": {"learning_rate": 0.5, "room_share": 0.5}}})
    before = State()
    before.fold(EVENTS[: N // 2])
    whole, left = (nightly(at, base.parts, N, log) for log in (LOG, Replay(EVENTS[N // 2 :], before)))
    assert left.about == whole.about | {"from_ms": int(EVENTS[N // 2 :].numpy("time_ms").min())}
    assert left.about["offset"] == len(EVENTS)
    assert (left.new, left.base) == (whole.new, whole.base)
    assert left.parts["rank"].arrays.keys() == whole.parts["rank"].arrays.keys()
    for name, array in left.parts["rank"].arrays.items():
        np.testing.assert_array_equal(array, whole.parts["rank"].arrays[name])
    assert (left.parts["rank"].arrays["weights"] != base.parts["rank"].arrays["weights"]).any()


def test_where_the_log_starts_after_the_last_version_it_goes_on_from_there(base: Fitted) -> None:
    before = State()
    before.fold(EVENTS[: N + 30])
    late = nightly(WORKSPACE, base.parts, N, Replay(EVENTS[N + 30 :], before))
    assert late.about["from_offset"] == N + 30
    assert late.about["offset"] == len(EVENTS)
