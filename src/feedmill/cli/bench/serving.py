"""The service through HTTP: how soon a feed comes, and how soon an acknowledged event shows in the next one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from feedmill.cli.bench.measure import timed, timing
from feedmill.core.errors import WorkspaceError
from feedmill.metrics.rows import BenchRow


@contextmanager
def service(folder: Path) -> Iterator[str]:
    """The workspace's service in a process of its own, on a free port; yields its address."""
    if not (folder / "feedmill.toml").exists():
        raise WorkspaceError(f"no workspace in {folder}", "a trained one", "run `feedmill demo --no-stay` first")
    command = [sys.executable, "-m", "feedmill", "serve", "--dir", str(folder), "-s", "serve.port=0"]
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if "http://" in line:
                yield line[line.index("http://") :].split()[0]
                break
        else:
            raise WorkspaceError("the service did not start", "its address", f"run `{' '.join(command[1:])}`")
    finally:
        process.terminate()
        process.wait(30)
        if process.stdout is not None:
            process.stdout.close()


def serving_rows(folder: Path, quick: bool) -> list[BenchRow]:
    """One connection, one request after the other, users in turn; exposures are logged durably."""
    n = 300 if quick else 3000
    with service(folder) as url, httpx.Client(base_url=url, timeout=30) as client:
        users = [str(u) for u in range(1, 944)]

        def ask(i: int) -> bytes:
            answer = client.post("/v1/feed", json={"user_id": users[i * 7 % len(users)], "n": 10})
            answer.raise_for_status()
            return answer.content

        def shown(user: str) -> list[str]:
            feed = client.post("/v1/feed", json={"user_id": user, "n": 10}).json()
            return [x["item_id"] for x in feed["items"]]

        def act(i: int) -> None:
            """Click the first item; the next feed must not have it."""
            user = users[i * 11 % len(users)]
            item = shown(user)[0]
            start = time.perf_counter()
            client.post("/v1/events", json={"kind": "click", "user_id": user, "item_id": item}).raise_for_status()
            acknowledged.append(time.perf_counter() - start)
            start = time.perf_counter()
            while item in [
                x["item_id"] for x in client.post("/v1/feed", json={"user_id": user, "n": 10}).json()["items"]
            ]:
                continue
            visible.append(time.perf_counter() - start)

        acknowledged: list[float] = []
        visible: list[float] = []
        timed(50, ask)
        feeds = timed(n, ask)
        timed(n // 10, act)
    rows = [timing("POST /v1/feed, 10 items", m, feeds) for m in ("p50", "p99")]
    rows += [timing("POST /v1/events, one click, durable", m, acknowledged) for m in ("p50", "p99")]
    return rows + [timing("acknowledged click -> a feed without the item", m, visible) for m in ("p50", "p99")]
