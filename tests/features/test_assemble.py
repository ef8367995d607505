from dataclasses import fields

import msgspec
import numpy as np
import pytest

from feedmill.core.batches import ProbeBatch
from feedmill.core.errors import ArtifactError, ConfigError
from feedmill.core.events import EventBatch
from feedmill.features import FeaturesConfig, assemble
from feedmill.features import fit as fit_features
from feedmill.features.spec import as_dict, from_dict
from feedmill.samples import SamplesConfig, sample
from feedmill.state import Probed, State, StateConfig
from worlds import DAY_MS, START_MS, click, tastes


@pytest.fixture(scope="module")
def world() -> tuple[State, Probed, EventBatch]:
    events = tastes()
    state = State()
    state.register(events)
    samples, _ = sample(events, state, SamplesConfig(n_negatives=3), seed=0)
    probed = state.fold(events, samples.probe)
    assert probed is not None
    return state, probed, events


def test_training_and_serving_assemble_the_same_numbers(world: tuple[State, Probed, EventBatch]) -> None:
    """The fold's answers in the middle of a batch, and a live state asked at that moment, give equal features."""
    _, probed, events = world
    state = world[0]
    spec, arrays = fit_features.fit(FeaturesConfig(), state, probed)
    offline = assemble(spec, arrays, state, probed)
    samples, _ = sample(events, state, SamplesConfig(n_negatives=3), seed=0)
    live, folded = State(), 0
    live.register(events)
    for r in range(0, len(samples.probe), 37):
        at = int(samples.probe.at[r])
        live.fold(events[folded:at])
        folded = at
        user = live.view(state.users.id(int(samples.probe.user[r])), int(samples.probe.time_ms[r]))
        rows = np.flatnonzero(samples.probe.request_of == r)
        online = assemble(spec, arrays, live, live.probe(user, samples.probe.item[rows]))
        np.testing.assert_array_equal(online.user_ids[0], offline.user_ids[r])
        np.testing.assert_array_equal(online.user_numeric[0], offline.user_numeric[r])
        np.testing.assert_array_equal(online.item_ids, offline.item_ids[rows])
        np.testing.assert_array_equal(online.item_numeric, offline.item_numeric[rows])


def test_the_future_changes_no_feature(world: tuple[State, Probed, EventBatch]) -> None:
    """Shuffling every event after the cut leaves each feature before it bit for bit."""
    _, _, events = world
    cut = len(events) // 2
    shuffled = np.concatenate([np.arange(cut), cut + np.random.default_rng(0).permutation(len(events) - cut)])
    states = []
    for log in (events, events.take(shuffled)):
        state = State()
        state.register(events)
        rows = np.arange(1, 20, dtype=np.int32)
        probe = ProbeBatch(
            user=np.array([3], np.int32),
            time_ms=np.array([START_MS + 10 * DAY_MS]),
            at=np.array([cut]),
            item=rows,
            request_of=np.zeros(len(rows), np.int32),
        )
        probed = state.fold(log, probe)
        assert probed is not None
        states.append((state, probed))
    spec, arrays = fit_features.fit(FeaturesConfig(min_count=1), *states[0])
    a, b = (assemble(spec, arrays, s, p) for s, p in states)
    for field in fields(a):
        np.testing.assert_array_equal(getattr(a, field.name), getattr(b, field.name))


def test_rare_and_new_ids_are_the_zero_vector(world: tuple[State, Probed, EventBatch]) -> None:
    state, probed, _ = world
    spec, arrays = fit_features.fit(FeaturesConfig(min_count=10**6), state, probed)
    assert {f.table for f in spec.fields} <= {"hour", "weekday"}
    spec, arrays = fit_features.fit(FeaturesConfig(), state, probed)
    live = State()
    live.fold(world[2])
    live.fold(EventBatch.rows([click(START_MS + 30 * DAY_MS, "somebody new", "something new")]))
    new = np.array([live.items.row("something new")], np.int32)
    batch = assemble(spec, arrays, live, live.probe(live.view("somebody new", START_MS), new))
    assert batch.item_ids[0, spec.starts("item")[0]] == 0
    assert batch.user_ids[0, 0] == 0
    assert batch.item_ids.max() < spec.n_rows


def test_every_id_has_its_own_row_of_the_fused_table(world: tuple[State, Probed, EventBatch]) -> None:
    state, probed, _ = world
    spec, arrays = fit_features.fit(FeaturesConfig(), state, probed)
    batch = assemble(spec, arrays, state, probed)
    offsets, starts = spec.offsets(), spec.starts("item")
    for k, field in enumerate(spec.side("item")):
        used = batch.item_ids[:, starts[k] : starts[k + 1]]
        used = used[used > 0]
        assert used.min() > offsets[field.table]
        assert used.max() <= offsets[field.table] + spec.tables[field.table]
    clicked = next(f for f in spec.fields if f.source == "user.clicked")
    assert clicked.table == "item"  # history and candidate share one table


def test_the_hash_travels_and_a_mismatch_is_refused(world: tuple[State, Probed, EventBatch]) -> None:
    state, probed, _ = world
    spec, _ = fit_features.fit(FeaturesConfig(), state, probed)
    again = from_dict(msgspec.json.decode(msgspec.json.encode(as_dict(spec))))
    assert again.hash == spec.hash
    again.check(state.settings_hash, spec.hash)
    with pytest.raises(ArtifactError, match="manifest"):
        again.check(state.settings_hash, "0123456789abcdef")
    other = State(StateConfig(history_len=7))
    with pytest.raises(ArtifactError, match="state's settings"):
        again.check(other.settings_hash)
    with pytest.raises(ArtifactError, match="cannot be read"):
        from_dict({"fields": 3})


def test_a_lane_that_does_not_exist_is_refused(world: tuple[State, Probed, EventBatch]) -> None:
    state, probed, _ = world
    with pytest.raises(ConfigError, match='did you mean "clicked"'):
        fit_features.fit(FeaturesConfig(histories={"cliked": [3]}), state, probed)
