"""The OpenAPI document, made from the structs that check the bodies."""

from __future__ import annotations

from typing import Any

import msgspec

from feedmill.core.request import FeedResponse, Trace
from feedmill.serve.access import ALLOWED
from feedmill.serve.bodies import EventBody, FeedBody, SearchBody
from feedmill.serve.experiment_bodies import STEPS, CreateBody, One, Overview, StepBody
from feedmill.serve.problems import Problem
from feedmill.serve.search import SearchResponse
from feedmill.serve.similar import SimilarResponse


class Accepted(msgspec.Struct):
    """Every event is on the disk: these are new, those were there already; offset = events in the log."""

    accepted: int
    duplicates: int
    offset: int


class Status(msgspec.Struct):
    """Whether the service is warm; what it serves is said to keys of the roles metrics and admin."""

    status: str
    version: str | msgspec.UnsetType = msgspec.UNSET
    offset: int | msgspec.UnsetType = msgspec.UNSET
    users: int | msgspec.UnsetType = msgspec.UNSET
    items: int | msgspec.UnsetType = msgspec.UNSET
    problems: list[str] | msgspec.UnsetType = msgspec.UNSET


_JSON, _PROBLEM = "application/json", "application/problem+json"
_REF = "#/components/schemas/{name}"
_KEY = {
    "type": "http", "scheme": "bearer",
    "description": "A key of `feedmill keys create`, of one of the roles named. Where no key was made, none is needed.",
}  # fmt: skip
_FEED = {"user_id": "7", "n": 10}
_SEARCH = {"query": "star wars", "user_id": "7", "n": 10}
_EXPERIMENT = {
    "name": "spread", "layer": "rerank",
    "arms": {"control": {"share": 0.1}, "varied": {"share": 0.1, "set": {"rerank.rules.0.theta": 0.7}}},
}  # fmt: skip
_EVENT = {"kind": "watch", "user_id": "7", "item_id": "42", "value": 31.5, "event_id": "phone-81-1042"}


def _refused(words: str, header: str = "") -> dict[str, Any]:
    told = {"headers": {header: {"schema": {"type": "string"}}}} if header else {}
    return {"description": words, "content": {_PROBLEM: {"schema": _ref("Problem")}}} | told


def document() -> bytes:
    """The whole document as JSON."""
    bodies = (FeedBody, EventBody, SearchBody, CreateBody, StepBody)
    answers = (FeedResponse, Accepted, Status, Trace, SearchResponse, SimilarResponse, Overview, One, Problem)
    _, schemas = msgspec.json.schema_components((*bodies, *answers), ref_template=_REF)
    one = _ref("EventBody")
    events = {"anyOf": [one, {"type": "array", "items": one, "maxItems": 10_000}]}
    request_id = {"name": "request_id", "in": "path", "required": True, "schema": {"type": "string"}}
    wanted = {"type": "integer", "minimum": 1, "maximum": 500, "default": 10}
    similar = [
        {"name": "item_id", "in": "path", "required": True, "schema": {"type": "string"}, "example": "42"},
        {"name": "n", "in": "query", "schema": wanted, "description": "items wanted"},
    ]
    paths = {
        "/v1/feed": {"post": _operation("A feed for a user", "FeedResponse", _ref("FeedBody"), _FEED)},
        "/v1/events": {"post": _operation("Append events: all, durably, or none", "Accepted", events, [_EVENT])},
        "/v1/search": {"post": _operation("Items for words", "SearchResponse", _ref("SearchBody"), _SEARCH)},
        "/v1/similar/{item_id}": {"get": _operation("Items like an item", "SimilarResponse") | {"parameters": similar}},
        **_experiments(),
        "/v1/trace/{request_id}": {
            "get": _operation("How a feed came about", "Trace") | {"parameters": [request_id]},
        },
        "/metrics": {"get": _operation("Counts and times in the Prometheus text format")},
        "/healthz": {"get": _operation("Whether the process is alive")},
        "/readyz": {"get": _operation("Whether the service is warm, and what it serves", "Status")},
    }
    paths["/"] = {"get": _operation("What is where, for people")}
    paths["/openapi.json"] = {"get": _operation("This document")}
    for path, methods in paths.items():
        for method, operation in methods.items():
            operation["security"] = [{"key": [role]} for role in sorted(ALLOWED[f"{method.upper()} {path}"])]
    about = {"title": "feedmill", "version": "1", "description": f"Errors are {_PROBLEM}."}
    components = {"schemas": schemas, "securitySchemes": {"key": _KEY}}
    parts = {"openapi": "3.1.0", "info": about, "paths": paths, "components": components}
    return msgspec.json.encode(parts)


def _experiments() -> dict[str, Any]:
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}, "example": "spread"}
    step = {"name": "step", "in": "path", "required": True, "schema": {"type": "string", "enum": list(STEPS)}}
    create = _operation("Create an experiment", "One", _ref("CreateBody"), _EXPERIMENT)
    end = _operation("End the holdout period and draw the next", "Overview", _ref("StepBody"), {"share": 0.1})
    taken = _operation("A step of its life", "One", _ref("StepBody"), {"note": "as planned"})
    return {
        "/v1/experiments": {"get": _operation("Layers, experiments, the holdout", "Overview"), "post": create},
        "/v1/experiments/end_holdout": {"post": end},
        "/v1/experiments/{name}": {"get": _operation("An experiment and its history", "One") | {"parameters": [name]}},
        "/v1/experiments/{name}/{step}": {"post": taken | {"parameters": [name, step]}},
    }


def _operation(summary: str, answer: str = "", body: Any = None, example: Any = None) -> dict[str, Any]:
    ok = {"description": "OK"} | ({"content": {_JSON: {"schema": _ref(answer)}}} if answer else {})
    bad = {
        "description": "What was given, expected, and what to do",
        "content": {_PROBLEM: {"schema": _ref("Problem")}},
    }
    operation: dict[str, Any] = {"summary": summary, "responses": {"200": ok, **_REFUSED, "default": bad}}
    if body:
        content = {_JSON: {"schema": body, "example": example}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _ref(name: str) -> dict[str, str]:
    return {"$ref": _REF.format(name=name)}


_REFUSED = {
    "401": _refused("No key, or one that does not hold", "WWW-Authenticate"),
    "403": _refused("A key of other roles"),
    "429": _refused("Too many requests", "Retry-After"),
}
