from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from feedmill.core.errors import ArtifactError, ConfigError
from feedmill.core.events import EventBatch, Kind
from feedmill.log.memory import MemoryLog
from feedmill.state import Probed, State, StateConfig, tables
from state.logs import random_log
from state.test_fold import same, same_state

SMALL = StateConfig(history_len=5)


@pytest.fixture(scope="module")
def events() -> EventBatch:
    return random_log(4_000, n_users=30, n_items=200, seed=3)


@pytest.fixture
def state(events: EventBatch) -> State:
    state = State(SMALL)
    state.fold(events)
    return state


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def log_of(*batches: EventBatch) -> MemoryLog:
    log = MemoryLog()
    for each in batches:
        log.append(each)
    return log


def answer(state: State) -> Probed:
    return state.probe(state.view("u3", state.newest_ms), np.arange(len(state.items), dtype=np.int32))


def test_a_snapshot_comes_back_whole_and_goes_on_as_if_never_left(
    state: State, events: EventBatch, tmp_path: Path
) -> None:
    state.save(tmp_path)
    back = State.load(tmp_path, SMALL)
    same_state(state, back)
    same(answer(state), answer(back))
    assert back.catalogue.n_malformed == state.catalogue.n_malformed
    assert back.catalogue.values("lang") == state.catalogue.values("lang")
    assert len(back.queries) == 6
    assert back.settings_hash == state.settings_hash
    more = random_log(1_000, n_users=50, n_items=300, seed=4)
    for each in (state, back):
        each.fold(more)
    same_state(state, back)


def test_replaying_gives_the_same_bytes(events: EventBatch, tmp_path: Path) -> None:
    for name, size in (("a", 4_000), ("b", 777)):
        state = State(SMALL)
        for start in range(0, len(events), size):
            state.fold(events[start : start + size])
        state.save(tmp_path / name)
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_an_empty_state_can_be_saved_and_a_later_snapshot_replaces_it(
    state: State, events: EventBatch, tmp_path: Path
) -> None:
    State(SMALL).save(tmp_path)
    assert State.load(tmp_path).offset == 0
    leftover = tmp_path / ".new-999999999"
    leftover.mkdir()
    for _ in range(2):  # the second time at the same offset
        state.save(tmp_path)
        assert [p.name for p in tmp_path.iterdir()] == [f"{len(events):020d}"]
    assert State.load(tmp_path).offset == len(events)


