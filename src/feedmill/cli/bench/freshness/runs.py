"""Four ways to keep a ranker on a drifting log, each judged by what it says of every day before it learns from it.

What learns is the code of ``feedmill update``; only the export is left out.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from feedmill.cli.bench.freshness.world import Drift, World
from feedmill.core.workspace import Workspace

if TYPE_CHECKING:
    from feedmill.core.batches import Part, SampleBatch
    from feedmill.features import FeatureBatch
    from feedmill.features.grown import Grown
    from feedmill.state import Probed
    from feedmill.train.rank.ranker import Fitted
    from feedmill.train.start import Start
    from feedmill.train.update.learners import OfRanker

WARM_UP, N_DAYS, STEPS_A_DAY = 4, 14, 48
BOTH = "nightly + incremental"
WAYS = ("frozen", "nightly", "incremental", BOTH)
PARTS = ("nightly + rows alone", "nightly + line alone")  # what of both is the users' rows, and what the line's
TODAY: dict[str, dict[str, Any]] = {BOTH: {}, PARTS[0]: {"calibrate": False}, PARTS[1]: {"alpha": 0.0}}
RAW: dict[str, Any] = {
    "rank": {"kind": "dnn", "embedding_dim": 8, "hidden_dims": [32, 16], "epochs": 3, "batch_size": 64},
    "features": {"histories": {"clicked": [10]}, "context": False},
}  # what is not named here is as in any workspace


@dataclass(slots=True)
class Said:
    """What one way said of the impressions of all days, and what it took.

    Attributes:
        probs: by day, float32[n].
        night_s: seconds of each full pass; ``rows_per_s`` of each day's incremental steps.
    """

    probs: list[NDArray[np.float32]] = field(default_factory=list)
    night_s: list[float] = field(default_factory=list)
    rows_per_s: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """Impressions of a stretch of days, with labels and the true chances, float64[n] in the order of the samples."""

    samples: SampleBatch
    probed: Probed
    chance: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A whole log: what each way said, clicks and chances by day."""

    said: dict[str, Said]
    labels: list[NDArray[np.float32]]
    chance: list[NDArray[np.float64]]


def run(drift: Drift, seed: int, n_days: int, raw: dict[str, Any] | None = None) -> Run:
    """Train on the first days, then live through the others."""
    bench = Bench(drift, seed, raw or RAW)
    for _ in range(n_days):
        bench.day()
    return bench.run


