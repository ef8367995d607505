"""A trained model that learns on through a damaged stream, with the guard and without.

The code of ``feedmill join`` and ``feedmill update --incremental``, judged by what a server says that takes up every
delta.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from feedmill.cli.bench.guard.world import MINUTE_MS, START_MS, Damage, Plan, Stream, stream
from feedmill.core.workspace import Workspace

if TYPE_CHECKING:
    from feedmill.core.batches import SampleBatch
    from feedmill.publish import Artifact
    from feedmill.publish.delta import Delta
    from feedmill.samples.guard import Verdict
    from feedmill.state import Probed, State
    from feedmill.train.update.guarded import Guarded

STEP_MIN = 5
RAW: dict[str, Any] = {
    "rank": {"kind": "dnn", "embedding_dim": 8, "hidden_dims": [32, 16], "epochs": 3, "batch_size": 64},
    "features": {"histories": {"clicked": [10]}, "context": False},
    "samples": {"join": {"windows": {"click": 120.0}, "skew_s": 10.0, "early_s": 10.0}},
    "retrieval": {"channels": {}},
    "update": {"incremental": {"half_life_s": 3600.0}},
}


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What came out of one stream.

    Attributes:
        found_s: seconds of the stream from the beginning of the damage to the alarm; NaN = never.
        quarantined_min: minutes that were left out.
        said: float32[n] what was served for each live impression of a person; ``true`` bool[n], ``chance`` float64[n].
        minute: int64[n] since midnight.
        n_undone: how often a delta was taken back.
        n_alarms: stretches in quarantine.
    """

    found_s: float
    quarantined_min: float
    said: NDArray[np.float32]
    true: NDArray[np.bool_]
    chance: NDArray[np.float64]
    minute: NDArray[np.int64]
    n_undone: int
    n_alarms: int


@dataclass(frozen=True, slots=True, eq=False)
class Live:
    """A stream as the joiner and the guard saw it: samples in order, how far they were known minute by minute, and the
    guard's verdict then."""

    source: Stream
    samples: SampleBatch
    probed: Probed
    state: State
    known: NDArray[np.int64]  # requests whose samples had closed by each step
    verdicts: list[Verdict]


def lived(seed: int, damage: Damage, plan: Plan, guards: tuple[bool, ...] = (False, True)) -> dict[bool, Seen]:
    """What was served through a stream by a learner with the guard, and without."""
    live = joined(stream(seed, damage, plan), plan)
    artifact = trained(live, plan, seed)
    return {is_guarded: _through(live, artifact, plan, is_guarded) for is_guarded in guards}


def joined(source: Stream, plan: Plan) -> Live:
    """Join the stream in steps of ``STEP_MIN`` from the minute at which the model goes live."""
    from feedmill.samples import SamplesConfig
    from feedmill.samples.guard import GuardConfig
    from feedmill.samples.guard.watch import Watch
    from feedmill.samples.joiner import JoinConfig, Joiner
    from feedmill.state import State
    from feedmill.train.update.joined import joined as as_samples

    at = Workspace(Path(), RAW)
    joiner = Joiner(at.section("samples.join", JoinConfig), at.section("samples.guard", GuardConfig).window_s)
    watch = Watch(at.section("samples.guard", GuardConfig), joiner.groups)
    time_ms, tables, closed, verdicts = source.events.numpy("time_ms"), [], [], []
    for minute in range(plan.live, plan.end + 1, STEP_MIN):
        low, high = joiner.offset, int(np.searchsorted(time_ms, START_MS + minute * MINUTE_MS))
        found = joiner.feed(source.events[low:high], low)
        watch.feed(source.events[low:high], low, found.ticks)
        tables.append(found.samples)
        closed.append(sum(t.num_rows for t in tables))
        verdicts.append(watch.verdict())
    state = State()
    state.register(source.events)
    samples = as_samples(pa.concat_tables(tables), source.events, 0, state, SamplesConfig())
    probed = state.fold(source.events, samples.probe)
    assert probed is not None
    known = samples.probe.request_of[np.array(closed) - 1] + 1  # they close in order, request by request
    return Live(source, samples, probed, state, known, verdicts)


