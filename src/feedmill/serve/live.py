"""A log and what is folded from it to serve, the state and the experiments, kept together while the log grows."""

from __future__ import annotations

import threading
from collections.abc import Callable

from feedmill.core.protocols import EventLog
from feedmill.core.workspace import Workspace
from feedmill.experiments import ExperimentsConfig, Plan, store
from feedmill.log.whole import open_log
from feedmill.serve.readers_writer import ReadersWriter
from feedmill.state import State, StateConfig, snapshot

CHUNK = 65_536  # events folded while readers wait


class LiveState:
    """The one place where a serving process folds, so that every event is folded once.

    Attributes:
        lock: read the state inside ``lock.reading()``; it stands still there.
        plan: the experiments; replaced, never changed.
        on_forgotten: told the ids of people that the log has forgotten, for whoever holds something else of them.
    """

    def __init__(self, log: EventLog, state: State, plan: Plan) -> None:
        self.log, self.state, self.plan, self.lock = log, state, plan, ReadersWriter()
        self._folding = threading.Lock()
        self.on_forgotten: Callable[[list[str]], None] = lambda user_ids: None

    def follow(self, *, at_most: int | None = None, wait: bool = True) -> int:
        """Fold what the log has got since, from this process or another; how many events that was.

        Args:
            at_most: stop after about this many.
            wait: False = leave it to whoever is folding already.

        Raises:
            LogError: the log cannot be read.
        """
        is_new = self.log.end > self.state.offset or self.log.epoch != self.state.epoch
        if not is_new or not self._folding.acquire(blocking=wait):
            return 0
        start = self.state.offset
        try:
            self._keep_up()
            while (n := self.state.offset - start) < (at_most or n + 1) and self.state.offset < self.log.end:
                offset = self.state.offset
                events, _ = self.log.read(offset, min(CHUNK, at_most or CHUNK))
                if self._keep_up():  # who was forgotten in between may be in what was read
                    continue
                with self.lock.writing():
                    self.state.fold(events)
                    self.plan = self.plan.fold(events, offset)
            return self.state.offset - start
        finally:
            self._folding.release()

    def _keep_up(self) -> bool:
        """Let go of who was forgotten since; whether the log has begun another epoch."""
        if self.log.epoch == self.state.epoch:
            return False
        with self.lock.writing():
            gone = self.state.keep_up(self.log)
        self.on_forgotten(gone)
        return True

    def save(self, workspace: Workspace, worth: int = 1) -> bool:
        """Write a snapshot if at least ``worth`` events have come since the newest there is; feeds go on meanwhile."""
        offset, newest = self.state.offset, snapshot.newest(workspace.state)
        if offset - (int(newest.name) if newest else 0) < worth:
            return False
        store.save(self.plan, workspace.experiments, offset)
        self.state.save(workspace.state)
        return True


def open_live(workspace: Workspace) -> LiveState:
    """The workspace's log and what is folded from it to its end: a snapshot and the log's tail, or a replay of it all.

    Raises:
        ConfigError: sections ``[log]``, ``[state]`` or ``[experiments]`` cannot be used, or do not go with what runs.
        LogError: the log cannot be read.
    """
    log = open_log(workspace)
    state = State.restore(workspace.state, log, workspace.section("state", StateConfig))
    plan = store.restore(workspace.experiments, log, workspace.section("experiments", ExperimentsConfig))
    return LiveState(log, state, plan)