def test_every_damaged_file_is_found(state: State, tmp_path: Path) -> None:
    place = state.save(tmp_path / "whole")
    for name in sorted(os.listdir(place)):
        for damage in ("cut", "flip", "gone"):
            copy = tmp_path / "damaged" / place.name
            shutil.copytree(place, copy)
            data = bytearray((copy / name).read_bytes())
            if damage == "gone":
                (copy / name).unlink()
            else:
                data[len(data) // 2] ^= 1
                (copy / name).write_bytes(data[: len(data) // 2] if damage == "cut" else data)
            with pytest.raises(ArtifactError):
                State.load(tmp_path / "damaged")
            shutil.rmtree(copy)


def test_what_feedmill_did_not_write_is_refused(state: State, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no snapshot"):
        State.load(tmp_path / "nowhere")
    place = state.save(tmp_path)
    with pytest.raises(ArtifactError, match="other \\[state\\] settings"):
        State.load(tmp_path, StateConfig())
    (place / "manifest.json").write_text(json.dumps({"about": {"format": "x"}, "sha256": "0"}))
    with pytest.raises(ArtifactError, match="not what was written"):
        State.load(tmp_path)
    (place / "manifest.json").write_text("[]")
    with pytest.raises(ArtifactError, match="cannot be read"):
        State.load(tmp_path)


def test_snapshots_of_the_layout_before_are_refused(state: State, tmp_path: Path) -> None:
    place = state.save(tmp_path)
    manifest = json.loads((place / "manifest.json").read_text())
    about = json.dumps({**manifest["about"], "version": 1}).encode()
    sealed = {"about": json.loads(about), "sha256": hashlib.sha256(about).hexdigest()}
    (place / "manifest.json").write_text(json.dumps(sealed))
    with pytest.raises(ArtifactError, match="version 1"):
        State.load(tmp_path)


def test_snapshots_of_other_arrays_are_refused_whatever_version_they_claim(
    state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.save(tmp_path)
    monkeypatch.setitem(tables.LAYOUT, "publish_ms", (("items",), np.int32, 0))
    with pytest.raises(ArtifactError, match="a snapshot of arrays"):
        State.load(tmp_path)


def test_rare_histories_survive_the_growth_of_the_tables() -> None:
    """Rows of users who never follow or search are not copied when the arrays grow."""
    events = random_log(3_000, n_users=600, n_items=50, seed=8)
    at_once, one_by_one = State(SMALL), State(SMALL)
    at_once.fold(events)
    for start in range(0, 3_000, 50):
        one_by_one.fold(events[start : start + 50])
    same_state(at_once, one_by_one)
    assert (at_once.tables.live()["heads"][:, 4:6].sum(0) > 50).all()


def test_totals_are_the_undecayed_counters() -> None:
    state = State()
    state.fold(
        EventBatch.of({"kind": [0, 0, 1], "user_id": "u", "item_id": ["a", "b", "b"], "time_ms": [1, 2, 10**12]})
    )
    rows = np.array([-1, 0, 1, 2, 3, 99], np.int32)
    assert state.totals("impression.all", rows).tolist() == [0, 0, 1, 1, 0, 0]
    assert state.totals("click.all", rows).tolist() == [0, 0, 0, 1, 0, 0]
    for name in ("click.1d", "share.all"):
        with pytest.raises(ConfigError, match="no total"):
            state.totals(name, rows)


def test_restore_goes_on_from_the_snapshot(
    events: EventBatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = log_of(events[:3_000])
    first = State.restore(tmp_path, log, SMALL)
    first.save(tmp_path)
    log.append(events[3_000:])
    loaded = State.restore(tmp_path, log, SMALL)
    assert first.catch_up(log) == 1_000
    assert first.catch_up(log) == 0
    same_state(first, loaded)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("why", ["damaged", "other settings", "shorter log", "other log"])
def test_restore_replays_the_log_where_the_snapshot_cannot_be_used(
    why: str, state: State, events: EventBatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, log, config = state.save(tmp_path), log_of(events), SMALL
    if why == "damaged":
        (place / "users.arrow").write_bytes(b"")
    elif why == "other settings":
        config = StateConfig(history_len=6)
    elif why == "shorter log":
        log = log_of(events[:-1])
    else:
        log = log_of(random_log(4_500, 30, 200, seed=9))
    restored, replayed = State.restore(tmp_path, log, config), State(config)
    replayed.catch_up(log)
    same_state(restored, replayed)
    assert "replaying the log from its start" in capsys.readouterr().err


def test_threads_that_fold_view_and_save_never_see_half_a_state(events: EventBatch, tmp_path: Path) -> None:
    """Views and snapshots taken during a fold are of whole micro-batches; two threads catching up fold once."""
    log, state, failures = log_of(*(events[i : i + 100] for i in range(0, 4_000, 100))), State(SMALL), []
    done = threading.Event()

    def read() -> None:
        try:
            while not done.is_set():
                probed = answer(state)
                assert probed.cross.shape == (len(probed.item), 10)
                snapshot = State.load(state.save(tmp_path).parent, SMALL)
                again = State(SMALL)
                again.fold(events[: snapshot.offset])
                same_state(snapshot, again)
        except BaseException as e:
            failures.append(e)

    threads = [threading.Thread(target=read), *(threading.Thread(target=state.catch_up, args=(log,)) for _ in range(2))]
    for thread in threads:
        thread.start()
    for thread in threads[1:]:
        thread.join()
    done.set()
    threads[0].join()
    assert not failures, failures[0]
    whole = State(SMALL)
    whole.fold(events)
    same_state(state, whole)


@pytest.mark.parametrize("what", ["save", "view", "seen", "fold"])
def test_readers_and_writers_wait_while_the_lock_is_held(what: str, state: State, tmp_path: Path) -> None:
    calls = {
        "save": lambda: state.save(tmp_path),
        "view": lambda: state.view("u1", 0),
        "seen": lambda: state.seen(1),
        "fold": lambda: state.fold(EventBatch.empty()),
    }
    thread = threading.Thread(target=calls[what])
    with state.lock:
        thread.start()
        thread.join(0.05)
        assert thread.is_alive()
    thread.join()


def test_newest_time_is_the_latest_even_before_1970() -> None:
    state = State()
    assert state.newest_ms == 0
    state.fold(EventBatch.rows([{"kind": Kind.CLICK, "time_ms": t} for t in (-50, -90)]))
    assert state.newest_ms == -50
    state.fold(EventBatch.rows([{"kind": Kind.CLICK, "time_ms": -70}]))
    assert (state.newest_ms, state.offset) == (-50, 3)


def test_seen_is_everything_acted_on_and_nothing_merely_shown() -> None:
    state, items = State(), [f"i{k}" for k in range(1, 101)]
    events = {"user_id": "u", "item_id": [*items, *items, "shown"], "kind": [*[1] * 100, *[9] * 100, 0]}
    state.fold(EventBatch.of(events))
    assert state.seen(1).tolist() == list(range(1, 101))
    assert state.seen(1).dtype == np.int32


def test_ids_that_are_registered_but_not_folded_answer_as_nothing() -> None:
    state = State()
    state.register(EventBatch.rows([{"kind": Kind.CLICK, "user_id": f"u{k}", "item_id": f"i{k}"} for k in range(99)]))
    probed = state.probe(state.view("u90", 5), np.array([90, 50_000], np.int32))
    assert probed.users.row.tolist() == [91]
    assert not probed.item_counts.any()
    assert state.catalogue.available[90]
    assert state.offset == 0


def test_probed_concat_renumbers_requests() -> None:
    state = State(SMALL)
    state.fold(EventBatch.rows([{"kind": Kind.CLICK, "user_id": "u", "item_id": "a"}]))
    one = state.probe(state.view("u", 0), np.array([1], np.int32))
    state.fold(EventBatch.rows([{"kind": Kind.USER, "user_id": "u", "payload": '{"city": "Ulm"}'}]))
    two = state.probe(state.view("u", 0), np.array([1, 0], np.int32))
    both = Probed.concat([one, two])
    assert both.request_of.tolist() == [0, 1, 1]
    assert both.users.profile.tolist() == [[0], [1]]
    assert len(both) == 3
    with pytest.raises(ValueError, match="at least one"):
        Probed.concat([])


def test_decayed_counts_are_those_that_probes_answer() -> None:
    state = State()
    state.fold(random_log(3_000, n_users=30, n_items=100, seed=5))
    rows = np.arange(len(state.items), dtype=np.int32)
    for later_s in (0, 3_600, 40 * 86_400):
        now = state.newest_ms + 1_000 * later_s
        probed = state.probe(state.view("nobody", now), rows)
        for j, name in enumerate(state.count_names):
            counts = state.decayed(name, rows, now)
            np.testing.assert_allclose(counts, probed.item_counts[:, j], rtol=1e-5, atol=1e-30, err_msg=name)
    assert state.decayed("click.1d", np.array([0, -1, 10**6], np.int32), state.newest_ms).tolist() == [0, 0, 0]
    with pytest.raises(ConfigError, match=r"click\.1w"):
        state.decayed("click.1w", rows, 0)
