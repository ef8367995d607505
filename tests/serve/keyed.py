"""A real service with keys of every kind, and what its tests ask it with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from feedmill.core.clock import WallClock
from feedmill.serve.access import ALLOWED, EVERYBODY
from feedmill.serve.engine import Engine
from feedmill.serve.keys import ROLES, create, revoke
from feedmill.serve.server import Server

PROBLEM = "application/problem+json"
PARTS = {"{item_id}": "i1", "{request_id}": "nothing", "{name}": "nothing", "{step}": "stop"}
ROUTES = [route.split(" ", 1) for route in sorted(ALLOWED)]
CLOSED = [(method, path) for method, path in ROUTES if ALLOWED[f"{method} {path}"] is not EVERYBODY]


@contextmanager
def served(engine: Engine) -> Iterator[httpx.Client]:
    with Server(engine) as server, httpx.Client(base_url=server.url, timeout=60, trust_env=False) as client:
        engine.warm()
        yield client


def made_keys(keys: Path, other: Path) -> dict[str, str]:
    """A key of each role, and of each kind that does not hold."""
    now_ms = WallClock().now_ms()
    made: dict[str, str] = {role: create(keys, [role], now_ms, rate_per_s=0)[1] for role in ROLES}
    ended, made["revoked"] = create(keys, ["admin"], now_ms)
    revoke(keys, ended.id, now_ms)
    made["expired"] = create(keys, ["admin"], now_ms - 9, expires_ms=now_ms - 1)[1]
    made["foreign"] = create(other, ["admin"], now_ms)[1]
    made["wrong"] = made["admin"][:-4] + ("AAAA" if made["admin"][-4:] != "AAAA" else "BBBB")
    return made


def ask(http: httpx.Client, method: str, path: str, token: str = "", **more: Any) -> httpx.Response:
    for name, value in PARTS.items():
        path = path.replace(name, value)
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return http.request(method, path, headers=headers | more.pop("headers", {}), **more)


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    found: dict[str, Any] = answer.json()
    assert found["status"] == status
    return found