class Bench:
    """The state of the log, the full model as of last night, and the rows that have moved since the first."""

    def __init__(self, drift: Drift, seed: int, raw: dict[str, Any]) -> None:
        from feedmill.features import FeaturesConfig
        from feedmill.features import fit as fit_features
        from feedmill.state import State
        from feedmill.train.plans import Plans
        from feedmill.train.update.config import UpdateConfig
        from feedmill.train.update.nightly import one_pass

        workspace = Workspace(Path(), {"retrieval": {"channels": {}}, **raw})
        self.config = workspace.section("update", UpdateConfig)
        plans = Plans.of(workspace)
        assert plans.rank is not None
        self._plan, once = plans.rank, one_pass(plans, self.config.nightly).rank
        assert once is not None
        self._once = once
        self._world, self._seed = World(drift, seed), seed
        self.state = State()
        first = self._told(WARM_UP)
        spec, arrays = fit_features.fit(workspace.section("features", FeaturesConfig), self.state, first.probed)
        self.full = self._fit(first, _plain(spec, arrays), None)
        self._frozen = self.full
        self._alone = self._rows(self.full)
        self.run = Run({way: Said() for way in (*WAYS, *PARTS)}, [], [])

    def day(self) -> None:
        """Everybody says what comes of the day's impressions, then learns."""
        told = self._told(1)
        self.run.labels.append(told.samples.labels[:, 0])
        self.run.chance.append(told.chance)
        said = self.run.said
        for way, model in (("frozen", self._frozen), ("nightly", self.full)):
            said[way].probs.append(model.predict(self._batch(model, told)))
        today = {way: self._rows(self.full, **how) for way, how in TODAY.items()}
        for way, rows in {"incremental": self._alone, **today}.items():
            start = perf_counter()
            said[way].probs.append(self._lived(rows, told))
            said[way].rows_per_s.append(len(told.samples) / (perf_counter() - start))
        start = perf_counter()
        self.full = self._night(told)
        for way in ("nightly", BOTH):
            said[way].night_s.append(perf_counter() - start)

    def _told(self, n_days: int) -> Told:
        """The next days, folded and probed as they went."""
        from feedmill.core.events import EventBatch
        from feedmill.samples import SamplesConfig, sample

        days = [self._world.next_day() for _ in range(n_days)]
        events = EventBatch.concat([day.events for day in days])
        self.state.register(events)
        samples, _ = sample(events, self.state, SamplesConfig(min_positives=1), self._seed)
        probed = self.state.fold(events, samples.probe)
        assert probed is not None
        return Told(samples, probed, np.concatenate([day.chance for day in days]))

    def _night(self, told: Told) -> Model:
        from feedmill.features.grown import Growth, grown

        room = round(len(self.state.users) * self.config.nightly.room_share)
        growth = Growth(room=room)
        made = grown(self.full.grown.spec, self.full.grown.arrays, self.state, told.probed, growth)
        return self._fit(told, made, self.full)

    def _fit(self, told: Told, made: Grown, before: Model | None) -> Model:
        from feedmill.features import assemble
        from feedmill.train.rank.ranker import fitted

        start = None if before is None else before.start(made)
        plan = self._plan if before is None else self._once
        batch = assemble(made.spec, made.arrays, self.state, told.probed)
        done = fitted(plan.chosen, plan.fitting, made.spec, batch, told.samples, self._seed, start=start)
        return Model(done, made)

    def _batch(self, model: Model, told: Told) -> FeatureBatch:
        from feedmill.features import assemble

        return assemble(model.grown.spec, model.grown.arrays, self.state, told.probed)

    def _rows(self, model: Model, **how: Any) -> OfRanker:
        from feedmill.train.update.learners import OfRanker

        return OfRanker(self._plan, model.part, structs.replace(self.config.incremental, **how))

    def _lived(self, rows: OfRanker, told: Told) -> NDArray[np.float32]:
        """A day in ``STEPS_A_DAY`` steps: float32[n] what was served, each step before it is learned from."""
        from feedmill.features.served.logged import requests
        from feedmill.samples.down_sampling import taken

        n, of = len(told.samples.probe), told.samples.probe.request_of
        bounds, said = np.linspace(0, n, STEPS_A_DAY + 1).astype(int).tolist(), []
        for low, high in itertools.pairwise(bounds):
            samples = taken(told.samples, (of >= low) & (of < high))
            served = rows.learn(samples, requests(told.probed, low, high), self.state)
            assert served is not None
            said.append(served[:, 0])
        return np.concatenate(said)


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A trained ranker and the spec it reads by."""

    fitted: Fitted
    grown: Grown

    @property
    def table(self) -> NDArray[np.float32]:
        """float32[V, D]."""
        found: NDArray[np.float32] = self.fitted.embedding.table.weight.detach().numpy()
        return found

    def predict(self, batch: FeatureBatch) -> NDArray[np.float32]:
        """float32[n] chances of a click."""
        return self.fitted.predict(self.grown.spec, batch)[:, 0]

    @property
    def part(self) -> Part:
        """As it would be stored, without its graphs."""
        from feedmill.core.batches import Part
        from feedmill.features.spec import as_dict
        from feedmill.train.start import kept

        weights, shapes = kept(self.fitted.model, self.fitted.heads)
        about = {"spec": as_dict(self.grown.spec), "heads": ["click"], **shapes}
        return Part("dnn", about, {**self.grown.arrays, **weights, "embedding": self.table})

    def start(self, made: Grown) -> Start:
        """Where a pass over new ids begins."""
        from feedmill.train.start import Start

        return Start.of(self.part, made.table(self.table))


def _plain(spec: Any, arrays: Any) -> Grown:
    from feedmill.features.grown import Grown

    return Grown(spec, arrays, np.arange(spec.n_rows, dtype=np.int32))
