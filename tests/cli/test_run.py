"""``feedmill run``: a group of real processes, awaited by what they say."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.conftest import Run
from feedmill.core.errors import ConfigError

pytestmark = pytest.mark.slow
Line = dict[str, str]


class Group:
    """A supervisor and its lines."""

    def __init__(self, folder: Path, *options: str) -> None:
        command = [sys.executable, "-m", "feedmill", "run", "--json-logs", "--dir", str(folder), *options]
        self.folder, self.lines = folder, list[Line]()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def until(self, part: str, words: str) -> Line:
        """Read on until a part says these words."""
        assert self.process.stdout is not None
        for raw in self.process.stdout:
            line = json.loads(raw)
            self.lines.append(line)
            if line["part"] == part and words in line["message"]:
                return line
        raise AssertionError(f"{part} never said {words!r}; said was\n" + "\n".join(map(str, self.lines)))

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = json.loads((self.folder / "status" / "run.json").read_text())
        return status

    def rest(self) -> list[Line]:
        assert self.process.stdout is not None
        return [json.loads(raw) for raw in self.process.stdout]


@contextmanager
def group(folder: Path, *options: str) -> Iterator[Group]:
    started = Group(folder, *options)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.wait()
        assert started.process.stdout is not None
        started.process.stdout.close()


def pid_in(line: Line) -> int:
    return int(line["message"].rpartition(" ")[2])


def gone(pid: int, within_s: float = 60) -> bool:
    """Whether a process, which need not be a child of this one, ends within so many seconds."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], within_s)[0])
    finally:
        os.close(handle)


def test_a_group_serves_restarts_what_is_killed_and_ends_in_order(trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    shutil.copytree(trained, folder)
    with group(folder, "-s", "serve.port=0", "-s", "run.backoff_s=0.1", "-s", 'run.parts=["join", "serve"]') as run:
        first = pid_in(run.until("join", "started"))
        url = run.until("serve", "serving at")["message"].split()[2]
        feed = httpx.post(f"{url}/v1/feed", json={"user_id": "u1"}, timeout=60, trust_env=False)
        assert feed.status_code == 200
        os.kill(first, signal.SIGKILL)
        assert run.until("join", "SIGKILL")["level"] == "error"
        second = pid_in(run.until("join", "started"))
        assert second != first
        os.kill(second, signal.SIGKILL)  # once more: by now the status has what came before
        run.until("join", "SIGKILL")
        third = pid_in(run.until("join", "started"))
        figures = run.status()["figures"]
        assert figures["join_restarts"] >= 1
        assert figures["serve_restarts"] == 0
        run.process.terminate()
        ends = [line["part"] for line in run.rest() if line["message"] in ("stopped", "ended")]
        assert ends == ["join", "serve", "run"], "who answers ends last"
        assert run.process.wait(60) == 0
        assert run.status()["state"] == "ended"
        assert gone(third, 0)
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{url}/healthz", trust_env=False)


def test_nobody_outlives_a_supervisor_that_is_killed_and_a_refusal_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "feedmill.toml").write_text('[run]\nincremental_s = 0.1\nparts = ["join", "incremental"]\n')
    with group(tmp_path) as run:
        joins = pid_in(run.until("join", "started"))
        refused = run.until("incremental", "not now")
        assert refused["level"] == "warning"
        assert "feedmill train" in refused["message"]
        for _ in range(2):
            run.until("incremental", "started")
        assert sum("not now" in line["message"] for line in run.lines) == 1
        status = run.status()
        assert status["state"] == "degraded"
        assert (status["part"], status["pid"]) == ("run", run.process.pid)
        assert any("feedmill train" in words or "runs as" in words for words in status["words"])
        second = subprocess.run(
            [sys.executable, "-m", "feedmill", "run", "--dir", str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode == 1
        assert f"being run by process {run.process.pid}" in " ".join(second.stderr.split())
        learns = pid_in(run.until("incremental", "started"))
        run.process.kill()
        assert gone(joins)
        assert gone(learns)


def test_one_round_for_cron(tmp_path: Path, run: Run) -> None:
    (tmp_path / "feedmill.toml").write_text("")
    once = [sys.executable, "-m", "feedmill", "run", "--once", "--dir", str(tmp_path)]
    done = subprocess.run([*once, "-s", 'run.parts=["join"]'], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "0 impressions = 0 samples" in done.stdout
    both = subprocess.run([*once, "--json-logs"], capture_output=True, text=True, check=False)
    assert both.returncode == 1, "there is no artifact to learn on from"
    lines = [json.loads(line) for line in both.stdout.splitlines()]
    assert [line["part"] for line in lines if line["message"].startswith("started")] == ["join", "incremental"]
    assert any("no artifact" in line["message"] and line["level"] == "warning" for line in lines)
    assert isinstance(run("run", "--nightly", "--dir", tmp_path).exception, ConfigError)
