"""The training log in the shapes that components learn from, and what each of them makes of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Part, ProbeBatch, SampleBatch
from feedmill.core.events import EventBatch
from feedmill.core.progress import progress
from feedmill.core.workspace import Component, Workspace
from feedmill.features import FeaturesConfig, FeatureSpec, assemble
from feedmill.features import fit as fit_features
from feedmill.log.traces import read_traces
from feedmill.retrieval.vector import VectorConfig, with_index
from feedmill.samples import InterestConfig, SamplesConfig, interactions, sample
from feedmill.samples.down_sampling import taken
from feedmill.samples.guard import quarantined, verdict_of
from feedmill.samples.hard import HardNegatives
from feedmill.samples.positives import Positives, PositivesConfig, positives
from feedmill.samples.scores import scores
from feedmill.state import Probed, Replay
from feedmill.train.config import TowerPlan
from feedmill.train.plans import CompletionPlan, Plan, Plans
from feedmill.train.retrieval.completion import fit_completion
from feedmill.train.retrieval.examples import Before, Examples, Others
from feedmill.train.retrieval.text import fit_text
from feedmill.train.retrieval.tower import Ground, fit_tower
from feedmill.train.start import Start


class Learned:
    """A state that has folded the training log, and everything that is trained on it.

    Args:
        replay: the whole log: rows of users and items are those of a state that has seen all of it.
        training: the part of it to learn from. What was shown or chosen in a stretch that the guard has put in
            quarantine is folded, and is no sample and no positive.

    Raises:
        ArtifactError: it is not known what is in quarantine.
    """

    def __init__(self, workspace: Workspace, replay: Replay, training: EventBatch, seed: int) -> None:
        self.workspace, self.replay, self.training, self.seed = workspace, replay, training, seed
        self.verdict = verdict_of(workspace)
        self.stretches = self.verdict.stretches if self.verdict is not None else []
        self.state = replay.state()
        with progress("folding state"):
            self.state.fold(training)
        interest = workspace.section("samples.interest", InterestConfig)
        self.interactions = interactions(training, self.state, interest)

    def channels(self, plans: Plans) -> dict[str, Part]:
        """A part for every channel of the config."""
        return {c.name: self._channel(c, plans.models.get(c.name)) for c in plans.channels}

    def _channel(self, chosen: Component[Any], plan: Plan | None) -> Part:
        """A counting channel counts; one of vectors or texts trains its model, and gets its index."""
        if plan is None:
            with progress(f"building {chosen.name}"):
                part: Part = chosen.cls.build(self.interactions, self.state, chosen.config, self.seed)
            return part
        if isinstance(plan, TowerPlan):
            ground = self.ground(plan)
            part = fit_tower(plan, ground, self.seed, self.start(plan.name, ground.spec))
        elif isinstance(plan, CompletionPlan):
            observed = scores(self.training, self.state, plan.scores)
            part = fit_completion(plan.config, observed, observed.n_users, observed.n_items, self.seed)
        else:
            part = fit_text(plan, self.training, self.state, self.seed)
        return with_index(part, chosen.config, self.seed) if isinstance(chosen.config, VectorConfig) else part

    def ground(self, plan: TowerPlan) -> Ground:
        """What a retrieval model learns from: its own positives, each with the user as of that moment."""
        with progress(f"examples for {plan.name}"):
            chosen = self.positives(plan.positives)
            probed = self.then(chosen.probe)
            spec, arrays = self.features(plan.name, plan.features, probed)
            nobody = self.state.view("", self.state.newest_ms)
            everything = self.state.probe(nobody, np.arange(len(self.state.items), dtype=np.int32))
            catalogue = assemble(spec, arrays, self.state, everything)
            if plan.positives.context == "others":
                examples: Examples = self._others(spec, arrays, plan.positives.known_share)
            else:
                examples = Before(chosen, assemble(spec, arrays, self.state, probed))
        return Ground(spec, arrays, examples, chosen.probe.item, catalogue, self.interactions, self._hard(plan))

    def positives(self, config: PositivesConfig) -> Positives:
        """What a retrieval model is to find."""
        found = positives(self.training, self.state, config)
        return found.taken(~quarantined(self.stretches, found.probe.time_ms)) if self.stretches else found

    def samples(self, config: SamplesConfig) -> tuple[SampleBatch, str]:
        """What a ranker learns from, and a sentence about its negatives."""
        found, said = sample(self.training, self.state, config, self.seed)
        return self._healthy(found), said

    def _healthy(self, samples: SampleBatch) -> SampleBatch:
        """The rows that are not in quarantine."""
        if not self.stretches:
            return samples
        return taken(samples, ~quarantined(self.stretches, samples.probe.time_ms)[samples.probe.request_of])

    def features(
        self, part: str, config: FeaturesConfig, probed: Probed
    ) -> tuple[FeatureSpec, dict[str, NDArray[Any]]]:
        """The spec of one part's model, and what ``assemble`` needs."""
        return fit_features.fit(config, self.state, probed)

    def start(self, part: str, spec: FeatureSpec) -> Start | None:
        """Where one part's model begins; None = at random."""
        return None

    def then(self, probe: ProbeBatch) -> Probed:
        """Users and candidates as of moments of the training log: it is folded again, for a state cannot go back."""
        probed = self.replay.state().fold(self.training, probe)
        assert probed is not None
        return probed

    def _hard(self, plan: TowerPlan) -> HardNegatives:
        """What later stages dropped, from before each user's last training event: later traces know the future."""
        user = self.state.users.rows(self.training.table.column("user_id"))
        newest = np.full(len(self.state.users), -1, np.int64)
        np.maximum.at(newest, user, self.training.numpy("time_ms"))
        return HardNegatives.of(
            read_traces(self.workspace.traces) if plan.objective.negatives.hard_share > 0 else (),
            self.state.users,
            self.state.items,
            max_per_user=plan.objective.negatives.max_hard,
            until_ms=dict(zip(self.state.users.ids(), newest.tolist(), strict=True)),
            seed=self.seed,
        )

    def _others(self, spec: FeatureSpec, arrays: dict[str, NDArray[Any]], known: float) -> Others:
        """Users of at least two items, as of the end of the log."""
        users = np.flatnonzero(np.bincount(self.interactions.user, minlength=1) > 1).astype(np.int32)
        nobody = np.zeros(0, np.int32)
        at = ProbeBatch(
            users, np.full(len(users), self.state.newest_ms), np.zeros(len(users), np.int64), nobody, nobody
        )
        probed = self.state.fold(EventBatch.empty(), at)
        assert probed is not None
        features = assemble(spec, arrays, self.state, probed)
        return Others(self.interactions, users, spec, arrays, features, self.seed, known)
