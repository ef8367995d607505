"""No secret gets out, and no name that is sent gets to a file."""

from __future__ import annotations

import logging
import sys
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.logs import JsonLines
from feedmill.serve.engine import Engine
from serve.keyed import ask

# Nothing leaks, nothing is reached


def test_no_secret_is_logged(
    http: httpx.Client, engine: Engine, tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    caplog.set_level("DEBUG")

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(engine, "recommend", broken)
    for token in tokens.values():
        ask(http, "POST", "/v1/feed", token, json={"user_id": "u1"})
        ask(http, "POST", "/v1/feed", token, content=b"{")
        ask(http, "GET", f"/metrics?key={token}", token)
    engine.workspace.keys.write_bytes((whole := engine.workspace.keys.read_bytes())[:-20])
    ask(http, "GET", "/metrics", tokens["admin"])
    engine.workspace.keys.write_bytes(whole)
    said = capfd.readouterr()
    ours = [r for r in caplog.records if not r.name.startswith("http")]  # the client of this test tells what it sends
    logged = (
        said.out + said.err + "".join(map(JsonLines().format, ours)) + "".join(map(logging.Formatter().format, ours))
    )
    assert "broken on purpose" in logged
    assert "keys.json" in logged
    secrets = {token[14:] for token in tokens.values()}
    assert not {secret for secret in secrets if secret in logged}
    for file in engine.workspace.path.rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            assert not {secret for secret in secrets if secret.encode() in data}, file


class Opened:
    """The files that this process opens meanwhile."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.listens = False
        sys.addaudithook(self._hear)  # there is no way to take it back: it is deaf outside of the block

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if self.listens and event in ("open", "os.listdir", "os.scandir", "os.remove", "os.rename", "sqlite3.connect"):
            self.paths.append(str(args[0]))


OPENED = Opened()
STEPS = [
    "..", "../..", "%2e%2e", "..%2f..", "....//", "..\\..", "/etc/passwd", "~", "\x00", "\u202e", "feedmill.toml",
    "log.sqlite", "keys.json", "file:///etc/passwd", "|id", "$(id)", "'; drop table traces; --", "*", "con",
]  # fmt: skip
NAMES = st.lists(st.sampled_from(STEPS) | st.text(max_size=8), min_size=1, max_size=5).map("/".join)
WHERE = [
    "/v1/trace/{}",
    "/v1/similar/{}",
    "/v1/experiments/{}",
    "/v1/experiments/{}/start",
    "/v1/experiments/spread/{}",
]


@given(st.sampled_from(WHERE), NAMES, st.booleans())
def test_no_name_in_a_path_reaches_a_file(
    http: httpx.Client, tokens: dict[str, str], where: str, name: str, is_raw: bool
) -> None:
    if name.encode("utf-8", "ignore").decode() != name:  # no text that can be sent
        return
    path = where.format(quote(name, safe="/%" if is_raw else ""))
    OPENED.paths.clear()
    OPENED.listens = True
    try:
        answer = ask(http, "POST" if where.endswith("start") else "GET", path, tokens["admin"])
    finally:
        OPENED.listens = False
    assert answer.status_code in (200, 404, 405, 409, 422), answer.text
    assert "root:" not in answer.text
    known = ("log.sqlite", "traces.sqlite", "keys.json", "serve.json", ".serve.")
    assert not [p for p in OPENED.paths if name in p and not p.endswith(known)]
    assert not [p for p in OPENED.paths if "passwd" in p or ".." in p]


@given(NAMES)
def test_no_name_in_a_body_reaches_a_file(http: httpx.Client, tokens: dict[str, str], name: str) -> None:
    if name.encode("utf-8", "ignore").decode() != name:
        return
    arms = {"control": {"share": 0.1}, name: {"share": 0.1, "set": {"publish.version": name}}}
    bodies = [
        ("/v1/experiments", {"name": name, "layer": "rerank", "arms": arms}),
        ("/v1/experiments", {"name": "spread", "layer": "rerank", "arms": arms}),
        ("/v1/experiments", {"name": "spread", "layer": name, "arms": {"control": {}, "b": {}}}),
        ("/v1/feed", {"user_id": name[:256], "cursor": name, "context": {"query": name}}),
        ("/v1/feed", {"user_id": name[:256], "context": {"version": name, "path": name}}),
        ("/v1/events", {"kind": "click", "user_id": name, "item_id": name, "request_id": name, "event_id": name}),
    ]
    OPENED.paths.clear()
    OPENED.listens = True
    try:
        answers = [ask(http, "POST", path, tokens["admin"], json=body) for path, body in bodies]
    finally:
        OPENED.listens = False
    assert {a.status_code for a in answers} <= {200, 400, 404, 409, 422}, [a.text for a in answers]
    assert not [p for p in OPENED.paths if "passwd" in p or ".." in p]
