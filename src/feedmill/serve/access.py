"""Who may ask for what: the one table of roles by route, and the check of every request against it.

A request is first known by its key (``Guarded``, around the whole app, so that even what does not exist is not told to
strangers), then its key's roles are held against the route that the router chose (``guard``): paths are matched once,
by the router, and no second reading of a path can differ from it.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Mapping
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from feedmill.core.errors import ConfigError
from feedmill.serve.config import ServeConfig
from feedmill.serve.keys import NOBODY, ROLES, Key, KeyRing, Role
from feedmill.serve.problems import Forbidden, TooMany, Unauthorized
from feedmill.serve.rates import Rates

Roles = frozenset[Role]
KEY = "feedmill.key"  # in a request's scope: whose it is


def _for(*roles: Role) -> Roles:
    return frozenset({*roles, "admin"})  # who runs the service may do everything


EVERYBODY = Roles()  # no key is needed
ALLOWED: Mapping[str, Roles] = {
    "GET /healthz": EVERYBODY,
    "GET /readyz": EVERYBODY,  # says what is served to DETAILS alone
    "GET /": _for(*ROLES),
    "GET /openapi.json": _for(*ROLES),
    "POST /v1/feed": _for("feed"),
    "POST /v1/search": _for("feed"),
    "GET /v1/similar/{item_id}": _for("feed"),
    "POST /v1/events": _for("events"),
    "GET /v1/trace/{request_id}": _for(),
    "GET /v1/experiments": _for(),
    "GET /v1/experiments/{name}": _for(),
    "POST /v1/experiments": _for(),
    "POST /v1/experiments/end_holdout": _for(),
    "POST /v1/experiments/{name}/{step}": _for(),
    "GET /metrics": _for("metrics"),
}
DETAILS = _for("metrics")
_OPEN = frozenset(route.partition(" ")[2] for route, roles in ALLOWED.items() if not roles)


def guard(app: FastAPI) -> None:
    """Put the table in front of the routes; called when all are there.

    Raises:
        ConfigError: a route that the table does not have, or one of which it has methods that disagree.
    """
    for route in app.routes:
        names = [f"{m} {route.path_format}" for m in sorted(route.methods or ())] if isinstance(route, Route) else []
        known = {ALLOWED[name] for name in names if name in ALLOWED}
        if not isinstance(route, Route) or len(known) != 1 or any(name not in ALLOWED for name in names):
            said = names or [str(getattr(route, "path", route))]
            raise ConfigError(f"route {said} has no roles", "a line for it in serve/access.py: ALLOWED", "add it")
        (roles,) = known
        if roles:
            route.app = _Allowed(route.app, roles)


def may(scope: Scope, roles: Roles) -> bool:
    """Whether a request's key has one of these roles."""
    key: Key = scope[KEY]
    return not roles.isdisjoint(key.roles)


class _Allowed:
    """A route for some roles."""

    def __init__(self, app: ASGIApp, roles: Roles) -> None:
        self._app, self._roles = app, roles

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not may(scope, self._roles):
            key: Key = scope[KEY]
            what = f"key {key.id} has the roles {list(key.roles)}"
            fix = f"`feedmill keys create --role {min(self._roles - {'admin'}, default='admin')}`"
            raise Forbidden(what, f"one of {sorted(self._roles)} for this route", fix)
        await self._app(scope, receive, send)


class Guarded:
    """ASGI middleware: whose request it is, and whether it comes too often."""

    def __init__(self, app: ASGIApp, keys: KeyRing, config: ServeConfig, rates: Rates | None = None) -> None:
        self._app, self._keys, self._config, self._rates = app, keys, config, rates or Rates()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope[KEY] = self._known(scope)
        await self._app(scope, receive, send)

    def _known(self, scope: Scope) -> Key:
        is_open = scope["path"] in _OPEN
        headers = _headers(scope)
        try:
            key = self._keys.find(headers.get(b"authorization", ""))
        except Unauthorized:
            if is_open:
                return NOBODY
            raise
        if not key.id:  # there are no keys
            if not self._config.open and not is_open:
                _refuse_strangers(headers)
        elif not is_open:
            per_s = self._config.rate_per_s if key.rate_per_s is None else key.rate_per_s
            if wait_s := self._rates.take(key.id, per_s):
                raise TooMany(f"more than {per_s:g} requests a second", "fewer", "ask again later", math.ceil(wait_s))
        return key


def is_loopback(host: str) -> bool:
    """Whether a name or address is of this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _headers(scope: Scope) -> dict[bytes, str]:
    """Those that say who asks. One that is there twice is taken for none that can be right."""
    found: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        if name in (b"authorization", b"host", b"origin"):
            found[name] = "twice" if name in found else value.decode("latin-1")
    return found


def _refuse_strangers(headers: Mapping[bytes, str]) -> None:
    """Without keys, loopback is the fence, and a browser on this machine can be talked over it: by a page that posts
    here (its Origin tells), or by a name of its own that it lets point here (the Host tells: DNS rebinding). So can a
    proxy that hands strangers in."""
    for name in (b"host", b"origin"):
        if name in headers and not is_loopback(_host(headers[name], is_url=name == b"origin")):
            raise Forbidden(
                f"a request with {name.decode().title()}: {headers[name][:80]}, and there are no keys",
                "one from this machine, for localhost",
                "make keys (`feedmill keys create --role feed`), or say serve.open = true",
            )


def _host(value: str, *, is_url: bool) -> str:
    try:
        return urlsplit(value if is_url else f"//{value}").hostname or ""
    except ValueError:
        return ""
