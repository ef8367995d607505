"""The HTTP service: a thin skin over an Engine."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import anyio.to_thread
import msgspec
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from feedmill.core.request import to_json
from feedmill.serve.access import DETAILS, Guarded, guard, may
from feedmill.serve.bodies import MB, FeedBody, SearchBody, SimilarQuery, convert, parse, query, read
from feedmill.serve.engine import Engine
from feedmill.serve.events import AHEAD_MS, ANY_MS, to_batch
from feedmill.serve.experiment_bodies import action_of, one, overview
from feedmill.serve.headers import Headers
from feedmill.serve.home import HOME, POLICY
from feedmill.serve.keys import KeyRing
from feedmill.serve.measured import Measured
from feedmill.serve.openapi import Accepted, Status, document
from feedmill.serve.problems import NotReady, Overloaded, Problems, TooMany, respond_http
from feedmill.serve.room import Room

logger = logging.getLogger("feedmill.serve")
TEXT = "text/plain; version=0.0.4; charset=utf-8"  # of Prometheus
FEED_LIMIT, EVENTS_LIMIT = MB, 16 * MB


def create_app(engine: Engine, keys: KeyRing | None = None) -> FastAPI:
    """The service of an engine, which stays the caller's to close.

    The engine is warmed up and kept up to date in the background; /readyz says when the first is done.

    Args:
        keys: default are those of the engine's workspace. Without any, whoever can reach the address may ask:
            ``server.Server`` refuses that for others than this machine.

    Raises:
        ConfigError: the keys cannot be read, or a route has no roles.
    """
    app = FastAPI(
        title="feedmill", docs_url=None, redoc_url=None, openapi_url=None, lifespan=_lifespan, redirect_slashes=False
    )
    app.state.engine, app.state.ready = engine, False
    app.add_exception_handler(HTTPException, _http_error)
    keys = keys or KeyRing(engine.workspace.keys, problems=engine.problems)
    app.add_middleware(Guarded, keys=keys, config=engine.config)
    app.add_middleware(Problems)
    app.add_middleware(Headers)
    app.add_middleware(Measured, metrics=engine.metrics)  # the last one added is the outermost
    _status_routes(app, engine)
    _feed_routes(app, engine)
    _experiment_routes(app, engine)
    guard(app)
    return app


def _status_routes(app: FastAPI, engine: Engine) -> None:
    openapi = document()

    @app.get("/")
    async def home() -> Response:
        return HTMLResponse(HOME, headers={"content-security-policy": POLICY})

    @app.get("/openapi.json")
    async def schema() -> Response:
        return _json(openapi)

    @app.get("/healthz")
    async def healthz() -> Response:
        return _json(b'{"status":"alive"}')

    @app.get("/readyz")
    async def readyz(request: Request) -> Response:
        if not app.state.ready:
            raise NotReady("the service is warming up", "a moment of patience", "ask again in a second")
        details = engine.status() if may(request.scope, DETAILS) else {}
        return _json(msgspec.json.encode(Status("ready", **details)))

    @cache
    def exposition() -> Any:  # nobody asks: nothing of it is loaded
        from feedmill.serve.prometheus import Exposition

        return Exposition(engine)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(await _in_thread(lambda: exposition().text()), headers={"content-type": TEXT})


def _feed_routes(app: FastAPI, engine: Engine) -> None:
    config = engine.config
    feeds = Room(config.feeds_at_once, _too_many_feeds)
    appends = Room(config.events_at_once, _too_many_events, threads=max(1, config.threads // 4))
    engine.metrics.at_once.update(feeds=lambda: feeds.n, events=lambda: appends.n)

    @app.post("/v1/feed")
    async def feed(request: Request) -> Response:
        with feeds.place():
            return _json(await feeds.run(_feed, engine, await read(request, FEED_LIMIT)))

    @app.post("/v1/events")
    async def events(request: Request) -> Response:
        with appends.place():
            return _json(await appends.run(_append, engine, await read(request, EVENTS_LIMIT)))

    @app.post("/v1/search")
    async def search(request: Request) -> Response:
        with feeds.place():
            return _json(await feeds.run(_search, engine, await read(request, FEED_LIMIT)))

    @app.get("/v1/similar/{item_id:path}")
    async def similar(item_id: str, request: Request) -> Response:
        body = convert(query(request), SimilarQuery)
        with feeds.place():
            return _json(await feeds.run(lambda: to_json(engine.similar(item_id, body.n))))

    @app.get("/v1/trace/{request_id}")
    async def trace(request_id: str) -> Response:
        return _json(await _in_thread(lambda: to_json(engine.trace(request_id))))


def _experiment_routes(app: FastAPI, engine: Engine) -> None:
    @app.get("/v1/experiments")
    async def experiments() -> Response:
        return _json(await _in_thread(lambda: to_json(overview(engine.experiments.plan))))

    @app.get("/v1/experiments/{name}")
    async def experiment(name: str) -> Response:
        return _json(await _in_thread(lambda: to_json(one(engine.experiments.plan, name))))

    @app.post("/v1/experiments")
    async def create(request: Request) -> Response:
        return _json(await _in_thread(_step, engine, "create", "", await read(request, FEED_LIMIT)))

    @app.post("/v1/experiments/end_holdout")
    async def end_holdout(request: Request) -> Response:
        return _json(await _in_thread(_step, engine, "end_holdout", "", await read(request, FEED_LIMIT)))

    @app.post("/v1/experiments/{name}/{step}")
    async def step(name: str, step: str, request: Request) -> Response:
        return _json(await _in_thread(_step, engine, step, name, await read(request, FEED_LIMIT)))


def _too_many_feeds() -> Overloaded:
    return Overloaded(
        "more requests than can be answered in time", "fewer at once", "ask again after Retry-After seconds"
    )


def _too_many_events() -> TooMany:
    return TooMany(
        "more events than can be written", "fewer at once", "none was taken: send again after Retry-After", 1
    )


def _feed(engine: Engine, raw: bytes) -> bytes:
    body = convert(parse(raw), FeedBody)
    answer = engine.recommend(
        str(body.user_id), body.n, cursor=body.cursor, context=body.context, deadline_ms=body.deadline_ms
    )
    return to_json(answer)


def _search(engine: Engine, raw: bytes) -> bytes:
    body = convert(parse(raw), SearchBody)
    return to_json(engine.search(body.query, body.n, user_id=str(body.user_id)))


def _step(engine: Engine, step: str, name: str, raw: bytes) -> bytes:
    done = engine.experiments.do(action_of(step, name, parse(raw) if raw.strip() else {}))
    return to_json(overview(engine.experiments.plan) if done is None else one(engine.experiments.plan, done.name))


def _append(engine: Engine, raw: bytes) -> bytes:
    ahead_ms = ANY_MS if engine.config.clock == "newest" else AHEAD_MS
    receipt = engine.append(to_batch(parse(raw), engine.clock.now_ms(), ahead_ms))
    return msgspec.json.encode(Accepted(receipt.n_new, receipt.n_duplicate, receipt.offset))


async def _in_thread(call: Any, *args: Any) -> bytes:
    answer: bytes = await anyio.to_thread.run_sync(call, *args)
    return answer


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return respond_http(dict(request.scope), error)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    engine: Engine = app.state.engine
    anyio.to_thread.current_default_thread_limiter().total_tokens = engine.config.threads

    async def warm() -> None:
        try:
            await anyio.to_thread.run_sync(engine.warm, abandon_on_cancel=True)
        except Exception:  # what is broken will show in the answers; not answering would hide it
            logger.exception("warming up failed")
        app.state.ready = True

    warming = asyncio.create_task(warm())
    engine.start_following()
    yield
    warming.cancel()
    engine.stop_following()
