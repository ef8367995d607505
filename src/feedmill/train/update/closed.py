"""What the joiner has closed since the last step, with everything as of when it was shown."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

import pyarrow.compute as pc

from feedmill.core.batches import Mask, SampleBatch, Times
from feedmill.core.errors import ArtifactError
from feedmill.core.progress import progress
from feedmill.core.protocols import EventLog
from feedmill.core.workspace import Workspace
from feedmill.log.whole import CHUNK, read_all
from feedmill.samples import SamplesConfig
from feedmill.samples.down_sampling import taken
from feedmill.samples.joiner import JoinConfig, parts
from feedmill.samples.joiner.run import folder_of
from feedmill.state import Probed, State, StateConfig
from feedmill.train.update.joined import joined

BEFORE = 4096  # events before an impression in which others of its request are looked for: they may have closed sooner


class Closed(NamedTuple):
    """Rows of a stretch.

    Attributes:
        samples, probed: in the order of the log; users and items as of when they were asked for.
        state: which knows all their ids.
        upto: everything that events before this offset closed has been given.
    """

    samples: SampleBatch
    probed: Probed
    state: State
    upto: int


def closed(
    workspace: Workspace,
    log: EventLog,
    since: int,
    stop: int,
    first: int,
    may_learn: Callable[[Times], Mask],
    heads: Collection[str],
) -> Iterator[Closed]:
    """What events from offset ``since`` up to ``stop`` closed, stretch by stretch: every label once, as it is final.

    That is when the longest window of its head's kinds has closed, so a like need not wait for shares.

    Args:
        first: impressions before this offset teach nothing.
        may_learn: times int64[n] of requests -> bool[n].
        heads: whose labels are wanted.

    Raises:
        LogError: the log cannot be read.
        ArtifactError: its first events were dropped, and the state that they made is gone.
    """
    windows = workspace.section("samples.join", JoinConfig).windows
    config = workspace.section("samples", SamplesConfig, drop=["interest", "join", "guard"])
    for table in parts.closed(folder_of(workspace), since, stop):
        upto = int(table["closed_at"][-1].as_py()) + 1
        table = table.filter(pc.field("offset") >= max(first, log.start))
        if not table.num_rows:
            continue
        low = max(pc.min(table["offset"]).as_py() - BEFORE, log.start)
        state = state_at(workspace, log, low)
        events = read_all(log, pc.max(table["offset"]).as_py() + 1, low)
        state.register(events)
        samples = joined(table, events, low, state, config, windows=windows)
        is_wanted = samples.mask[:, [head in heads for head in samples.heads]].any(axis=1)
        samples = taken(samples, is_wanted & may_learn(samples.probe.time_ms)[samples.probe.request_of])
        if len(samples):
            probed = state.fold(events, samples.probe)
            assert probed is not None
            yield Closed(samples, probed, state, upto)


def state_at(workspace: Workspace, log: EventLog, offset: int) -> State:
    """The state as of an offset, of which a snapshot is kept for the next time.

    Serving's snapshots stand at the end of the log, which a learner is behind of.

    Raises:
        ArtifactError: the first events of the log were dropped, and the state that they made is gone.
    """
    state = _before(workspace, log, offset)
    if state.offset == offset:
        return state
    with progress("folding state", offset - state.offset) as advance:
        while state.offset < offset:
            batch, _ = log.read(state.offset, min(CHUNK, offset - state.offset))
            state.fold(batch)
            advance(len(batch))
    state.save(workspace.learner)
    return state


def _before(workspace: Workspace, log: EventLog, offset: int) -> State:
    """The learner's own snapshot, or the state at the log's start."""
    config = workspace.section("state", StateConfig)
    try:
        state = State.load(workspace.learner, config)
        if log.start <= state.offset <= offset:
            state.keep_up(log)
            return state
    except ArtifactError:
        pass  # none, or of other settings: it costs time
    return State.at_start(workspace.state, log, config)