def trained(live: Live, plan: Plan, seed: int) -> Artifact:
    """The ranker of the time before it goes live."""
    from feedmill.cli.bench.freshness.runs import Model
    from feedmill.features import FeaturesConfig, assemble
    from feedmill.features import fit as fit_features
    from feedmill.features.grown import Grown
    from feedmill.features.served.logged import requests
    from feedmill.publish import Artifact
    from feedmill.samples.down_sampling import taken
    from feedmill.train.plans import Plans
    from feedmill.train.rank.ranker import fitted

    at, n = Workspace(Path(), RAW), int(live.known[0])
    rank = Plans.of(at).rank
    assert rank is not None
    samples, probed = taken(live.samples, live.samples.probe.request_of < n), requests(live.probed, 0, n)
    spec, arrays = fit_features.fit(at.section("features", FeaturesConfig), live.state, probed)
    batch = assemble(spec, arrays, live.state, probed)
    done = fitted(rank.chosen, rank.fitting, spec, batch, samples, seed)
    model = Model(done, Grown(spec, arrays, np.arange(spec.n_rows, dtype=np.int32)))
    return Artifact("0" * 12, 0, {"offset": 0}, {"rank": model.part})


def _through(live: Live, artifact: Artifact, plan: Plan, is_guarded: bool) -> Seen:
    from feedmill.samples.guard import GuardConfig
    from feedmill.train.update.guarded import Guarded
    from feedmill.train.update.incremental import Incremental

    at, config = Workspace(Path(), RAW), GuardConfig()
    never = GuardConfig(z=1e9) if not is_guarded else config
    server = Incremental(Workspace(Path(), _deaf(RAW)), artifact)
    learner, last, deltas, done, n_undone = Incremental(at, artifact), None, list[Any](), int(live.known[0]), 0
    time_ms = live.samples.probe.time_ms
    said, shown = [], np.searchsorted(time_ms, START_MS + np.arange(plan.live, plan.end + 1, STEP_MIN) * MINUTE_MS)
    for step, verdict in enumerate(live.verdicts[:-1]):
        on = Guarded(learner, last, verdict if is_guarded else None, never)
        undone = on.undo(lambda fits: next((d for d in reversed(deltas) if fits(d)), None))
        n_undone += undone is not None
        begin = on.offset(int(live.known[0]))
        last = undone if undone is not None else last
        last = _learned(live, on, begin if undone is not None else done, int(live.known[step]), last)
        done = int(live.known[step])
        if last is not None:
            deltas.append(last)
            server.roll_back(last)
        said.append(_served(live, server, int(shown[step]), int(shown[step + 1])))
    return _seen(live, plan, np.concatenate(said), int(shown[0]), n_undone, is_guarded)


def _deaf(raw: dict[str, Any]) -> dict[str, Any]:
    """A config whose learner only says what it is given."""
    return {**raw, "update": {"incremental": {**raw["update"]["incremental"], "alpha": 0.0}}}


def _learned(live: Live, on: Guarded, low: int, high: int, last: Delta | None) -> Delta | None:
    """Learn the requests of a range that may be learned, each run of them as a step."""
    from feedmill.features.served.logged import requests
    from feedmill.samples.down_sampling import taken

    may = np.flatnonzero(np.diff(np.concatenate([[0], on.may_learn(live.samples.probe.time_ms[low:high]), [0]])))
    of = live.samples.probe.request_of
    for start, stop in (low + may.reshape(-1, 2)).tolist():
        samples = taken(live.samples, (of >= start) & (of < stop))
        last, _ = on.step(samples, requests(live.probed, start, stop), live.state, stop)
    return last


def _served(live: Live, server: Any, low: int, high: int) -> NDArray[np.float32]:
    """float32[n] what is said of impressions as they are shown."""
    from feedmill.features.served.logged import requests
    from feedmill.samples.down_sampling import taken

    of = live.samples.probe.request_of
    samples = taken(live.samples, (of >= low) & (of < high))
    said = server.learners["rank"].learn(samples, requests(live.probed, low, high), live.state)
    found: NDArray[np.float32] = said[:, 0]
    return found


def _seen(live: Live, plan: Plan, said: NDArray[np.float32], first: int, n_undone: int, is_guarded: bool) -> Seen:
    source, of = live.source, live.samples.probe.request_of
    rows = slice(int(np.searchsorted(of, first)), int(np.searchsorted(of, first)) + len(said))
    human = source.human[rows]
    start_ms = START_MS + plan.stop[0] * MINUTE_MS
    stretches = live.verdicts[-1].stretches
    ends = [(s.to_ms or int(source.time_ms[-1])) - s.from_ms for s in stretches]
    found = [s for s in stretches if not s.to_ms or s.to_ms > start_ms]
    return Seen(
        (found[0].found_ms - start_ms) / 1e3 if found and is_guarded else np.nan,
        sum(ends) / MINUTE_MS if is_guarded else 0.0,
        said[human],
        source.clicked[rows][human],
        source.chance[rows][human],
        (source.time_ms[rows][human] - START_MS) // MINUTE_MS,
        n_undone,
        len(stretches) if is_guarded else 0,
    )
