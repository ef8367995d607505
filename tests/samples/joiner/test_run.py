"""``feedmill join`` over a real log: stopped, killed, damaged or out of room, the samples are the same bytes."""

from __future__ import annotations

import itertools
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from feedmill.core.clock import rng
from feedmill.core.errors import ArtifactError, WorkspaceError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.workspace import Workspace
from feedmill.log.sqlite import SqliteLog
from feedmill.samples.joiner import JoinConfig, Joiner, checkpoint, parts
from feedmill.samples.joiner.run import needed, run, stored
from samples.joiner.plain import BASE_MS, event

TOML = """
[samples.join]
windows = { click = 10, like = 30, watch = 60 }
skew_s = 5
early_s = 5
witnesses = 2
part_events = 1024
"""
N = 6000
SAYING = """from feedmill.core.workspace import Workspace
from feedmill.samples.joiner import parts
from feedmill.samples.joiner.run import run
at, write = Workspace.open({folder!r}), parts.write
def told(*given):
    print(given[2], flush=True)
    done = write(*given)
    print(given[2], flush=True)
    return done
parts.write = told
"""


def events(n: int = N, seed: int = 0) -> EventBatch:
    """Feeds of five, a third of what they show is acted on, some of it late, twice, early or out of the blue."""
    random = rng(seed, "log")
    feed = np.repeat(np.arange(n), 5)
    shown_ms = BASE_MS + feed * 400
    acted = random.integers(0, len(feed), len(feed) // 2)  # some of it twice
    kind = random.choice(np.array([1, 1, 2, 7, 7], np.int8), len(acted))
    delay = random.exponential(9000, len(acted)).astype(np.int64) - 100
    row = np.concatenate([np.arange(len(feed)), acted])
    arrives = np.concatenate([shown_ms, shown_ms[acted] + delay + random.integers(-200, 900, len(acted))])
    order = np.argsort(arrives, kind="stable")[:n]
    columns = {
        "time_ms": np.concatenate([shown_ms, shown_ms[acted] + delay])[order],
        "kind": np.concatenate([np.zeros(len(feed), np.int8), kind])[order],
        "value": np.concatenate([np.ones(len(feed)), random.exponential(20, len(acted))]).astype(np.float32)[order],
        "user_id": (feed[row] % 97)[order].tolist(),
        "item_id": (row % 5)[order].tolist(),
        "request_id": np.where((row % 31 == 0) & (np.arange(len(row)) >= len(feed)), -1, feed[row])[order].tolist(),
        "position": (row % 5).astype(np.int16)[order],
    }
    return EventBatch.of(columns)


def workspace(folder: Path, upto: int = N) -> Workspace:
    """With the first events in its log."""
    if not (folder / "feedmill.toml").exists():
        Workspace.create(folder, TOML)
    append(folder, 0, upto)
    return Workspace.open(folder)


def append(folder: Path, start: int, stop: int) -> None:
    log = SqliteLog(folder / "log.sqlite")
    log.append(events()[start:stop])
    log.close()


def files(folder: Path) -> dict[str, bytes]:
    """Every file of samples, by its name."""
    root = folder / "samples"
    found = {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*.parquet")}
    return {**found, "joined.json": (root / "joined.json").read_bytes()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What an uninterrupted run writes."""
    folder = tmp_path_factory.mktemp("whole")
    ran = run(workspace(folder))
    assert ran.counts.uneven() == []
    assert ran.offset == N
    assert min(ran.counts.kinds[0].late, ran.counts.kinds[0].orphan, ran.counts.kinds[0].duplicate) > 0
    return files(folder)


def test_the_files_hold_what_a_joiner_gives(tmp_path: Path, whole: dict[str, bytes]) -> None:
    at = workspace(tmp_path)
    run(at)
    joiner = Joiner(at.section("samples.join", JoinConfig))
    expected = joiner.feed(events(), 0).samples
    found = pa.concat_tables(parts.closed(tmp_path / "samples", 0, N))
    assert found.to_pylist() == expected.to_pylist()
    assert files(tmp_path) == whole
    assert msgspec.json.decode(whole["joined.json"])["counts"]["accepted"] == joiner.counts.accepted


@pytest.mark.parametrize("steps", [(1,), (1023, 1024, 1025), (2048, 5000), (100, 200, 300, 4000)])
def test_a_log_that_grows_between_runs_gives_the_same_bytes(
    tmp_path: Path, whole: dict[str, bytes], steps: tuple[int, ...]
) -> None:
    at, start = workspace(tmp_path, 0), 0
    for stop in (*steps, N):
        append(tmp_path, start, stop)
        assert run(at).offset == stop
        start = stop
    assert files(tmp_path) == whole
    assert needed(at) == 4096


def test_who_reads_what_is_stored_gets_everything_once_and_in_order(tmp_path: Path) -> None:
    at, seen, upto = workspace(tmp_path, 0), [], 0
    assert stored(at) == 0
    for low, high in itertools.pairwise((0, 700, 3500, 3600, N)):
        append(tmp_path, low, high)
        run(at)
        assert stored(at) == high
        seen += list(parts.closed(tmp_path / "samples", upto, stored(at)))
        upto = seen[-1]["closed_at"][-1].as_py() + 1 if seen else 0
    expected = Joiner(at.section("samples.join", JoinConfig)).feed(events(), 0).samples
    assert pa.concat_tables(seen).to_pylist() == expected.to_pylist()


def test_a_day_is_settled_when_all_of_it_is_in_samples(tmp_path: Path) -> None:
    midnight = BASE_MS // 1000 // 86_400 * 86_400 + 86_400
    at, n_complete = workspace(tmp_path, 0), 0
    for k, after_s in enumerate((-2.0, -1.0, 30.0, 60.0, 63.0, 64.5, 66.0, 67.0)):
        log = SqliteLog(tmp_path / "log.sqlite")
        log.append(EventBatch.rows([event(Kind.IMPRESSION, midnight - BASE_MS / 1000 + after_s, f"r{k}", "x")]))
        log.close()
        ran = run(at)
        n_complete = ran.counts.complete
        # of two witnesses the clock is the older: 66 s, when the windows of 60 s and the skew of 5 s are over
        assert (ran.settled_ms is not None and ran.settled_ms >= midnight * 1000) == (after_s >= 67)
        assert (n_complete == 2) == (after_s >= 66)
    assert n_complete == 2


@pytest.mark.parametrize("n_damaged", [1, 2])
def test_a_damaged_checkpoint_is_passed_over_and_said(tmp_path: Path, whole: dict[str, bytes], n_damaged: int) -> None:
    at = workspace(tmp_path, 5500)
    run(at)
    append(tmp_path, 5500, N)
    found = checkpoint.stored(tmp_path / "samples" / "checkpoints")
    assert len(found) == 2
    for path in found[:n_damaged]:
        path.write_bytes(path.read_bytes()[:-50])
    ran = run(at)
    assert len(ran.notes) == n_damaged
    assert "not what was written" in ran.notes[0]
    assert ran.start == (4096 if n_damaged == 1 else 0)
    assert files(tmp_path) == whole


def test_who_follows_says_at_once_that_a_checkpoint_is_damaged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = workspace(tmp_path, 5500)
    run(at)
    append(tmp_path, 5500, N)
    newest = checkpoint.stored(tmp_path / "samples" / "checkpoints")[0]
    newest.write_bytes(newest.read_bytes()[:-50])

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(parts, "write", stop)
    with pytest.raises(KeyboardInterrupt):
        run(at, until_end=False)
    assert [r.levelname for r in caplog.records if "not what was written" in r.message] == ["WARNING"]


def test_other_windows_and_other_logs_are_refused_until_asked(tmp_path: Path) -> None:
    at = workspace(tmp_path)
    run(at)
    other = Workspace.open(tmp_path, {"samples.join.windows": {"click": 20.0}})
    with pytest.raises(ArtifactError, match="other windows"):
        run(other)
    ran = run(other, again=True)
    assert (ran.start, ran.counts.kinds[0].window_s) == (0, 20.0)
    for path in tmp_path.glob("log.sqlite*"):
        path.unlink()
    log = SqliteLog(tmp_path / "log.sqlite")
    log.append(events(seed=1))
    log.close()
    with pytest.raises(ArtifactError, match="another log"):
        run(other)


def test_one_at_a_time(tmp_path: Path) -> None:
    at = workspace(tmp_path, 100)
    code = (
        "import sys, fcntl, pathlib\n"
        f"f = open({str(tmp_path / 'samples' / '.lock')!r}, 'a+'); fcntl.flock(f, fcntl.LOCK_EX)\n"
        "f.truncate(0); f.write('4711'); f.flush(); print('held', flush=True); sys.stdin.read()\n"
    )
    (tmp_path / "samples").mkdir()
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(WorkspaceError, match="by process 4711"):
            run(at)
        other.communicate(b"")
    assert run(at).offset == 100


def test_a_full_disk_is_said_and_made_good(tmp_path: Path, whole: dict[str, bytes]) -> None:
    at = workspace(tmp_path)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)  # samples fit below, the checkpoint does not
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, hard))  # Python ignores SIGXFSZ: writes fail as on a full disk
    try:
        with pytest.raises(WorkspaceError, match="cannot be stored") as refused:
            run(at)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert "free some space" in refused.value.fix
    assert list((tmp_path / "samples").rglob("*.new")) == []
    assert checkpoint.stored(tmp_path / "samples" / "checkpoints") == []
    run(at)
    assert files(tmp_path) == whole


@pytest.mark.slow
def test_it_follows_a_log_until_it_is_stopped(tmp_path: Path, whole: dict[str, bytes]) -> None:
    at = workspace(tmp_path, 3000)
    code = SAYING.format(folder=str(tmp_path)) + "run(at, until_end=False, flush_s=0.1)\n"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert any(int(line) == 3000 for line in process.stdout)
        append(tmp_path, 3000, N)
        assert any(int(line) == N for line in process.stdout)
        process.send_signal(signal.SIGINT)
        assert "KeyboardInterrupt" in process.communicate()[1]
    assert run(at).offset == N
    assert files(tmp_path) == whole


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_with_the_same_bytes(tmp_path: Path, whole: dict[str, bytes]) -> None:
    workspace(tmp_path)
    random, n_killed = rng(0, "kill"), 0
    code = SAYING.format(folder=str(tmp_path)) + "print('go', flush=True); run(at)\n"
    for _ in range(6):
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(int(random.integers(1, 9))):  # a moment between two of its lines
                process.stdout.readline()
            os.kill(process.pid, signal.SIGKILL)
            n_killed += process.wait() == -signal.SIGKILL
    assert n_killed
    done = subprocess.run(
        [sys.executable, "-m", "feedmill", "join", "--dir", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "impressions =" in done.stdout
    assert files(tmp_path) == whole
