"""Skew watch: is what was served what the log gives? Features and scores of sampled requests, made again offline.

The log is folded from its start, in order, and each sampled request is asked at the offset that its trace names: what
lies between (snapshots, the living state, tables prepared and items' shares looked up) is thereby checked as a whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

import msgspec
import numpy as np

from feedmill.core.batches import ProbeBatch
from feedmill.core.errors import ArtifactError
from feedmill.core.progress import progress
from feedmill.core.protocols import EventLog
from feedmill.core.request import Trace
from feedmill.core.workspace import Workspace
from feedmill.features.served.again import again
from feedmill.features.served.logged import requests
from feedmill.log.traces import read_traces
from feedmill.log.whole import CHUNK, open_log
from feedmill.publish import Artifact, delta, load
from feedmill.serve.build import RANK_PART
from feedmill.serve.differences import Differences, Line, sorted_lines
from feedmill.state import Probed, State, StateConfig

Asked = tuple[Trace, Probed]
LATE_MS = 1_000  # feeds and events that are under way at once may change places by less


class Skew(msgspec.Struct, frozen=True, kw_only=True):
    """What was found.

    Attributes:
        requests, rows: that were compared; a row is one item of one request.
        differing: rows with any feature or score that differs.
        features: those with a difference first, the largest share first.
        scores: the same of the ranker's heads.
        compared: how many features were compared.
        versions_gone: requests of versions that are no longer there, or cannot be used, by version.
        beyond_log: requests at offsets that the log does not have, or has no more.
        late_events: events dated more than ``LATE_MS`` before a sampled request that came into the log after it:
            serving could not know them.
        late_requests: sampled requests that such events came too late for.
    """

    requests: int
    rows: int
    differing: int
    compared: int
    features: list[Line]
    scores: list[Line]
    versions_gone: dict[str, int]
    beyond_log: int
    late_events: int
    late_requests: int
    offset: int

    @property
    def share(self) -> float:
        """Of the rows, those that differ."""
        return self.differing / self.rows if self.rows else 0.0


def skew(workspace: Workspace) -> Skew:
    """Compare every request of the trace store that kept its features.

    Raises:
        ConfigError, LogError: the log cannot be read.
    """
    sampled = sorted((t for t in read_traces(workspace.traces) if t.features is not None), key=lambda t: t.offset)
    log = open_log(workspace)
    try:
        end = log.end
        known = [t for t in sampled if log.start <= t.offset <= end]
        state = State.at_start(workspace.state, log, workspace.section("state", StateConfig))
        asked = replay(log, state, known, end)
        late = Late.of(known)
        late.read(log, end)
    finally:
        log.close()
    differences, gone = Differences(), Counter[str]()
    for (version, steps), group in groupby(sorted(asked, key=_served_by), key=_served_by):
        traces = list(group)
        try:
            part = served(workspace.artifacts, version, steps).part(RANK_PART)
            found = again(part, state, Probed.concat([probed for _, probed in traces]))
        except ArtifactError:
            gone[version] += len(traces)
            continue
        halves = [name for name in found[0].items if name in part.arrays and part.arrays[name].dtype == np.float16]
        differences.add([t for t, _ in traces], *found, part.config["heads"], halves)
    return Skew(
        requests=differences.n_requests,
        rows=differences.n_rows,
        differing=differences.n_differing,
        compared=len(differences.features),
        features=sorted_lines(differences.features),
        scores=sorted_lines(differences.scores),
        versions_gone=dict(gone),
        beyond_log=len(sampled) - len(known),
        late_events=late.n_events,
        late_requests=late.n_requests,
        offset=end,
    )


def served(root: Path, version: str, steps: int) -> Artifact:
    """A version with its rows as they were after so many steps.

    Raises:
        ArtifactError: it, or the file of that step, is no longer there.
    """
    artifact = load(root, version, private=delta.MOVING)
    if steps:
        moved = delta.newest(root, version, fits=lambda d: d.seq == steps)
        if moved is None:
            raise ArtifactError(f"no step {steps} of version {version}", "one that is still kept")
        delta.apply(artifact, moved)
    return artifact


def _served_by(asked: Asked) -> tuple[str, int]:
    return asked[0].version, asked[0].steps


def replay(log: EventLog, state: State, traces: Sequence[Trace], end: int) -> list[Asked]:
    """Fold the log up to the last of these requests, and ask for each at its offset.

    Args:
        state: empty.
        traces: by ascending offset, at most ``end``.
    """
    out: list[Asked] = []
    upto, left = (traces[-1].offset if traces else 0), list(traces)
    with progress("folding the log", upto) as advance:
        while left:
            start = state.offset
            events, _ = log.read(start, max(1, min(CHUNK, upto - start))) if upto > start else log.read(end)
            n = next((i for i, t in enumerate(left) if t.offset > start + len(events)), len(left))
            now, left = left[:n], left[n:]
            state.register(events)
            probed = state.fold(events, _probes(state, now, start))
            assert probed is not None
            out += [(t, _with_context(state, t, requests(probed, r, r + 1))) for r, t in enumerate(now)]
            advance(len(events))
    return out


def _probes(state: State, traces: Sequence[Trace], start: int) -> ProbeBatch:
    items = [i.item_id for t in traces for i in t.items]
    return ProbeBatch(
        user=np.array([state.users.row(t.user_id) for t in traces], np.int32),
        time_ms=np.array([t.time_ms for t in traces], np.int64),
        at=np.array([t.offset - start for t in traces], np.int64),
        item=np.array([state.items.row(i) for i in items], np.int32),
        request_of=np.repeat(np.arange(len(traces)), [len(t.items) for t in traces]).astype(np.int32),
    )


def _with_context(state: State, trace: Trace, probed: Probed) -> Probed:
    """What the request said of its user stands for what the log said, as in ``State.view``."""
    assert trace.features is not None
    for name, code in state.attributes["user"].codes(trace.features.context):
        if name < probed.users.profile.shape[1]:
            probed.users.profile[0, name] = code
    return probed


class Late:
    """Events that came after a request and are dated well before it."""

    def __init__(self, offsets: Iterable[int], times: Iterable[int]) -> None:
        self._offsets, self._times = np.array(list(offsets), np.int64), np.array(list(times), np.int64) - LATE_MS
        self._newest = np.maximum.accumulate(self._times) if len(self._times) else self._times
        self._is_late = np.zeros(len(self._times), np.bool_)
        self.n_events = 0

    @classmethod
    def of(cls, traces: Sequence[Trace]) -> Late:
        return cls([t.offset for t in traces], [t.time_ms for t in traces])

    @property
    def n_requests(self) -> int:
        return int(self._is_late.sum())

    def read(self, log: EventLog, end: int) -> None:
        """Go through what came after the first request."""
        at = int(self._offsets[0]) if len(self._offsets) else end
        while at < end:
            events, after = log.read(at, min(CHUNK, end - at))
            times, place = events.numpy("time_ms"), np.arange(at, after)
            before = np.searchsorted(self._offsets, place, side="right") - 1  # the last request that came before each
            self.n_events += int((self._newest[before] > times).sum())
            rest = np.minimum.accumulate(times[::-1])[::-1]  # the oldest from each place on
            first = np.maximum(self._offsets - at, 0)
            here = first < len(times)
            self._is_late[here] |= rest[first[here]] < self._times[here]
            at = after
