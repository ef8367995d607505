"""Rows to learn on from, out of the log: a stretch of it for the night, and what has been waited for long enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from msgspec import structs

from feedmill.core.batches import Mask, SampleBatch, Times
from feedmill.core.errors import ArtifactError
from feedmill.core.events import EventBatch
from feedmill.core.progress import progress
from feedmill.core.protocols import EventLog
from feedmill.log.whole import CHUNK
from feedmill.samples import SamplesConfig, sample
from feedmill.samples.down_sampling import taken
from feedmill.samples.watch_seconds import WATCH_HEAD
from feedmill.state import Probed, Replay, State, StateConfig

Source = Callable[[Replay, State], SampleBatch]
"""The whole log and a state that has folded it -> what a night learns from, probes addressed by place in its events."""


def since(offset: int, config: SamplesConfig, seed: int, heads: Sequence[str] = ()) -> Source:
    """The rows of requests from an offset of the log on, as ``feedmill train`` makes them.

    Args:
        heads: that there shall be, beside those that the log has positives of.
    """

    def rows(replay: Replay, state: State) -> SampleBatch:
        samples = drawn(replay.events, state, config, seed, heads)
        return taken(samples, samples.probe.at[samples.probe.request_of] + replay.start >= offset)

    return rows


def drawn(events: EventBatch, state: State, config: SamplesConfig, seed: int, heads: Sequence[str]) -> SampleBatch:
    """Rows of a log; a head without a positive is 0 in all of them, and known to be, for the log would tell."""
    samples, _ = sample(events, state, structs.replace(config, min_positives=1), seed)
    absent = [h for h in heads if h not in samples.heads and h != WATCH_HEAD]
    zeros = np.zeros((len(samples), len(absent)), np.float32)
    return replace(
        samples,
        labels=np.hstack([samples.labels, zeros]),
        mask=np.hstack([samples.mask, zeros == 0]),
        heads=(*samples.heads, *absent),
    )


def state_before(folder: Path, log: EventLog, config: StateConfig, offset: int, base: Path) -> State:
    """A state at or before an offset: the newest snapshot in a learner's own folder, else that of the log's start.

    Serving keeps its snapshots at the end of the log, which a learner is behind of.

    Args:
        base: the folder of serving's, which holds the one of a log whose first events were dropped.

    Raises:
        ArtifactError: that one is needed, and gone.
    """
    try:
        state = State.load(folder, config)
        if state.offset <= offset:
            state.keep_up(log)
            return state
    except ArtifactError:
        pass  # none, or of other settings: it costs time
    return State.at_start(base, log, config)


class Follower:
    """Reads a log behind its end, as far as what came of each impression is known, and keeps the state as of there.

    A row is probed when the state has folded exactly what came before its request, so its features are those of the
    moment, though it is learned from later.

    Args:
        state: of what comes before ``offset``, or less: the rest is folded. Later than that, rows in between are lost.
        offset: of the log, where to begin.
        wait_s: seconds after which an impression without feedback is a negative; what comes later labels nothing.
        heads: that every batch shall have.

    Attributes:
        state: as of ``offset``, with rows for all ids that were read.
        offset: events that have been learned from.
    """

    def __init__(
        self,
        log: EventLog,
        state: State,
        samples: SamplesConfig,
        offset: int,
        wait_s: float,
        heads: Sequence[str] = (),
        seed: int = 0,
    ) -> None:
        own = structs.replace(samples, window_s=min(samples.window_s, wait_s))
        self._log, self._config, self._heads, self._seed = log, own, tuple(heads), seed
        self._wait_ms = round(wait_s * 1e3)
        self.state, self.offset = state, state.offset
        with progress("folding state", max(offset - self.offset, 0)) as advance:
            while self.offset < offset:
                batch, after = log.read(self.offset, min(CHUNK, offset - self.offset))
                self.state.fold(batch)
                advance(after - self.offset)
                self.offset = after

    def ready(
        self, is_kept: Callable[[Times], Mask] | None = None, until_ms: int | None = None
    ) -> tuple[SampleBatch, Probed] | None:
        """What has been waited for since the last time, in the order of the log; None = nothing yet.

        Args:
            is_kept: times int64[n] of requests -> bool[n]; others are folded and never learned from, such as those
                of a stretch in quarantine.
            until_ms: what was shown after it waits, whatever came of it; None = no limit.

        Raises:
            LogError: the log cannot be read.
        """
        events = self._tail()
        if not len(events):
            return None
        self.state.register(events)
        samples = drawn(events, self.state, self._config, self._seed, self._heads)
        probe = samples.probe
        until = int(events.numpy("time_ms").max()) - self._wait_ms
        until = until if until_ms is None else min(until, until_ms)
        is_open = probe.time_ms > until
        n = int(np.argmax(is_open)) if is_open.any() else len(probe)
        cut = int(probe.at[n]) if n < len(probe) else len(events)
        kept = np.ones(len(probe), np.bool_) if is_kept is None else is_kept(probe.time_ms)
        done = taken(samples, (probe.request_of < n) & kept[probe.request_of])
        probed = self.state.fold(events[:cut], done.probe)
        self.offset += cut
        assert probed is not None
        return (done, probed) if len(done) else None

    def _tail(self) -> EventBatch:
        batches, at = [], self.offset
        while at < self._log.end:
            batch, at = self._log.read(at, min(CHUNK, self._log.end - at))
            batches.append(batch)
        return EventBatch.concat(batches) if batches else EventBatch.empty()
