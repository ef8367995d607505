"""Old events go; the state that they made, and everybody's offsets, stay."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from feedmill.core.errors import ArtifactError, LogError
from feedmill.core.events import EventBatch
from feedmill.log.sqlite import SqliteLog
from feedmill.log.whole import read_all
from feedmill.state import State, StateConfig
from feedmill.state.retain import retain
from feedmill.state.state import BASE
from state.logs import DAY_MS, random_log
from state.test_fold import same_state

SMALL = StateConfig(history_len=5)


@pytest.fixture
def log(tmp_path: Path) -> SqliteLog:
    log, events = SqliteLog(tmp_path / "log"), random_log(3_000, n_users=20, n_items=80, seed=5)
    for k in range(0, len(events), 250):
        log.append(events[k : k + 250])
    return log


def newest_ms(log: SqliteLog) -> int:
    return int(log.read(log.end - 1)[0].numpy("time_ms")[0])


def test_a_state_is_the_same_before_and_after(log: SqliteLog, tmp_path: Path) -> None:
    whole = State.restore(tmp_path / "none", log, SMALL)
    everything = read_all(log)
    done = retain(log, tmp_path / "state", SMALL, newest_ms(log) - 100 * DAY_MS)
    assert (done.start, done.n_dropped) == (log.start, log.start)
    assert 2_000 < log.start < log.end == len(everything) == 3_000
    assert log.read(log.start, 10_000)[0].table.equals(everything[log.start :].table)
    same_state(whole, State.restore(tmp_path / "state", log, SMALL))
    again = retain(log, tmp_path / "state", SMALL, newest_ms(log) - 10 * DAY_MS)
    assert again.start - again.n_dropped == done.start
    back = State.restore(tmp_path / "state", log, SMALL)
    same_state(whole, back)
    assert [int(p.name) for p in (tmp_path / "state" / BASE).iterdir()] == [log.start]
    back.save(tmp_path / "state")
    assert State.load(tmp_path / "state" / BASE).offset == log.start, "newer snapshots do not take its place"
    log.close()


def test_what_is_gone_is_refused_with_a_reason(log: SqliteLog, tmp_path: Path) -> None:
    start = retain(log, tmp_path / "state", SMALL, newest_ms(log) - 50 * DAY_MS).start
    with pytest.raises(LogError, match=f"offset 0 in a log that starts at {start}") as e:
        read_all(log, start=0)
    assert "samples" in e.value.fix
    assert len(read_all(log)) == log.end - start
    with pytest.raises(ArtifactError, match="no snapshot") as lost:
        State.restore(tmp_path / "elsewhere", log, SMALL)
    assert f"event {start}" in lost.value.expected
    with pytest.raises(ArtifactError, match="other .state. settings") as other:
        State.restore(tmp_path / "state", log, StateConfig(history_len=6))
    assert "put the [state] settings back" in other.value.fix
    log.close()


def test_a_snapshot_older_than_the_log_gives_way(log: SqliteLog, tmp_path: Path) -> None:
    early = State(SMALL)
    early.fold(log.read(0, 500)[0])
    early.save(tmp_path / "state")
    retain(log, tmp_path / "state", SMALL, newest_ms(log) - 50 * DAY_MS)
    assert State.restore(tmp_path / "state", log, SMALL).offset == log.end
    log.close()


def test_the_newest_event_and_what_somebody_needs_stay(log: SqliteLog, tmp_path: Path) -> None:
    assert retain(log, tmp_path / "state", SMALL, 2**62, at_most=700).start == 700
    assert retain(log, tmp_path / "state", SMALL, 0) == (700, 0)
    assert retain(log, tmp_path / "state", SMALL, 2**62).start == log.end - 1
    log.close()
    again = SqliteLog(tmp_path / "log")
    assert (again.start, again.end) == (2_999, 3_000)
    assert again.append(EventBatch.of({"kind": 1})).offset == 3_001
    again.close()


def test_a_crash_after_the_snapshot_costs_nothing(log: SqliteLog, tmp_path: Path) -> None:
    whole = State.restore(tmp_path / "none", log, SMALL)
    ahead = State(SMALL)
    ahead.fold(log.read(0, 1_000)[0])
    ahead.save(tmp_path / "state" / BASE)  # and then the machine stopped
    same_state(whole, State.restore(tmp_path / "state", log, SMALL))
    retain(log, tmp_path / "state", SMALL, newest_ms(log) - 200 * DAY_MS)
    shutil.rmtree(tmp_path / "none", ignore_errors=True)
    same_state(whole, State.restore(tmp_path / "state", log, SMALL))
    log.close()
