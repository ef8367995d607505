"""A small log of impressions, a ranker and a retrieval model on its older part, and what came later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from feedmill.core.batches import Part, SampleBatch
from feedmill.core.workspace import Workspace
from feedmill.features import FeaturesConfig, assemble
from feedmill.features import fit as fit_features
from feedmill.features.spec import as_dict
from feedmill.publish import Artifact
from feedmill.samples import SamplesConfig, sample
from feedmill.state import Probed, State
from feedmill.train.plans import Plans
from feedmill.train.rank.ranker import fitted
from feedmill.train.start import kept
from shown_worlds import impressions

RANK: dict[str, Any] = {"kind": "dnn", "embedding_dim": 4, "hidden_dims": [8], "epochs": 1, "batch_size": 64}
RAW: dict[str, Any] = {"retrieval": {"channels": {}}, "rank": RANK, "features": {"histories": {"clicked": [3]}}}


class UpdateWorld:
    """Older samples that a ranker has learned, and newer ones with the state as of each.

    Attributes:
        artifact: of version "0" * 12 with the part "rank", without graphs.
        samples, probed: the newer ones.
        offset: events before them.
    """

    def __init__(self, raw: dict[str, Any] | None = None, n: int = 800) -> None:
        self.workspace = Workspace(Path(), raw or RAW)
        plans = Plans.of(self.workspace)
        assert plans.rank is not None
        self.plan = plans.rank
        self.events, _ = impressions(n=n, n_users=12, n_items=10, rate=0.3)
        self.offset = len(self.events) * 2 // 3
        self.state = State()
        older, probed = self._told(0, self.offset)
        spec, arrays = fit_features.fit(self.workspace.section("features", FeaturesConfig), self.state, probed)
        batch = assemble(spec, arrays, self.state, probed)
        self.fitted = fitted(self.plan.chosen, self.plan.fitting, spec, batch, older, 0)
        weights, shapes = kept(self.fitted.model, self.fitted.heads)
        about = {"spec": as_dict(spec), "spec_hash": spec.hash, "heads": list(self.fitted.samples.heads), **shapes}
        table = self.fitted.embedding.table.weight.detach().numpy()
        line = np.tile(np.float32([1, 0]), (len(about["heads"]), 1))
        part = Part("dnn", about, {**arrays, **weights, "embedding": table, "online": line})
        self.spec, self.part = spec, part
        self.artifact = Artifact("0" * 12, 0, {"offset": self.offset}, {"rank": part})
        self.samples, self.probed = self._told(self.offset, len(self.events))

    def _told(self, low: int, high: int) -> tuple[SampleBatch, Probed]:
        events = self.events[low:high]
        self.state.register(events)
        samples, _ = sample(events, self.state, SamplesConfig(min_positives=1), 0)
        probed = self.state.fold(events, samples.probe)
        assert probed is not None
        return samples, probed
