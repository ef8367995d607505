from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cli.conftest import Run
from feedmill.core.events import EventBatch
from feedmill.core.workspace import Workspace
from feedmill.log.sqlite import SqliteLog
from feedmill.log.whole import read_all
from feedmill.samples.joiner.run import run as join
from feedmill.state import Replay, State

DAY_MS, T0 = 86_400_000, 1_700_000_000_000


@pytest.fixture
def shop(tmp_path: Path) -> Workspace:
    """Ten days, a hundred views a day, one append each; served as if of its last day."""
    at = Workspace.create(tmp_path / "shop", '[serve]\nclock = "log"\n[samples.join]\npart_events = 1024\n')
    log = SqliteLog(at.log)
    events = EventBatch.of(
        {
            "time_ms": T0 + np.arange(2_000) * (DAY_MS // 200),
            "kind": 0,
            "user_id": [f"u{k % 7}" for k in range(2_000)],
            "item_id": [f"i{k % 11}" for k in range(2_000)],
            "request_id": [f"r{k}" for k in range(2_000)],
        }
    )
    for k in range(0, 2_000, 20):
        log.append(events[k : k + 20])
    log.close()
    return at


def test_retention_from_the_command_line(shop: Workspace, run: Run) -> None:
    whole = State.restore(shop.state, SqliteLog(shop.log))
    done = run("data", "retain", "--days", "3", "--dir", shop.path)
    assert "1,399 events dropped; the log starts at event 1,399 of 2,000" in done.output
    log = SqliteLog(shop.log)
    assert int(log.read(log.start, 1)[0].numpy("time_ms")[0]) >= T0 + 6 * DAY_MS
    back = State.restore(shop.state, log)
    assert (back.offset, back.users.ids()) == (whole.offset, whole.users.ids())
    log.close()
    assert "0 events dropped" in run("data", "retain", "--days", "3", "--dir", shop.path).output


def test_what_the_joiner_still_reads_stays(shop: Workspace, run: Run) -> None:
    join(shop)
    done = run("data", "retain", "--days", "0", "--dir", shop.path)
    assert "1,023 events dropped" in done.output
    assert "the joiner resumes from event 1,023" in done.output
    assert join(shop).offset == 2_000


def test_compaction_from_the_command_line(shop: Workspace, run: Run) -> None:
    before = Replay.of_workspace(shop).events
    assert "99 micro-batches fewer" in run("data", "compact", "--dir", shop.path).output
    assert "0 micro-batches fewer" in run("data", "compact", "--dir", shop.path).output
    assert Replay.of_workspace(shop).events.table.equals(before.table)


def test_an_export_makes_the_same_log_again(shop: Workspace, run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run("data", "export", "--out", out, "--timezone", "Asia/Tokyo", "--dir", shop.path)
    assert "2,000 events" in done.output
    assert "days of Asia/Tokyo" in done.output
    other = Workspace.create(tmp_path / "other", "")
    assert "2,000 events appended" in run("data", "restore", out, "--dir", other.path).output
    assert "0 events appended, 2,000 were there" in run("data", "restore", out, "--dir", other.path).output
    log = SqliteLog(other.log)
    assert read_all(log).table.equals(Replay.of_workspace(shop).events.table)
    log.close()
