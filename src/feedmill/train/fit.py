"""The offline pass: one read of the log, one fold, every channel and model of the config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from feedmill.core.batches import Part, SampleBatch
from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch
from feedmill.core.progress import progress
from feedmill.core.protocols import EventLog
from feedmill.core.version import __version__
from feedmill.core.workspace import Component, Workspace
from feedmill.features import FeaturesConfig, assemble
from feedmill.features import fit as fit_features
from feedmill.log.whole import read_all
from feedmill.samples import InterestConfig, SamplesConfig, Split, interactions, sample, split
from feedmill.samples.splits import EvaluateConfig
from feedmill.state import Probed, State, StateConfig
from feedmill.train.config import Fitting, TrainConfig
from feedmill.train.plans import Plans
from feedmill.train.ranker import fit_ranker
from feedmill.train.tower import fit_tower


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
    learned = Learned(workspace, state, training, samples, probed, train.seed)
    parts = {c.name: learned.channel(c, plans.towers) for c in plans.channels}
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
        training: EventBatch,
        samples: SampleBatch,
        probed: Probed,
        seed: int,
    ) -> None:
        self.state, self.samples, self.probed, self.seed = state, samples, probed, seed
        self.features = workspace.section("features", FeaturesConfig)
        interest = workspace.section("samples.interest", InterestConfig)
        self.interactions = interactions(training, state, interest)

    def channel(self, chosen: Component[Any], towers: Mapping[str, tuple[Component[Any], Fitting]]) -> Part:
        """A counting channel counts; a vector channel trains its model."""
        if chosen.name in towers:
            return self.tower(*towers[chosen.name])
        with progress(f"building {chosen.name}"):
            part: Part = chosen.cls.build(self.interactions, self.state, chosen.config, self.seed)
        return part

    def tower(self, chosen: Component[Any], fitting: Fitting) -> Part:
        spec, arrays = fit_features.fit(self.features, self.state, self.probed, numeric=False)
        batch = assemble(spec, arrays, self.state.catalogue, self.probed)
        everything = assemble(spec, arrays, self.state.catalogue, self._catalogue())
        return fit_tower(chosen, fitting, spec, arrays, batch, everything, self.samples, self.interactions, self.seed)

    def ranker(self, chosen: Component[Any], fitting: Fitting) -> Part:
        spec, arrays = fit_features.fit(self.features, self.state, self.probed)
        batch = assemble(spec, arrays, self.state.catalogue, self.probed)
        return fit_ranker(chosen, fitting, spec, arrays, batch, self.samples, self.seed)

    def _catalogue(self) -> Probed:
        """Every item row as a candidate of nobody."""
        import numpy as np

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
