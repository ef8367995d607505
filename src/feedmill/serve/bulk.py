"""Many requests of one moment: the same request path, without an account in words, and one write for all exposures.

A request answered alone costs a write to the disk, sentences for people and a trace that is kept. Who asks a thousand
times a second, as a simulated audience does, wants none of it: here is the slate, with all that the run knows of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from feedmill.core.batches import Rows
from feedmill.core.events import EventBatch, Kind
from feedmill.core.request import FeedRequest
from feedmill.serve.exposure import payload, told
from feedmill.serve.run import Run

if TYPE_CHECKING:
    from feedmill.serve.engine import Engine


def answer(engine: Engine, requests: Sequence[FeedRequest], *, expose: bool | None = None) -> list[Run]:
    """The finished run of each request: its candidates are the slate, best first.

    All are answered by one state of the log, the one that there is when this is called. Arms of experiments act, and
    exposures carry them, as in ``Engine.recommend``; the traces are not kept and their ``items`` stay empty.

    Args:
        requests: with their times, seeds and deadlines.
        expose: whether to log what was shown, in one write that is durable when this returns; None = the config's. Who
            knows better what came on a screen logs that instead (``exposures``).

    Raises:
        LogError: the log cannot be read, or the exposures cannot be written; none of them was.
    """
    live, runs, news = engine.live, list[Run](), list[EventBatch]()
    live.follow()
    with live.lock.reading():
        for request in requests:
            run = _run(engine, request)
            context = engine.config.known(request.context)
            if run.candidates.item.size and (said := live.state.news(request.user_id, context)):
                news.append(told(run.trace, said))
            runs.append(run)
    if engine.config.expose if expose is None else expose:
        shown = [(run, at) for run in runs for at in range(len(slate(run)))]
        engine.append(EventBatch.concat([*news, exposures(engine, shown)]))
    return runs


def exposures(engine: Engine, shown: Sequence[tuple[Run, int]]) -> EventBatch:
    """An IMPRESSION for each of these places of these slates, in order."""
    with engine.live.lock.reading():
        ids = engine.live.state.items.ids([int(slate(run)[at]) for run, at in shown])
    rows = [(run, item, at) for (run, at), item in zip(shown, ids, strict=True)]
    said = {id(run): payload(run.trace) for run in dict.fromkeys(run for run, _ in shown)}
    return EventBatch.of(
        {
            "time_ms": [run.request.time_ms for run, _, _ in rows],
            "kind": int(Kind.IMPRESSION),
            "user_id": [run.request.user_id for run, _, _ in rows],
            "item_id": [item for _, item, _ in rows],
            "request_id": [run.request.request_id for run, _, _ in rows],
            "position": [min(len(run.request.exclude) + at, 32_767) for run, _, at in rows],
            "payload": [said[id(run)] for run, _, _ in rows],
        }
    )


def slate(run: Run) -> Rows:
    """int32[<= n] item rows of the state, best first."""
    return run.candidates.item


def _run(engine: Engine, request: FeedRequest) -> Run:
    """Under the reading lock."""
    state, arms = engine.live.state, engine.experiments.of(request.user_id)
    pipeline, loaded = arms.served.pipeline, arms.served.loaded
    user = state.view(request.user_id, request.time_ms, engine.config.known(request.context))
    run = pipeline.run(request, user)
    pipeline.remember(run)
    trace = run.trace
    trace.version, trace.offset, trace.steps = pipeline.chain.version, state.offset, loaded.steps
    trace.degraded += arms.served.missing
    arms.account(trace)
    return run
