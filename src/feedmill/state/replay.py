"""Everything a log has, to be folded anew: its events, and the state before the first of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from feedmill.core.batches import Mask
from feedmill.core.events import EventBatch
from feedmill.core.protocols import EventLog
from feedmill.core.workspace import Workspace
from feedmill.log.whole import open_log, read_all
from feedmill.state.config import StateConfig
from feedmill.state.state import State


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """What training, evaluation and reports fold as often as they need to.

    Attributes:
        events: n, in order; places in them, such as those of probes and splits, count from 0.
        before: the state that has folded what came before them: an empty one, or the one that was kept when older
            events were dropped. Nobody folds into it.
    """

    events: EventBatch
    before: State

    @property
    def start(self) -> int:
        """The offset in the log of place 0."""
        return self.before.offset

    @property
    def end(self) -> int:
        """The offset after the last event."""
        return self.start + len(self.events)

    @classmethod
    def of(cls, workspace: Workspace, log: EventLog, upto: int | None = None) -> Replay:
        """All that ``log`` still has, in memory, before offset ``upto`` (its end).

        Raises:
            ArtifactError: the state that the log begins with is gone, or was made with other settings.
            LogError: the log cannot be read.
        """
        before = State.at_start(workspace.state, log, workspace.section("state", StateConfig))
        return cls(read_all(log, upto, before.offset), before)

    @classmethod
    def of_workspace(cls, workspace: Workspace, upto: int | None = None) -> Replay:
        """The same of the workspace's own log.

        Raises:
            ConfigError: see ``open_log``.
            ArtifactError, LogError: see ``of``.
        """
        log = open_log(workspace)
        try:
            return cls.of(workspace, log, upto)
        finally:
            log.close()

    def state(self) -> State:
        """A new state as of the start, to fold into, in which every id of the events has its row already."""
        state = self.before.copy()
        state.register(self.events)
        return state

    def taken(self, keep: Mask) -> Replay:
        """As if the log had only the events of a mask bool[n] after its start."""
        return replace(self, events=self.events.take(np.flatnonzero(keep)))
