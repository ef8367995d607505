"""The offline pass: one read of the log, one fold, every channel and model of the config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from feedmill.core.batches import Part, ProbeBatch, SampleBatch
from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch
from feedmill.core.progress import progress
from feedmill.core.protocols import EventLog
from feedmill.core.version import __version__
from feedmill.core.workspace import Component, Workspace
from feedmill.features import FeaturesConfig, FeatureSpec, assemble
from feedmill.features import fit as fit_features
from feedmill.log.traces import read_traces
from feedmill.log.whole import read_all
from feedmill.samples import InterestConfig, SamplesConfig, Split, interactions, sample, split
from feedmill.samples.hard import HardNegatives
from feedmill.samples.positives import positives
from feedmill.samples.splits import EvaluateConfig
from feedmill.state import Probed, State, StateConfig
from feedmill.train.config import Fitting, TowerPlan, TrainConfig
from feedmill.train.examples import Before, Examples, Others
from feedmill.train.plans import Plans
from feedmill.train.ranker import fit_ranker
from feedmill.train.text import fit_text
from feedmill.train.tower import Ground, fit_tower


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """What an offline pass made.

    Attributes:
        parts: channels by name, and "rank".
        about: what the artifact says of itself: ids digests, spec hash, split, data range, seed, how negatives came.
        split: what was held out.
        events: the whole log as it was read.
    """

    parts: Mapping[str, Part]
    about: dict[str, Any]
    split: Split
    events: EventBatch


def fit(workspace: Workspace, log: EventLog) -> Fitted:
    """Train everything the workspace's config names on the training side of its split.

    Raises:
        DataError: the log has nothing to learn from.
        ConfigError: an unknown component or parameter.
    """
    train = workspace.section("train", TrainConfig, drop=[k for k, v in workspace.raw.get("train", {}).items()
                                                          if isinstance(v, Mapping)])  # fmt: skip
    torch.set_num_threads(train.n_threads or torch.get_num_threads())
    plans = Plans.of(workspace)
    events = read_all(log)
    held = split(events, workspace.section("evaluate", EvaluateConfig))
    training = events.take(held.train.nonzero()[0])
    state = State(workspace.section("state", StateConfig))
    state.register(events)  # rows in the order of the whole log, as the serving state has them
    config = workspace.section("samples", SamplesConfig, drop=["interest"])
    with progress("drawing samples"):
        samples, negatives = sample_all(training, state, config, train.seed)
    with progress("folding state"):
        probed = state.fold(training, samples.probe)
    assert probed is not None
    learned = Learned(workspace, state, events, training, samples, probed, train.seed)
    parts = {c.name: learned.channel(c, plans) for c in plans.channels}
    about: dict[str, Any] = {}
    if plans.ranker is not None:
        parts["rank"] = learned.ranker(plans.ranker, plans.fitting)
        about["spec_hash"] = parts["rank"].config["spec_hash"]
    about |= _about(events, held, state, negatives, samples, train.seed)
    return Fitted(parts, about, held, events)


def sample_all(training: EventBatch, state: State, config: SamplesConfig, seed: int) -> tuple[SampleBatch, str]:
    """``samples.sample``, refusing a log with nothing to learn from."""
    samples, negatives = sample(training, state, config, seed)
    if not samples.heads or not len(samples):
        raise DataError(
            f"{len(training):,} events, too few of any kind of feedback",
            f"at least {config.min_positives} clicks, watches or likes",
            "ingest more events, or lower samples.min_positives",
        )
    return samples, negatives


class Learned:
    """The training log in the shapes that components learn from."""

    def __init__(
        self,
        workspace: Workspace,
        state: State,
        events: EventBatch,
        training: EventBatch,
        samples: SampleBatch,
        probed: Probed,
        seed: int,
    ) -> None:
        self.state, self.samples, self.probed, self.seed = state, samples, probed, seed
        self.events, self.training = events, training
        self.features = workspace.section("features", FeaturesConfig)
        interest = workspace.section("samples.interest", InterestConfig)
        self.interactions = interactions(training, state, interest)
        self.traces = workspace.traces

    def channel(self, chosen: Component[Any], plans: Plans) -> Part:
        """A counting channel counts; a channel of vectors or texts trains its model."""
        if chosen.name in plans.texts:
            return fit_text(plans.texts[chosen.name], self.training, self.state, self.seed)
        if chosen.name in plans.towers:
            plan = plans.towers[chosen.name]
            return fit_tower(plan, self.ground(plan), self.seed)
        with progress(f"building {chosen.name}"):
            part: Part = chosen.cls.build(self.interactions, self.state, chosen.config, self.seed)
        return part

    def ground(self, plan: TowerPlan) -> Ground:
        """What a retrieval model learns from: its own positives, each with the user as of that moment."""
        with progress(f"examples for {plan.name}"):
            chosen = positives(self.training, self.state, plan.positives)
            then = State(self.state.config)
            then.register(self.events)
            probed = then.fold(self.training, chosen.probe)
            assert probed is not None
            spec, arrays = fit_features.fit(plan.features, self.state, probed)
            features = assemble(spec, arrays, self.state, probed)
            catalogue = assemble(spec, arrays, self.state, self._catalogue())
        examples: Examples = Before(chosen, features)
        if plan.positives.context == "others":
            examples = self._others(spec, arrays)
        return Ground(spec, arrays, examples, chosen.probe.item, catalogue, self.interactions, self._hard(plan))

    def _hard(self, plan: TowerPlan) -> HardNegatives:
        """What later stages dropped, from before each user's last training event: later traces know the future."""
        user = self.state.users.rows(self.training.table.column("user_id"))
        newest = np.full(len(self.state.users), -1, np.int64)
        np.maximum.at(newest, user, self.training.numpy("time_ms"))
        return HardNegatives.of(
            read_traces(self.traces) if plan.objective.negatives.hard_share > 0 else (),
            self.state.users,
            self.state.items,
            max_per_user=plan.objective.negatives.max_hard,
            until_ms=dict(zip(self.state.users.ids(), newest.tolist(), strict=True)),
            seed=self.seed,
        )

    def _others(self, spec: FeatureSpec, arrays: dict[str, NDArray[Any]]) -> Others:
        """Users of at least two items, as of the end of the log."""
        users = np.flatnonzero(np.bincount(self.interactions.user, minlength=1) > 1).astype(np.int32)
        nobody = np.zeros(0, np.int32)
        at = ProbeBatch(
            users, np.full(len(users), self.state.newest_ms), np.zeros(len(users), np.int64), nobody, nobody
        )
        probed = self.state.fold(EventBatch.empty(), at)
        assert probed is not None
        features = assemble(spec, arrays, self.state, probed)
        return Others(self.interactions, users, spec, arrays, features, self.seed)

    def ranker(self, chosen: Component[Any], fitting: Fitting) -> Part:
        spec, arrays = fit_features.fit(self.features, self.state, self.probed)
        batch = assemble(spec, arrays, self.state, self.probed)
        return fit_ranker(chosen, fitting, spec, arrays, batch, self.samples, self.seed)

    def _catalogue(self) -> Probed:
        """Every item row as a candidate of nobody."""
        nobody = self.state.view("", self.state.newest_ms)
        return self.state.probe(nobody, np.arange(len(self.state.items), dtype=np.int32))


def _about(
    events: EventBatch, held: Split, state: State, negatives: str, samples: SampleBatch, seed: int
) -> dict[str, Any]:
    time_ms = events.numpy("time_ms")
    return {
        "feedmill": __version__,
        "seed": seed,
        "offset": len(events),
        "n_users": len(state.users),
        "n_items": len(state.items),
        "users_digest": state.users.digest(len(state.users)),
        "items_digest": state.items.digest(len(state.items)),
        "state_hash": state.settings_hash,
        "from_ms": int(time_ms.min()),
        "to_ms": int(time_ms.max()),
        "heads": list(samples.heads),
        "n_samples": len(samples),
        "negatives": negatives,
        "split": held.name,
        "split_hash": held.hash,
    }
