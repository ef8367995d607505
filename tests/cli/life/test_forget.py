"""``feedmill data forget`` on a workspace that has everything: no file has the id any more, and all goes on."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cli.conftest import Run
from feedmill.cli.life.remains import remains
from feedmill.core.batches import Part
from feedmill.core.clock import rng
from feedmill.core.errors import ConfigError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.request import FeedItem, Trace
from feedmill.core.workspace import Workspace
from feedmill.log.sqlite import SqliteLog
from feedmill.log.traces import open_to_write, read_traces
from feedmill.log.traces import write as write_traces
from feedmill.publish import promote, write
from feedmill.samples.joiner import checkpoint
from feedmill.samples.joiner.run import run as join
from feedmill.state import State
from feedmill.state.forget import forget
from serve.world import about

ANNA, T0 = "anna.k@example", 1_700_000_000_000
CONFIG = "[samples.join]\npart_events = 1024\n[samples.join.windows]\nclick = 60.0\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two thousand feeds of three people, joined; traces, rejects, a version and a snapshot."""
    at = Workspace.create(tmp_path_factory.mktemp("made") / "shop", CONFIG)
    log, rows = SqliteLog(at.log), []
    users, n = [ANNA, "ben", "cleo"], 2_000
    for k in range(n):
        user, time_ms = users[k % 3], T0 + 10_000 * k
        shown = {"time_ms": time_ms, "kind": 0, "user_id": user, "item_id": f"i{k % 9}", "request_id": f"r{k}"}
        if k % 50 == 0 or k == n - 1:
            rows.append({**shown, "kind": int(Kind.USER), "payload": json.dumps({"name": user})})
        rows.append(shown)
        if k % 2:
            rows.append({**shown, "kind": 1, "time_ms": time_ms + 500, "event_id": f"{user}/{k}"})
    for k in range(0, len(rows), 70):
        log.append(EventBatch.rows(rows[k : k + 70]))
    join(at)
    with closing(open_to_write(at.traces)) as traces:
        write_traces(traces, [Trace(request_id=f"r{k}", user_id=users[k % 3], time_ms=k) for k in range(30)], keep=100)
    at.rejects.mkdir()
    (at.rejects / "old.jsonl").write_text(f'{{"row": {{"user_id": "{ANNA}"}}}}\n{{"row": {{"user_id": "x{ANNA}"}}}}\n')
    state = State.restore(at.state, log)
    state.save(at.state)
    promote(at.artifacts, write(at.artifacts, {"p": Part("k", {}, {"a": np.zeros(4)})}, about(state)))
    log.close()
    return at.path


@pytest.fixture
def shop(made: Path, tmp_path: Path) -> Workspace:
    """A copy."""
    return Workspace.open(shutil.copytree(made, tmp_path / "shop"))


def samples(at: Workspace) -> pl.DataFrame:
    paths = sorted((at.path / "samples").glob("day=*/*.parquet"))
    return pl.concat([pl.read_parquet(p, hive_partitioning=False) for p in paths]).sort("offset")


def test_nothing_is_left_and_everything_goes_on(shop: Workspace, run: Run) -> None:
    before = samples(shop)
    places = {str(r.path.relative_to(shop.path)).split("/")[0] for r in remains(shop, ANNA)}
    assert places == {"log.sqlite", "traces.sqlite", "samples", "rejects", "state"}
    seen = run("data", "forget", ANNA, "--prove", "--dir", shop.path)
    assert seen.exit_code == 1
    assert "events in log.sqlite" in seen.output

    done = run("data", "forget", ANNA, "--dir", shop.path)
    assert done.exit_code == 0, done.output
    assert "events are nobody's now" in done.output
    assert "no file of the workspace has them any more" in done.output
    again = run("data", "forget", ANNA, "--prove", "--dir", shop.path)
    assert again.exit_code == 0

    after = samples(shop)
    rest = [c for c in before.columns if c != "user_id"]
    assert after.select(rest).equals(before.select(rest))
    who = pl.col("user_id")
    assert after.filter(~who.is_in(["ben", "cleo"])).height == before.filter(who == ANNA).height
    assert set(after["user_id"].unique()) - {""} <= {"ben", "cleo", *_aliases(shop)}
    assert {t.user_id for t in read_traces(shop.traces)} == {"ben", "cleo"}
    assert (shop.rejects / "old.jsonl").read_text() == f'{{"row": {{"user_id": "x{ANNA}"}}}}\n'

    log = SqliteLog(shop.log)
    log.append(EventBatch.of({"time_ms": T0 + 10**8, "kind": 0, "user_id": "ben", "item_id": "i1", "request_id": "z"}))
    log.close()
    joined = join(shop)
    assert joined.notes == (), "the joiner goes on from its checkpoint"
    state = State.restore(shop.state, SqliteLog(shop.log))
    assert state.users.row(ANNA) == 0
    assert state.offset == joined.offset


