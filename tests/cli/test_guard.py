"""``feedmill guard`` on a log that breaks, and what ``feedmill update`` makes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cli.conftest import Run
from feedmill.core.errors import ArtifactError, DataError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.workspace import Workspace
from feedmill.log.sqlite import SqliteLog
from feedmill.publish import current
from feedmill.publish.delta import newest
from feedmill.samples.guard import quarantined, verdict_of
from feedmill.samples.guard.by_hand import orders
from samples.guard.test_watch import BREAK, MINUTE, START, TOML, stream
from shown_worlds import SMALL_RANKER

LEARNER = f"""
[retrieval.channels.popular]
{SMALL_RANKER}[update.nightly]
hold_share = 0.1
"""


def append(folder: Path, low: float, high: float) -> None:
    """The minutes from ``low`` to ``high`` of a stream that is broken from ``BREAK`` on, to its end."""
    events = stream(broken=(BREAK, 10_000))
    at = np.searchsorted(events.numpy("time_ms"), START + np.array([low, high]) * MINUTE)
    log = SqliteLog(folder / "log.sqlite")
    log.append(events[int(at[0]) : int(at[1])])
    log.close()


def test_it_says_what_it_left_out_and_does_what_it_is_told(tmp_path: Path, run: Run) -> None:
    (tmp_path / "feedmill.toml").write_text(TOML)
    assert "nobody has looked yet" in run("guard", "status", "--dir", tmp_path).output
    append(tmp_path, 0, BREAK)
    run("join", "--dir", tmp_path)
    well = run("guard", "status", "--dir", tmp_path)
    assert well.exit_code == 0
    assert well.output.startswith("ok; judged up to 2020-09-13T12:")
    assert "usual: click 0.4" in well.output
    append(tmp_path, BREAK, BREAK + 10)
    run("join", "--dir", tmp_path)
    broken = run("guard", "status", "--dir", tmp_path)
    assert broken.exit_code == 3
    assert broken.output.startswith("OPEN: nothing new is learned")
    assert "to now, by guard: click: 0 where 0.4" in broken.output
    told = run("guard", "resume", "--dir", tmp_path, "--who", "ann", "--why", "a new button")
    assert "of the log says so" in told.output
    told = run("guard", "quarantine", "2020-09-13T12:00", "2020-09-13T12:30:00+00:00", "--dir", tmp_path)
    assert told.exit_code == 0, told.output
    append(tmp_path, BREAK + 10, BREAK + 12)
    run("join", "--dir", tmp_path)
    resumed = run("guard", "status", "--dir", tmp_path)
    assert resumed.exit_code == 0
    assert "2020-09-13T12:00:00Z to 2020-09-13T12:30:00Z, by " in resumed.output
    found = verdict_of(Workspace.open(tmp_path))
    assert found is not None
    assert found.resumes == 1
    log = SqliteLog(tmp_path / "log.sqlite")
    said = [order for _, order in orders(log.read(0, log.end)[0])]
    log.close()
    assert [(o.action, o.who, o.why) for o in said[:1]] == [("resume", "ann", "a new button")]


def test_what_cannot_be_is_refused(tmp_path: Path, run: Run) -> None:
    (tmp_path / "feedmill.toml").write_text("")
    for start, end in (("yesterday", "2020-01-01"), ("2020-01-02", "2020-01-01"), ("5", "5")):
        assert isinstance(run("guard", "quarantine", start, end, "--dir", tmp_path).exception, DataError)
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "guard.json").write_text("{")
    damaged = run("guard", "status", "--dir", tmp_path).exception
    assert isinstance(damaged, ArtifactError)
    assert "feedmill join" in str(damaged)


def test_its_events_cannot_come_from_outside_and_change_no_state() -> None:
    from feedmill.datasets.check import KINDS
    from feedmill.samples.guard.by_hand import Order, event
    from feedmill.state import State

    assert int(Kind.GUARD) not in KINDS.values()
    events = stream(n_minutes=5)
    plain, told = State(), State()
    plain.fold(events)
    told.fold(EventBatch.concat([event(Order("resume", "ann"), START), events]))
    assert len(told.users) == len(plain.users)
    assert len(told.items) == len(plain.items)


@pytest.mark.slow
def test_a_break_is_not_learned_and_what_was_learned_is_undone(tmp_path: Path, run: Run) -> None:
    """The guard finds one by itself before anything of it is learned; of another it is told when that has been."""
    (tmp_path / "feedmill.toml").write_text(TOML.replace("like = 1800, watch = 1800", "watch = 600") + LEARNER)
    append(tmp_path, 0, 10)
    assert run("train", "--dir", tmp_path).exit_code == 0
    root = tmp_path / "artifacts"
    base = current(root)
    assert base is not None
    append(tmp_path, 10, 24)
    run("join", "--dir", tmp_path)
    assert "rows moved" in run("update", "--incremental", "--dir", tmp_path).output
    append(tmp_path, 24, BREAK)
    run("join", "--dir", tmp_path)
    assert "rows moved" in run("update", "--incremental", "--dir", tmp_path).output
    poisoned = newest(root, base)
    told = run("guard", "quarantine", "2020-09-13T12:42", "2020-09-13T12:44", "--dir", tmp_path)
    assert told.exit_code == 0, told.output
    append(tmp_path, BREAK, BREAK + 16)
    run("join", "--dir", tmp_path)
    assert run("guard", "status", "--dir", tmp_path).exit_code == 3
    healed = run("update", "--incremental", "--dir", tmp_path)
    assert "warning: what a stretch in quarantine had taught is undone" in healed.output, healed.output
    last, found = newest(root, base), verdict_of(Workspace.open(tmp_path))
    assert last is not None
    assert poisoned is not None
    assert found is not None
    assert last.seq > poisoned.seq
    by_hand, by_itself = found.stretches
    assert by_hand.to_ms < poisoned.about["until_ms"] < last.about["until_ms"] < by_itself.from_ms
    shown = stream().numpy("time_ms")[stream().numpy("kind") == Kind.IMPRESSION]
    taught = (shown >= START + 10 * MINUTE) & (shown <= last.about["until_ms"])
    taught &= ~quarantined(found.stretches, shown)
    assert last.about["n_labels"] == taught.sum(), "each once, and none of a stretch"
    again = run("update", "--incremental", "--dir", tmp_path)
    assert "the guard is open since" in again.output
    assert "undone" not in again.output
    night = run("update", "--full", "--dir", tmp_path)
    assert night.exit_code == 0, night.output
