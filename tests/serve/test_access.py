"""Keys, roles, rates and fences, over the real server: every route that there is, by every kind of key."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import Response

from feedmill.core.errors import ConfigError
from feedmill.serve.access import ALLOWED, EVERYBODY, guard, is_loopback
from feedmill.serve.app import create_app
from feedmill.serve.engine import Engine
from feedmill.serve.keys import ROLES, create, revoke
from feedmill.serve.server import Server
from serve.keyed import CLOSED, ROUTES, ask, problem, served
from serve.world import Make, Open

# Who may ask for what


def test_the_table_has_every_route_of_the_app_and_no_other(engine: Engine) -> None:
    app = create_app(engine)
    there = {f"{m} {r.path_format}" for r in app.routes for m in r.methods}  # type: ignore[attr-defined]
    assert there == set(ALLOWED)
    assert {path for method, path in ROUTES if (method, path) not in CLOSED} == {"/healthz", "/readyz"}


@pytest.mark.parametrize(("method", "path"), CLOSED)
@pytest.mark.parametrize("kind", ["", "wrong", "foreign", "expired", "revoked", "nonsense", "no secret", "basic"])
def test_no_route_but_health_answers_without_a_key_that_holds(
    http: httpx.Client, tokens: dict[str, str], method: str, path: str, kind: str
) -> None:
    sent = {"nonsense": "letmein", "no secret": tokens["admin"][:14], "": ""}.get(kind, tokens.get(kind, ""))
    headers = {"authorization": "Basic YWRtaW46YWRtaW4="} if kind == "basic" else {}
    found = problem(answer := ask(http, method, path, sent, headers=headers), 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert not sent or sent not in answer.text
    assert "Authorization: Bearer" in found["expected"] or kind in found["given"]


@pytest.mark.parametrize(("method", "path"), CLOSED)
@pytest.mark.parametrize("role", ROLES)
def test_a_key_opens_what_its_role_may_and_nothing_else(
    http: httpx.Client, tokens: dict[str, str], method: str, path: str, role: str
) -> None:
    answer = ask(http, method, path, tokens[role], **({"json": {}} if method == "POST" else {}))
    if role in ALLOWED[f"{method} {path}"]:
        assert answer.status_code in (200, 400, 404, 409, 422), "it is let in, whatever it finds there"
    else:
        found = problem(answer, 403)
        assert role in found["given"]
        assert "--role" in found["fix"]


def test_a_key_of_two_roles_has_both(http: httpx.Client, engine: Engine) -> None:
    _, token = create(engine.workspace.keys, ["feed", "events"], 0)
    assert ask(http, "POST", "/v1/feed", token, json={"user_id": "u1"}).status_code == 200
    assert ask(http, "POST", "/v1/events", token, json=[]).status_code == 200
    problem(ask(http, "GET", "/metrics", token), 403)


def test_health_needs_no_key_and_says_what_is_served_to_those_who_may_know(
    http: httpx.Client, tokens: dict[str, str]
) -> None:
    for token in ("", tokens["wrong"], tokens["expired"], tokens["feed"]):
        assert ask(http, "GET", "/healthz", token).json() == {"status": "alive"}
        assert ask(http, "GET", "/readyz", token).json() == {"status": "ready"}
    for token in (tokens["metrics"], tokens["admin"]):
        assert {"version", "offset", "users", "problems"} < set(ask(http, "GET", "/readyz", token).json())


@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS", "PUT"])
@pytest.mark.parametrize("path", ["/nothing", "/v1/feed/", "/healthz/", "//healthz", "/v1/feed/../../healthz/"])
def test_strangers_are_not_told_what_does_not_exist(http: httpx.Client, method: str, path: str) -> None:
    assert ask(http, method, path).status_code == 401


def test_a_header_sent_twice_is_none(http: httpx.Client, tokens: dict[str, str]) -> None:
    twice = [("authorization", f"Bearer {tokens['wrong']}"), ("authorization", f"Bearer {tokens['admin']}")]
    assert http.get("/metrics", headers=twice).status_code == 401


def test_a_key_in_the_address_is_none(http: httpx.Client, tokens: dict[str, str]) -> None:
    assert http.get("/metrics", params={"key": tokens["admin"], "access_token": tokens["admin"]}).status_code == 401


def test_keys_are_taken_up_and_let_go_without_a_restart(http: httpx.Client, engine: Engine) -> None:
    keys = engine.workspace.keys
    key, token = create(keys, ["feed"], 0)
    assert ask(http, "POST", "/v1/feed", token, json={"user_id": "u1"}).status_code == 200
    revoke(keys, key.id, 1)
    assert "revoked" in problem(ask(http, "POST", "/v1/feed", token, json={"user_id": "u1"}), 401)["given"]


def test_a_route_without_roles_is_refused_at_the_start(engine: Engine) -> None:
    app = create_app(engine)

    async def new() -> Response:
        return Response()

    for add in (lambda a: a.get("/v1/new")(new), lambda a: a.post("/metrics")(new), lambda a: a.mount("/pages", app)):
        fresh = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        add(fresh)
        with pytest.raises(ConfigError, match="has no roles"):
            guard(fresh)


def test_the_openapi_document_says_which_keys_a_route_takes(http: httpx.Client, tokens: dict[str, str]) -> None:
    document = ask(http, "GET", "/openapi.json", tokens["feed"]).json()
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    said = {
        f"{method.upper()} {path}": {role for need in operation["security"] for role in need["key"]}
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert said == {route: set(roles) for route, roles in ALLOWED.items()}


def test_the_page_about_the_service_has_the_table(request: pytest.FixtureRequest) -> None:
    page = (Path(request.config.rootpath) / "docs" / "http.md").read_text("utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")]
    said = {
        route: cells[1] for cells in rows if len(cells) == 3 for route in re.findall(r"`([A-Z]+ /[^`?]*)", cells[0])
    }
    words = {EVERYBODY: "everybody", frozenset(ROLES): "any", frozenset({"admin"}): "admin"}
    assert said == {route: words.get(roles) or ", ".join(sorted(roles - {"admin"})) for route, roles in ALLOWED.items()}


# Fences


@pytest.mark.parametrize("host", ["0.0.0.0", ""])
def test_an_address_that_others_reach_needs_keys(make: Make, opened: Open, host: str) -> None:
    with pytest.raises(ConfigError, match="other machines can reach it") as caught:
        Server(opened(), host=host)
    assert "feedmill keys create" in caught.value.fix
    keyed = make()
    create(keyed.keys, ["feed"], 0)
    with Server(opened(keyed), host=host) as server:
        url = f"http://127.0.0.1:{server.port}"
        assert httpx.get(f"{url}/healthz", trust_env=False).status_code == 200
        assert httpx.get(f"{url}/metrics", trust_env=False).status_code == 401
        keyed.keys.unlink()
        assert httpx.get(f"{url}/metrics", trust_env=False).status_code == 401, "what is closed stays closed"
    with Server(opened(serve__open=True), host=host) as server:
        answer = httpx.get(f"http://127.0.0.1:{server.port}/metrics", headers={"host": "feed.example"}, trust_env=False)
        assert answer.status_code == 200, "somebody said so"


def test_without_keys_this_machine_is_served_and_no_page_that_came_from_elsewhere(opened: Open) -> None:
    with served(opened()) as client:
        body = {"user_id": "u1"}
        assert client.post("/v1/feed", json=body).status_code == 200
        for headers in (
            {"host": "localhost:8642"}, {"host": "[::1]:8642"}, {"host": "127.0.0.1"}, {"origin": "http://localhost:3000"},
        ):  # fmt: skip
            assert client.post("/v1/feed", json=body, headers=headers).status_code == 200
        for headers in (
            {"host": "evil.example"}, {"host": "127.0.0.1.evil.example"}, {"host": "localhost.evil.example:80"},
            {"origin": "https://evil.example"}, {"origin": "null"}, {"host": "evil.example@127.0.0.1.example"},
        ):  # fmt: skip
            assert "no keys" in problem(client.post("/v1/feed", json=body, headers=headers), 403)["given"]
        assert client.get("/healthz", headers={"host": "evil.example"}).status_code == 200


def test_loopback() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.9.9.9", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "", "10.0.0.1", "localhost.example", "feed", "1")))


def test_too_many_requests_are_told_when_to_come_again(http: httpx.Client, engine: Engine) -> None:
    _, slow = create(engine.workspace.keys, ["feed"], 0, rate_per_s=0.01)
    _, other = create(engine.workspace.keys, ["feed"], 0, rate_per_s=0.01)
    assert ask(http, "POST", "/v1/feed", slow, json={"user_id": "u1"}).status_code == 200
    answer = ask(http, "POST", "/v1/feed", slow, json={"user_id": "u1"})
    assert "0.01 requests a second" in problem(answer, 429)["given"]
    assert 90 <= int(answer.headers["retry-after"]) <= 100
    problem(ask(http, "GET", "/metrics", slow), 429)
    assert ask(http, "GET", "/healthz", slow).status_code == 200
    assert ask(http, "POST", "/v1/feed", other, json={"user_id": "u1"}).status_code == 200
