"""What a key costs a request: the check alone, and what stands around a route, against the same route without."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from feedmill.cli.bench.measure import timed, timing
from feedmill.metrics.rows import BenchRow

_BATCH = 100  # checks a timing: one alone is too short for the clock


def keys_rows(quick: bool) -> list[BenchRow]:
    """KeyRing.find by what is sent, with 100 keys made; then the middleware with its bucket, in an event loop."""
    from feedmill.serve.access import Guarded
    from feedmill.serve.config import ServeConfig
    from feedmill.serve.keys import KeyRing, create
    from feedmill.serve.problems import Unauthorized

    n = 50 if quick else 500
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path = Path(folder) / "keys.json"
        made = [create(path, ["feed"], 0, rate_per_s=1e9)[1] for _ in range(20 if quick else 100)]
        ring, right = KeyRing(path), f"Bearer {made[-1]}"
        sent = {"right": right, "wrong secret": right[:-4] + "AAAA", "unknown id": f"Bearer fm_0123456789_{'A' * 43}"}

        def ask(text: str) -> None:
            with suppress(Unauthorized):
                ring.find(text)

        rows = [_row(f"key: {what}", n, lambda text=text: ask(text)) for what, text in sent.items()]  # type: ignore[misc]
        guarded = Guarded(_nothing, ring, ServeConfig())
        rows.append(_row("key, role and bucket: around a route", n, lambda: _drive(guarded, right)))
        rows.append(_row("the same route without", n, lambda: _drive(_nothing, right)))
    return rows


def _row(what: str, n: int, verb: Callable[[], object]) -> BenchRow:
    seconds = timed(n, lambda _: [verb() for _ in range(_BATCH)])
    return timing(what, "p50", [s / _BATCH for s in seconds], "µs", 1e6)


def _drive(app: Any, authorization: str) -> None:
    """One request through an ASGI app that never waits, without an event loop's own cost."""
    headers = [(b"host", b"localhost"), (b"user-agent", b"bench"), (b"accept", b"*/*"),
               (b"content-type", b"application/json"), (b"authorization", authorization.encode())]  # fmt: skip
    scope = {"type": "http", "method": "POST", "path": "/v1/feed", "headers": headers}
    coroutine = app(scope, None, None)
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("it waited")


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    """A route that does nothing."""
