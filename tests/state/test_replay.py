"""A log is folded anew from where it starts, whatever came before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from feedmill.core.errors import ArtifactError
from feedmill.core.events import EventBatch
from feedmill.core.workspace import Workspace
from feedmill.log.memory import MemoryLog
from feedmill.log.sqlite import SqliteLog
from feedmill.state import Replay, State, StateConfig
from feedmill.state.retain import retain
from state.logs import random_log
from state.test_fold import same_state

SMALL = StateConfig(history_len=5)
EVENTS = random_log(2_000, n_users=20, n_items=80, seed=5)


@pytest.fixture
def at(tmp_path: Path) -> Workspace:
    at = Workspace.create(tmp_path / "shop", "[state]\nhistory_len = 5\n")
    log = SqliteLog(at.log)
    for k in range(0, len(EVENTS), 250):
        log.append(EVENTS[k : k + 250])
    log.close()
    return at


def cut(at: Workspace, start: int) -> None:
    log = SqliteLog(at.log)
    assert retain(log, at.state, SMALL, 2**62, at_most=start).start == start
    log.close()


def folded(replay: Replay) -> State:
    state = replay.state()
    state.fold(replay.events)
    return state


def test_it_is_the_whole_log_where_nothing_was_dropped(at: Workspace) -> None:
    replay = Replay.of_workspace(at)
    assert (replay.start, replay.end) == (0, 2_000)
    assert replay.events.table.equals(EVENTS.table)
    plain = State(SMALL)
    plain.register(EVENTS)
    same_state(plain, replay.state())
    plain.fold(EVENTS)
    same_state(plain, folded(replay))


def test_what_is_left_of_a_log_ends_in_the_same_state_time_and_again(at: Workspace) -> None:
    """Rows, counters and histories are those of all its events; what is folded once is not there the next time."""
    whole = folded(Replay.of_workspace(at))
    cut(at, 1_300)
    replay = Replay.of_workspace(at)
    assert (replay.start, replay.end, len(replay.events)) == (1_300, 2_000, 700)
    assert replay.state().users.ids() == whole.users.ids()
    for _ in range(2):
        same_state(whole, folded(replay))
    assert replay.before.offset == 1_300
    assert Replay.of_workspace(at, upto=1_500).end == 1_500


def test_events_can_be_left_out_but_not_what_came_before(at: Workspace) -> None:
    cut(at, 1_300)
    few = Replay.of_workspace(at).taken(np.arange(700) % 2 == 0)
    assert (few.start, len(few.events)) == (1_300, 350)
    assert folded(few).offset == 1_650


def test_a_crash_between_keeping_and_dropping_counts_nothing_twice(at: Workspace) -> None:
    """The state was kept at a later event than the log starts at."""
    whole = folded(Replay.of_workspace(at))
    cut(at, 500)
    ahead = State(SMALL)
    ahead.fold(EVENTS[:900])
    ahead.save(at.state / "base")
    replay = Replay.of_workspace(at)
    assert (replay.start, len(replay.events)) == (900, 1_100)
    same_state(whole, folded(replay))


def test_without_the_state_before_nothing_is_made_up(at: Workspace) -> None:
    cut(at, 1_300)
    other = Workspace(at.path, {**at.raw, "state": {"history_len": 6}})
    with pytest.raises(ArtifactError, match=r"other .state. settings") as e:
        Replay.of_workspace(other)
    assert "put the [state] settings back" in e.value.fix


def test_an_empty_log_is_an_empty_replay() -> None:
    replay = Replay.of(Workspace(Path(), {}), MemoryLog())
    assert (replay.start, replay.end) == (0, 0)
    assert replay.events.table.equals(EventBatch.empty().table)
