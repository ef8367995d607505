"""The living feed without HTTP: a log, the state folded from it, a model, and the chain that uses both."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import msgspec
import numpy as np

from feedmill.core.batches import Rows
from feedmill.core.clock import Clock, LogClock, NewestClock, WallClock
from feedmill.core.errors import FeedmillError
from feedmill.core.events import EventBatch
from feedmill.core.protocols import Receipt
from feedmill.core.request import FeedRequest, FeedResponse, Trace
from feedmill.core.status import OK, report
from feedmill.core.workspace import Workspace
from feedmill.serve.config import ServeConfig
from feedmill.serve.cursor import decode, encode
from feedmill.serve.experiments import Arms, Experiments
from feedmill.serve.exposure import Exposer, impressions, told
from feedmill.serve.follow import Follower
from feedmill.serve.kept import is_kept, keep
from feedmill.serve.limits import check
from feedmill.serve.live import LiveState, open_live
from feedmill.serve.metrics import Metrics
from feedmill.serve.model import Model
from feedmill.serve.pipeline import Pipeline
from feedmill.serve.search import SearchResponse, check_query, search_chain, searched
from feedmill.serve.similar import SimilarResponse, similar
from feedmill.serve.trace_store import TraceStore
from feedmill.state import State

logger = logging.getLogger("feedmill.serve")
_CATCH_UP = 4096  # events a feed folds itself before it answers; more than that is the follower's work
_MIN_EXPOSURE_S = 0.05
_STATUS_S = 5.0
_WORTH_SAVING = 100_000  # events a replay of which is slower than a snapshot; who serves saves at every end


class Engine:
    """Recommends, takes events, and remembers why. Safe to share between threads.

    >>> engine = Engine.open(Workspace.open("demo"))  # doctest: +SKIP
    >>> engine.recommend("7", n=5).items  # doctest: +SKIP

    Attributes:
        clock: the time the feed believes it is.
        problems: what is wrong in the background, for people to see; empty when all is well.
    """

    def __init__(self, workspace: Workspace, live: LiveState, clock: Clock | None = None) -> None:
        self.workspace, self.live = workspace, live
        self.config = workspace.section("serve", ServeConfig)
        self.clock = clock or _clock(self.config, live)
        self.problems: dict[str, str] = {}
        self.model = Model(workspace, live)
        self.experiments = Experiments(live, self.model, self.clock)
        self._traces = TraceStore(workspace.traces, self.config.traces)
        live.on_forgotten = self._traces.forget
        self._exposer, self.metrics = Exposer(live.log), Metrics()
        self._closing, self._holds = ExitStack(), False
        self._follower: Follower | None = None

    @classmethod
    def open(cls, workspace: Workspace, clock: Clock | None = None, *, exclusive: bool = False) -> Engine:
        """An engine on a workspace: state restored, tail replayed, current artifact loaded.

        Args:
            exclusive: be the one that serves this workspace, for as long as the engine is open.

        Raises:
            ConfigError: the config cannot be used.
            LogError: the log cannot be read.
            ArtifactError: the current artifact is corrupt, or was built from another log or feature spec.
            WorkspaceError: with ``exclusive``, another process serves it.
        """
        with ExitStack() as closing:
            if exclusive:
                closing.enter_context(workspace.hold())
            live = open_live(workspace)
            closing.callback(live.log.close)
            engine = cls(workspace, live, clock)
            engine._closing, engine._holds = closing.pop_all(), exclusive
        return engine

    @property
    def state(self) -> State:
        """The state; whoever reads more of it than one thing holds ``live.lock.reading()`` meanwhile."""
        return self.live.state

    def recommend(
        self,
        user_id: str,
        n: int = 10,
        *,
        cursor: str = "",
        context: Mapping[str, str] | None = None,
        deadline_ms: float | None = None,
        request_id: str = "",
        seed: int | None = None,
        time_ms: int | None = None,
        expose: bool | None = None,
    ) -> FeedResponse:
        """At most n items for a user, known or not.

        Args:
            n: 1 to 500; more than there are gives what there is.
            cursor: of the answer before, to go on where it ended: nothing it has shown is shown again. An
                answer without one is the last.
            deadline_ms: budget; None = the config's.
            request_id: None given = a new one.
            expose: whether to log what was shown; None = the config's.

        Raises:
            DataError: n, user_id, the deadline or the cursor cannot be used.
        """
        check(user_id, n, deadline_ms)
        behind = self._follow()
        items = self.live.state.items
        shown = decode(user_id, cursor, len(items))
        request_id, arms = request_id or uuid4().hex[:20], self.experiments.of(user_id)
        request = FeedRequest(
            request_id=request_id,
            user_id=user_id,
            n=n,
            time_ms=self.clock.now_ms() if time_ms is None else time_ms,
            seed=zlib.crc32(request_id.encode()) if seed is None else seed,
            deadline_ms=arms.served.deadline_ms if deadline_ms is None else deadline_ms,
            exclude=tuple(items.ids(shown)),
            context=dict(context or {}),
        )
        trace, rows = self._answer(request, arms)
        trace.degraded += behind
        is_logged = (self.config.expose if expose is None else expose) and self._expose(trace, request)
        self._traces.put(trace)
        self.metrics.feed(trace, is_logged)
        return _response(trace, shown, rows, n)

    def search(self, query: str, n: int = 10, *, user_id: str = "") -> SearchResponse:
        """At most n available items whose text means what the query means; none for a blank one.

        Args:
            user_id: who searches, for the log; "" = it is not logged.

        Raises:
            DataError: query, n or user_id cannot be used.
            NotFoundError: the config has no channel that reads texts.
            ArtifactError: it has one that is not trained.
        """
        check_query(query)
        check(user_id or "nobody", n, None)
        behind = self._follow()
        served = self.model.served
        pipeline = Pipeline(search_chain(served.pipeline.chain, self.workspace, n), served.pipeline.names)
        request = FeedRequest(
            request_id=uuid4().hex[:20],
            user_id=user_id,
            n=n,
            time_ms=self.clock.now_ms(),
            deadline_ms=self.config.deadline_ms,
            context={"query": query},
        )
        with self.live.lock.reading():
            _, trace = pipeline.recommend(request, self.live.state.view("", request.time_ms))
        trace.degraded += behind
        if user_id and query.strip():
            self._log(trace, request, searched(request), "search")
        return SearchResponse(
            request_id=request.request_id,
            user_id=user_id,
            query=query,
            items=trace.items,
            degraded=trace.degraded,
            version=trace.version,
        )

    def similar(self, item_id: str, n: int = 10) -> SimilarResponse:
        """At most n available items like an item, from the first channel that knows any.

        Raises:
            DataError: n cannot be used.
            NotFoundError: the log has no such item.
        """
        check("nobody", n, None)
        self._follow()
        pipeline = self.model.served.pipeline
        with self.live.lock.reading():
            answer = similar(self.live.state, pipeline.names, pipeline.chain.similar, item_id, n)
        return msgspec.structs.replace(answer, version=pipeline.chain.version)

    def append(self, batch: EventBatch) -> Receipt:
        """Take events: on the disk and in the state when it returns, so that the next feed knows of them.

        Raises:
            LogError: nothing was written.
        """
        receipt = self.live.log.append(batch)
        self.metrics.append(receipt)
        try:
            self.live.follow()
        except FeedmillError as error:  # what is on the disk is acknowledged; the follower will try again
            self._note("follow", error)
        return receipt

    def trace(self, request_id: str) -> Trace:
        """The account of a request.

        Raises:
            NotFoundError: there is none.
        """
        return self._traces.get(request_id)

    def follow(self) -> int:
        """Fold what other processes have appended; how many events that was."""
        return self.live.follow()

    def reload(self) -> bool:
        """Swap in the promoted artifact if it is another one; requests under way finish with the old one.

        Raises:
            ArtifactError: it cannot be used; the old one goes on serving.
        """
        return self.model.reload(self.clock.now_ms())

    def warm(self) -> None:
        """Compile and touch what a first request would have to wait for."""
        self.live.state.warm()
        self.model.warm(self.clock.now_ms())

    @property
    def n_traces_dropped(self) -> int:
        """Accounts of feeds that were not kept."""
        return self._traces.n_dropped

    def status(self) -> dict[str, Any]:
        """What is being served."""
        state = self.live.state
        return {
            "version": self.model.served.pipeline.chain.version,
            "offset": state.offset,
            "users": len(state.users) - 1,
            "items": len(state.items) - 1,
            "problems": [*self.model.served.missing, *(f"{what}: {why}" for what, why in self.problems.items())],
        }

    def start_following(self) -> None:
        """Take in, from a thread, what other processes append and promote, and save snapshots now and then."""
        jobs: dict[str, tuple[float, Callable[[], object]]] = {
            "follow": (self.config.follow_s, self.follow),
            "reload": (self.config.follow_s, self.reload),
            "experiments": (self.config.follow_s, self.experiments.prepare),
            "save": (self.config.snapshot_s, self.save),
            "status": (_STATUS_S, self.tell),
        }
        self._follower = Follower(jobs, self._note)
        self._follower.start()

    def stop_following(self) -> None:
        """The opposite; without effect if it has not been started."""
        follower, self._follower = self._follower, None
        if follower is not None:
            follower.stop()

    def save(self) -> bool:
        """Write a snapshot of the state, if it has changed: the next start replays from there."""
        return self.live.save(self.workspace, 1 if self._holds else _WORTH_SAVING)

    def tell(self) -> None:
        """Write how serving is into the workspace, for whoever looks (``core.status``)."""
        now, lag = self.status(), max(0, self.live.log.end - self.state.offset)
        figures = {"users": now["users"], "items": now["items"], "feeds": self.metrics.n_feeds, "lag_events": lag}
        state = "problems" if now["problems"] else OK
        report(self.workspace, "serve", offset=now["offset"], state=state, figures=figures, words=now["problems"])

    def close(self) -> None:
        """Finish what is queued, save the state, let go of the workspace."""
        with self._closing:
            self.stop_following()
            self._exposer.close()
            self._traces.close()
            try:
                self.live.follow()
                self.save()
            except (FeedmillError, OSError) as error:  # the snapshot is a shortcut, the log has everything
                logger.warning("the state was not saved: %s", error)

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(self, request: FeedRequest, arms: Arms) -> tuple[Trace, Rows]:
        live, served = self.live, arms.served
        with live.lock.reading():
            user = live.state.view(request.user_id, request.time_ms, self.config.known(request.context))
            offset, steps = live.state.offset, served.loaded.steps
            run = served.pipeline.run(request, user)
            served.pipeline.remember(run)
            trace = served.pipeline.account(run)
            if is_kept(request.request_id, self.config.skew_share):
                keep(run, served.pipeline.chain.rank, self.config.known(request.context))
        trace.offset, trace.steps = offset, steps
        trace.degraded += served.missing
        arms.account(trace)
        if not trace.items:
            trace.degraded.append("empty" if len(live.state.items) < 2 else "nothing left to show")
        return trace, run.candidates.item

    def _expose(self, trace: Trace, request: FeedRequest) -> bool:
        if not trace.items:
            return False
        events = impressions(trace)
        if news := self.live.state.news(request.user_id, self.config.known(request.context)):
            events = EventBatch.concat([told(trace, news), events])
        return self._log(trace, request, events, "exposure")

    def _log(self, trace: Trace, request: FeedRequest, events: EventBatch, what: str) -> bool:
        """Whether they were on the disk before the deadline."""
        with trace.stage(what, len(events)) as entry:
            try:
                left_s = max((request.deadline_ms - trace.ms) / 1e3, _MIN_EXPOSURE_S)
                self._exposer.write(events, left_s)
                entry.n_out = len(events)
                if self._follower is not None:
                    self._follower.wake()
            except TimeoutError as error:
                entry.error = str(error)
                trace.degraded.append(f"{what}: late")
            except Exception as error:  # a feed that cannot be logged is still a feed
                entry.error = f"{type(error).__name__}: {error}"
                trace.degraded.append(what)
        return not entry.error

    def _follow(self) -> list[str]:
        """Bring the state up to date for a feed; what to say if that fails."""
        try:
            self.live.follow(at_most=_CATCH_UP, wait=False)
        except Exception as error:
            self._note("follow", error)
            return ["state: behind"]
        self._note("follow", None)
        return []

    def _note(self, what: str, error: Exception | None) -> None:
        """Keep what is wrong in the background where people see it, until it is well again."""
        if error is None:
            self.problems.pop(what, None)
        elif self.problems.get(what) != (text := f"{type(error).__name__}: {error}"):
            self.problems[what] = text
            logger.warning("%s: %s", what, text)


def _response(trace: Trace, shown: Rows, rows: Rows, n: int) -> FeedResponse:
    """The answer, with a cursor unless this page was the last: empty, or the end of what there is to fall back on."""
    is_last = not len(rows) or (len(rows) < n and "fallback" in trace.degraded)
    return FeedResponse(
        request_id=trace.request_id,
        user_id=trace.user_id,
        items=trace.items,
        cursor="" if is_last else encode(trace.user_id, np.concatenate([shown, rows])),
        degraded=trace.degraded,
        version=trace.version,
        experiments=trace.experiments,
    )


def _clock(config: ServeConfig, live: LiveState) -> Clock:
    if config.clock == "newest":
        return NewestClock(lambda: live.state.newest_ms)
    is_old_log = config.clock == "log" and live.state.offset > 0
    return LogClock(live.state.newest_ms) if is_old_log else WallClock()
