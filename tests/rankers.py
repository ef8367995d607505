"""A small ranker, trained for real on a small log, and what it was trained on."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from feedmill.core.batches import Part, SampleBatch
from feedmill.core.workspace import component
from feedmill.features import FeatureBatch, FeaturesConfig, FeatureSpec, assemble
from feedmill.features import fit as fit_features
from feedmill.models import RANKERS
from feedmill.samples import SamplesConfig, sample
from feedmill.state import Probed, State
from feedmill.train.config import Fitting
from feedmill.train.loop import threads
from feedmill.train.rank.ranker import fit_ranker
from worlds import tastes

SMALL = {"kind": "mmoe", "embedding_dim": 8, "hidden_dims": [16, 8], "n_experts": 2, "tower_dim": 4}


class Trained(NamedTuple):
    """``state`` has folded the whole log; the others are of the ranker's samples."""

    state: State
    samples: SampleBatch
    probed: Probed
    spec: FeatureSpec
    arrays: dict[str, Any]
    batch: FeatureBatch
    part: Part


def trained(block: dict[str, Any] | None = None, features: FeaturesConfig | None = None, epochs: int = 2) -> Trained:
    """A ranker of ``[rank]`` on ``worlds.tastes``, not yet factored."""
    events, state = tastes(), State()
    state.register(events)
    samples, _ = sample(events, state, SamplesConfig(n_negatives=4), seed=0)
    probed = state.fold(events, samples.probe)
    assert probed is not None
    spec, arrays = fit_features.fit(features or FeaturesConfig(histories={"clicked": [3, 10]}), state, probed)
    batch = assemble(spec, arrays, state, probed)
    torch.manual_seed(0)
    chosen = component(block or SMALL, RANKERS, "rank")
    with threads(1):
        part = fit_ranker(chosen, Fitting(epochs=epochs, batch_size=64), spec, arrays, batch, samples, 0)
    return Trained(state, samples, probed, spec, arrays, batch, part)
