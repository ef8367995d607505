"""The service as a process of its own: started, refused, interrupted, killed."""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from feedmill.core.errors import WorkspaceError
from feedmill.core.workspace import Workspace
from feedmill.serve.engine import Engine
from feedmill.serve.server import Server, running, serve
from serve.world import Make

pytestmark = pytest.mark.slow

CODE = (
    "import sys; from feedmill.core.workspace import Workspace; from feedmill.serve.server import serve\n"
    "serve(Workspace.open(sys.argv[1]))"
)


@contextmanager
def process(folder: Path) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    """A serving process and a client of it."""
    command = [sys.executable, "-W", "error", "-c", CODE, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
        try:
            assert started.stdout is not None
            line = started.stdout.readline()
            assert "http://" in line, line + str(started.stderr and started.stderr.read())
            url = line[line.index("http://") :].split()[0]
            with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
                yield started, client
        finally:
            started.kill()


def click(item_id: str, event_id: str) -> dict[str, Any]:
    return {"kind": "click", "user_id": "u1", "item_id": item_id, "event_id": event_id}


def test_no_acknowledged_event_is_lost_or_doubled_by_kill_9(make: Make) -> None:
    workspace = make()
    acknowledged: list[str] = []
    with process(workspace.path) as (started, client):
        killer = threading.Timer(0.3 + random.Random(4).random(), started.kill)
        client.get("/healthz").raise_for_status()
        killer.start()
        try:
            for k in range(100_000):
                answer = client.post("/v1/events", json=click(f"n{k}", f"e{k}"))
                assert answer.json()["accepted"] == 1
                acknowledged.append(f"n{k}")
        except httpx.TransportError:
            pass
        killer.cancel()
    assert acknowledged, "the kill came too early to show anything"
    with process(workspace.path) as (_, client):
        again = [click(item, f"e{k}") for k, item in enumerate(acknowledged)]
        answer = client.post("/v1/events", json=again[-10_000:]).json()
        assert answer["accepted"] == 0
        assert answer["duplicates"] == len(again[-10_000:])
        assert len(client.post("/v1/feed", json={"user_id": "u1"}).json()["items"]) == 10
    with Engine.open(workspace) as engine:
        clicks, _ = engine.live.log.read(0, 10**6)
        items = clicks.table.column("item_id").to_pylist()
        assert [i for i in items if i in set(acknowledged)].count(acknowledged[-1]) == 1
        assert set(acknowledged) <= set(items)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_server_saves_its_state_and_ends_well(make: Make, how: signal.Signals) -> None:
    workspace = make()
    with process(workspace.path) as (started, client):
        offset = client.post("/v1/events", json=click("new", "e1")).json()["offset"]
        started.send_signal(how)
        _, errors = started.communicate(timeout=60)
        assert started.returncode == 0, errors
        assert "Traceback" not in errors
    (snapshot,) = workspace.state.iterdir()
    assert int(snapshot.name) == offset


def test_a_second_server_is_told_who_serves(make: Make) -> None:
    workspace = make()
    with process(workspace.path) as (started, client):
        client.get("/healthz").raise_for_status()
        with pytest.raises(WorkspaceError, match=f"process {started.pid}"):
            serve(workspace)
        with Engine.open(workspace) as engine:  # a look from elsewhere is no second server
            assert len(engine.recommend("u1", n=3, expose=False).items) == 3


def test_an_address_that_is_taken_says_so_and_lets_go_of_the_workspace(make: Make) -> None:
    workspace = make()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(WorkspaceError, match="cannot be listened on"):
            serve(workspace, port=taken.getsockname()[1])
    with running(workspace) as url:
        assert httpx.get(f"{url}/readyz", trust_env=False).status_code in (200, 503)


def test_running_is_over_when_its_block_is(make: Make) -> None:
    workspace = make()
    with running(workspace) as url:
        answer = httpx.post(f"{url}/v1/feed", json={"user_id": "u1", "n": 3}, trust_env=False)
        assert len(answer.json()["items"]) == 3
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/healthz", trust_env=False)
    assert workspace.state.exists()


def test_an_error_of_a_workspace_comes_before_any_address(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "feed", "[serve]\nport = 0\n")
    workspace.log.write_text("no log at all, but long enough to be looked at as one")
    with pytest.raises(Exception, match="not a"):
        serve(workspace, ready=lambda url: pytest.fail(url))


def test_a_server_may_listen_on_ipv6(make: Make) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    with Engine.open(make()) as engine:
        try:
            server = Server(engine, "::1", 0)
        except WorkspaceError as e:
            pytest.skip(f"no IPv6 here: {e}")
        with server:
            assert server.url.startswith("http://[::1]:")
            assert httpx.get(f"{server.url}/healthz", trust_env=False).status_code == 200
