"""What a body may be, and the headers of every answer, over the real server."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.keyed import CLOSED, ROUTES, ask, problem

FIELDS = [
    "user_id",
    "n",
    "cursor",
    "context",
    "kind",
    "item_id",
    "value",
    "time_ms",
    "payload",
    "name",
    "arms",
    "layer",
    "share",
]


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"}, {"content-type": "application/x-www-form-urlencoded"}, {"content-type": ""},
        {"content-type": "multipart/form-data; boundary=x"}, {"content-type": "application/json; charset=utf-16"},
        {"content-type": "application/jsonp"}, {"content-type": "application/json", "content-encoding": "gzip"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", [path for method, path in CLOSED if method == "POST"])
def test_what_says_it_is_not_json_is_not_read(
    http: httpx.Client, tokens: dict[str, str], path: str, headers: dict[str, str]
) -> None:
    answer = ask(http, "POST", path, tokens["admin"], headers=headers, content=b'{"user_id": "u1"}')
    problem(answer, 415)


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON", 'application/json; charset="UTF-8"'])
def test_what_says_it_is_json_is(http: httpx.Client, tokens: dict[str, str], kind: str) -> None:
    body, headers = b'{"user_id": "u1"}', {"content-type": kind}
    assert ask(http, "POST", "/v1/feed", tokens["feed"], headers=headers, content=body).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"user_id": "u" * 257}, {"user_id": "u", "cursor": "A" * (1 << 18)},
        {"user_id": "u", "context": {"a": "b" * 257}},
        {"user_id": "u", "context": {"a" * 257: "b"}}, {"user_id": "u", "context": {str(i): "" for i in range(33)}},
        {"user_id": "u", "x" * 100_000: 1},
    ],
)  # fmt: skip
def test_fields_have_an_end(http: httpx.Client, tokens: dict[str, str], body: dict[str, Any]) -> None:
    answer = ask(http, "POST", "/v1/feed", tokens["feed"], json=body)
    problem(answer, 422)
    assert len(answer.text) < 2_000, "what was sent is not sent back"


def test_events_have_an_end(http: httpx.Client, tokens: dict[str, str]) -> None:
    good = {"kind": "item", "item_id": "i1", "payload": {"title": "x"}}
    bad = [
        good | {"payload": {"title": "x" * 70_000}}, good | {"item_id": "i" * 257}, good | {"kind": "k" * 9_999},
        good | {"event_id": "e" * 257},
    ]  # fmt: skip
    for event in bad:
        answer = ask(http, "POST", "/v1/events", tokens["events"], json=[good, event])
        assert [e["index"] for e in problem(answer, 422)["events"]] == [1]
        assert len(answer.text) < 2_000


def test_every_answer_has_the_headers_that_keep_a_browser_from_guessing(
    http: httpx.Client, tokens: dict[str, str]
) -> None:
    answers = [ask(http, m, p, t) for m, p in ROUTES for t in ("", tokens["admin"])]
    answers.append(ask(http, "GET", "/nothing", tokens["admin"]))
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "server" not in answer.headers
    assert "script-src 'sha256-" in ask(http, "GET", "/", tokens["feed"]).headers["content-security-policy"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**40), 10**40) | st.floats() | st.text(max_size=20),
        lambda below: (
            st.lists(below, max_size=4) | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), below)
        ),
        max_leaves=12,
    ),
    st.sampled_from([path for method, path in CLOSED if method == "POST"]),
)
def test_no_body_is_an_error_of_the_service(http: httpx.Client, tokens: dict[str, str], body: Any, path: str) -> None:
    sent = json.dumps(body).encode("utf-8", "replace")
    answer = ask(http, "POST", path, tokens["admin"], content=sent)
    assert answer.status_code in (200, 400, 404, 409, 422), (sent, answer.text)


@pytest.mark.parametrize("number", ["1" * 5_000, "-" + "9" * 4_400, "1e400", "-1e-400", "1" * 19])
@pytest.mark.parametrize("field", ["user_id", "n", "deadline_ms", "value", "time_ms", "item_id", "position"])
def test_no_number_is_an_error_of_the_service(
    http: httpx.Client, tokens: dict[str, str], field: str, number: str
) -> None:
    at = "/v1/feed" if field in ("n", "deadline_ms") else "/v1/events"
    body = f'{{"user_id": "u", "{field}": {number}' + (', "kind": "click"}' if at == "/v1/events" else "}")
    body = body.replace('"user_id": "u", "user_id"', '"user_id"')
    assert ask(http, "POST", at, tokens["admin"], content=body.encode()).status_code in (200, 422)
