"""ASGI middleware that counts answers by route and status."""

from __future__ import annotations

from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from feedmill.serve.metrics import Metrics

NO_ROUTE = "none"  # what nobody answers to: its path could be anything


class Measured:
    """Outside of everything else, so that what went wrong is counted as it was answered."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        start, status = perf_counter(), 0

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:  # status 0: the client went away
            route = getattr(scope.get("route"), "path", NO_ROUTE)
            self._metrics.request(route, status, (perf_counter() - start) * 1e3)
