"""A small log as trees learn it."""

from __future__ import annotations

from feedmill.core.batches import Part, SampleBatch
from feedmill.features import FeaturesConfig, assemble
from feedmill.features import fit as fit_features
from feedmill.samples import SamplesConfig, sample
from feedmill.state import Probed, State
from feedmill.train.trees.boosted import TreesConfig
from feedmill.train.trees.gbdt_lr import GbdtLrConfig
from feedmill.train.trees.part import fit_trees
from worlds import tastes

CONFIG = GbdtLrConfig(trees=TreesConfig(n_trees=8, n_leaves=8, n_threads=1))


class World:
    """Samples of a small log, their features, and a state after it."""

    def __init__(self) -> None:
        events = tastes()
        self.state = State()
        self.state.register(events)
        self.samples, _ = sample(events, self.state, SamplesConfig(n_negatives=3), seed=0)
        probed = self.state.fold(events, self.samples.probe)
        assert probed is not None
        self.probed: Probed = probed
        self.spec, self.arrays = fit_features.fit(FeaturesConfig(), self.state, probed)
        self.batch = assemble(self.spec, self.arrays, self.state, probed)

    def fit(self, samples: SampleBatch | None = None, config: GbdtLrConfig = CONFIG) -> Part:
        return fit_trees(config, self.spec, self.arrays, self.batch, samples or self.samples, 0)