def _aliases(at: Workspace) -> set[str]:
    log = SqliteLog(at.log)
    found = {text for e in log.erasures() for table, _, text in e.renames if table == "user"}
    log.close()
    return found


def test_samples_are_what_joining_the_rewritten_log_gives(shop: Workspace, run: Run) -> None:
    assert run("data", "forget", ANNA, "--dir", shop.path).exit_code == 0
    scrubbed = samples(shop)
    join(shop, again=True)
    assert samples(shop).equals(scrubbed)


def test_a_run_that_was_stopped_is_finished_by_the_next(shop: Workspace, run: Run) -> None:
    assert run("data", "forget", ANNA, "--dir", shop.path).exit_code == 0
    (shop.rejects / "late.jsonl").write_text(f'{{"row": "{ANNA}"}}\n')
    assert run("data", "forget", ANNA, "--prove", "--dir", shop.path).exit_code == 1
    done = run("data", "forget", ANNA, "--dir", shop.path)
    assert done.exit_code == 0
    assert "nobody of 1 ids is in the log" in done.output
    assert "1 rejects" in done.output


def test_a_stop_between_the_log_and_its_copies_is_made_up_for(shop: Workspace, run: Run) -> None:
    log = SqliteLog(shop.log)
    last = log.read(1023, 1)[0].table.column("user_id")[0].as_py()  # the event that the first checkpoint is known by
    forget(log, State.restore(shop.state, log), [last], now_ms=5)  # and then the machine stopped
    log.close()
    done = run("data", "forget", last, "--dir", shop.path)
    assert done.exit_code == 0, done.output
    for path in checkpoint.stored(shop.path / "samples" / "checkpoints")[:-1]:
        path.unlink()
    assert join(shop).start == 1024


def test_short_ids_are_found_as_words_only(shop: Workspace) -> None:
    (shop.path / "notes.bin").write_bytes(b"user_id 17, user_id a7, user_id 7, and so on")
    assert [(r.path.name, r.n) for r in remains(shop, "7") if r.path.name == "notes.bin"] == [("notes.bin", 1)]
    (shop.path / "notes.bin").write_bytes(b"x" * ((1 << 24) - 5) + b" user_id 7, and so on" + b"x")
    assert [r.n for r in remains(shop, "7") if r.path.name == "notes.bin"] == [1], "also where two reads meet"
    (shop.path / "large.bin").write_bytes(b"x" * ((1 << 24) - 5) + ANNA.encode() + b"x")
    assert [r.n for r in remains(shop, ANNA) if r.path.name == "large.bin"] == [1], "also where two reads meet"


def test_an_item_a_number_and_chance_are_no_short_id(shop: Workspace) -> None:
    (shop.path / "weights.bin").write_bytes(rng(0, "weights").bytes(1 << 20))
    assert remains(shop, "i3") == [], "an item of the log, of samples and of the catalogue"
    with closing(open_to_write(shop.traces)) as traces:
        item = FeedItem(item_id="42", title="", position=42, value=42.0, channels={}, scores={}, why="ranked 42nd")
        write_traces(traces, [Trace(request_id="r", user_id="ben", time_ms=42, items=[item])], keep=100)
    assert [r.where for r in remains(shop, "42") if r.path == shop.traces] == []
    assert [r.n for r in remains(shop, "ben") if r.path == shop.traces] == [11]


def test_other_logs_say_what_to_do(tmp_path: Path, run: Run) -> None:
    Workspace.create(tmp_path / "shop", '[log]\nkind = "memory"\n')
    failed = run("data", "forget", "anna", "--dir", tmp_path / "shop")
    assert isinstance(failed.exception, ConfigError)
    assert "where it lives" in failed.exception.fix


@pytest.mark.slow
def test_a_trained_workspace_serves_its_version_and_trains_the_next(trained: Path, run: Run, tmp_path: Path) -> None:
    at = Workspace.open(shutil.copytree(trained, tmp_path / "shop"))
    done = run("data", "forget", "u4", "u7", "--dir", at.path)
    assert done.exit_code == 1, "the file that was ingested lies in the folder"
    assert "2 places still have them" in done.output
    (at.path / "acts.csv").unlink()
    assert run("data", "forget", "u4", "u7", "--prove", "--dir", at.path).exit_code == 0
    for user in ("u4", "u5"):
        shown = run("recommend", user, "--dir", at.path)
        assert shown.exit_code == 0, shown.output
        assert "degraded" not in shown.output
    again = run("train", "--dir", at.path)
    assert again.exit_code == 0, again.output
    assert run("recommend", "u5", "--dir", at.path).exit_code == 0
    assert "sound" in run("models", "verify", "--dir", at.path).output
    assert remains(at, "u7") == []
    assert [r.where for r in remains(at, "u4")] == ["traces"], "who has asked again, as somebody new"
