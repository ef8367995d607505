"""The whole chain in one process: the engine that serves, its log, its state, and what it learns at night."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable

import numpy as np

from feedmill.core.batches import Rows
from feedmill.core.events import EventBatch
from feedmill.core.request import FeedRequest
from feedmill.serve.bulk import answer, exposures
from feedmill.serve.engine import Engine
from feedmill.serve.run import Run
from feedmill.sim.feeds.events import Known, feedback, padded
from feedmill.sim.views import Asks, Slates, Views

Learn = Callable[[int], object]
"""What is done at the end of a day (0, 1, …): train, publish; the engine takes up what is promoted."""


class ChainFeed:
    """Answers with the request path of a workspace, experiments included, and logs what people do with the slates.

    Nothing is told to the chain but events: descriptions, exposures, feedback. An exposure is what came on the screen,
    as clients report it: the end of a slate that nobody swiped to was not seen, and nobody is to learn from it. A
    request has no deadline, so that what is answered does not depend on how fast the machine is.

    Args:
        engine: of the workspace; stays the caller's to close.
        learn: see ``Learn``; None = models stay as they are.
        known: of a feed before this one, whose workspace or a copy of it this one goes on with.
        slate: items asked for.
        seed: of the requests.

    Attributes:
        watch: told every finished run with its ask's row, for who wants to see into the chain.
    """

    def __init__(
        self, engine: Engine, learn: Learn | None = None, *, known: Known | None = None, slate: int = 10, seed: int = 0
    ) -> None:
        self.engine, self.known = engine, known or Known()
        self._learn, self._slate, self._seed = learn, slate, seed
        self._world = np.full(1, -1, np.int32)  # world row of each item row of the state
        self._runs: list[Run] = []  # of the last slates
        self.watch: Callable[[Asks, list[Run]], None] | None = None

    def describe(self, events: EventBatch) -> None:
        """Append."""
        self.known.take(events)
        if len(events):
            self.engine.append(events)

    def slates(self, asks: Asks) -> Slates:
        """One request each, all as of the same moment of the log."""
        ids = self.known.request_ids(len(asks), self._seed)
        people, times = (self.known.users[row] for row in asks.user.tolist()), asks.time_ms.tolist()
        requests = [
            FeedRequest(
                request_id=request_id, user_id=user_id, n=self._slate, time_ms=time_ms,
                seed=zlib.crc32(request_id.encode()), deadline_ms=math.inf,
            )
            for request_id, user_id, time_ms in zip(ids, people, times, strict=True)
        ]  # fmt: skip
        runs = self._runs = answer(self.engine, requests, expose=False)
        if self.watch is not None:
            self.watch(asks, runs)
        return Slates(padded([self.world_rows(run.candidates.item) for run in runs], self._slate), ids)

    def take(self, asks: Asks, slates: Slates, views: Views) -> None:
        """Append what came of them; the next slates know."""
        if len(views):
            seen = [(self._runs[ask], at) for ask, at in zip(views.ask.tolist(), views.position.tolist(), strict=True)]
            events = [exposures(self.engine, seen), feedback(asks, slates, views, self.known)]
            self.engine.append(EventBatch.concat(events))

    def night(self, day: int) -> None:
        """Learn and take up what was promoted."""
        if self._learn is not None:
            self._learn(day)
            self.engine.reload()

    def world_rows(self, items: Rows) -> Rows:
        """int32[<= n] world rows of item rows of the state, without those that the world has not described."""
        known = len(self._world)
        if len(items) and int(items.max()) >= known:
            state = self.engine.state
            new = self.known.rows(state.items.ids(range(known, len(state.items))))
            self._world = np.concatenate([self._world, np.array(new, np.int32)])
        rows: Rows = self._world[items]
        return rows[rows >= 0]
