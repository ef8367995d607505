"""Errors as application/problem+json (RFC 9457): what was given, what was expected, what to do."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from feedmill.core.errors import FeedmillError

logger = logging.getLogger("feedmill.serve")


class Problem(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What every error answers with. ``events`` is there where single events of a list were refused."""

    type: str
    title: str
    status: int
    given: str = ""
    expected: str = ""
    fix: str = ""
    events: list[dict[str, Any]] = []


class TooLarge(FeedmillError):
    """A body that is too large."""

    status = 413


class TooSlow(FeedmillError):
    """A body that does not come."""

    status = 408


class WrongType(FeedmillError):
    """A body that says it is something else than JSON."""

    status = 415


class Unauthorized(FeedmillError):
    """A request without a key that holds."""

    status = 401
    headers: Mapping[str, str] = {"www-authenticate": 'Bearer realm="feedmill"'}


class Forbidden(FeedmillError):
    """A request that its key does not allow, or that comes from where it must not."""

    status = 403


class TooMany(FeedmillError):
    """A client that asks too often, or events that come faster than they can be taken.

    Args:
        wait_s: seconds after which to ask again.
    """

    status = 429

    def __init__(self, given: str, expected: str, fix: str, wait_s: int) -> None:
        super().__init__(given, expected, fix)
        self.headers: Mapping[str, str] = {"retry-after": str(wait_s)}


class Overloaded(FeedmillError):
    """More requests than can be answered in time."""

    status = 503
    headers: Mapping[str, str] = {"retry-after": "1"}


class NotReady(FeedmillError):
    """The service is warming up."""

    status = 503


class EventsRefused(FeedmillError):
    """A list of events with some that cannot be taken; none was."""

    status = 422

    def __init__(self, given: str, expected: str, fix: str, events: list[dict[str, Any]]) -> None:
        super().__init__(given, expected, fix)
        self.events = events


def respond(error: FeedmillError) -> Response:
    """An error that was raised on purpose."""
    kind = type(error).__name__.removesuffix("Error")
    slug = "".join(f"-{c.lower()}" if c.isupper() else c for c in kind).lstrip("-")
    return _response(
        Problem(
            type=f"urn:feedmill:{slug}",
            title=HTTPStatus(error.status).phrase,
            status=error.status,
            given=error.given,
            expected=error.expected,
            fix=error.fix,
            events=getattr(error, "events", []),
        ),
        getattr(error, "headers", None),
    )


def respond_http(scope: Scope, error: HTTPException) -> Response:
    """No such route, or no such method on it."""
    allow = dict(error.headers or {}).get("allow") or dict(error.headers or {}).get("Allow", "")
    problem = Problem(
        type="about:blank",
        title=HTTPStatus(error.status_code).phrase,
        status=error.status_code,
        given=f"{scope.get('method', '')} {scope.get('path', '')}",
        expected=f"method {allow}" if allow else "a path of /openapi.json",
        fix="GET / lists what there is",
    )
    return _response(problem, {"allow": allow} if allow else {})


class Problems:
    """ASGI middleware: whatever goes wrong inside becomes a problem, never a traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            try:
                await send(message)
            except RuntimeError as error:
                if "closed" in str(error):  # uvloop's word for a client that hung up while it was being answered
                    raise ClientDisconnect from None
                raise

        try:
            await self._app(scope, receive, watch)
        except ClientDisconnect:
            return None
        except Exception as error:
            response = respond(error) if isinstance(error, FeedmillError) else _unexpected(scope, error)
            if started:  # too late to say so politely
                raise
            await response(scope, receive, send)


def _unexpected(scope: Scope, error: Exception) -> Response:
    reference = uuid4().hex[:12]
    logger.error("reference %s: %s %s failed", reference, scope.get("method"), scope.get("path"), exc_info=error)
    return _response(
        Problem(
            type="urn:feedmill:unexpected",
            title=HTTPStatus(500).phrase,
            status=500,
            given=f"{scope.get('method')} {scope.get('path')} met an error that nobody expected, reference {reference}",
            fix="look for the reference in the server's log, and report what it says",
        )
    )


def _response(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    body = msgspec.json.encode(problem)
    return Response(body, problem.status, headers, media_type="application/problem+json")
