"""The full pass of a night: every model goes on over the samples that came since, and a whole version comes out.

It starts from the last full version, never from rows that moved in between: those are a shortcut that the pass makes
good with the dense layers free. Counting channels count anew all that the log has, which is cheap and exact; so do
trees, matrix completion and text models. The weights of the merge stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from feedmill.core.batches import Part, SampleBatch
from feedmill.core.errors import ArtifactError, DataError
from feedmill.core.workspace import Workspace
from feedmill.features import FeaturesConfig, FeatureSpec
from feedmill.features import fit as fit_features
from feedmill.features.grown import Grown, Growth, grown
from feedmill.features.served.trees_graph import TREES_KIND
from feedmill.features.spec import from_dict
from feedmill.retrieval.merge import MERGE_PART
from feedmill.samples import SamplesConfig, split
from feedmill.samples.down_sampling import taken
from feedmill.samples.positives import Positives, PositivesConfig
from feedmill.samples.splits import EvaluateConfig
from feedmill.state import Probed, Replay
from feedmill.train.config import Fitting, TowerPlan, TrainConfig
from feedmill.train.fit import about_of
from feedmill.train.learned import Learned
from feedmill.train.plans import Plan, Plans
from feedmill.train.rank.ranking import RANK, fit_ranking
from feedmill.train.start import AGAIN, Start
from feedmill.train.update.config import NightlyConfig, UpdateConfig
from feedmill.train.update.held_out import measured
from feedmill.train.update.ranker_rows import aligned
from feedmill.train.update.source import rows_of_night

UPTO = "upto_offset"  # of ``about``: what was shown or chosen before it has been learned, and nothing after it


@dataclass(frozen=True, slots=True, eq=False)
class Night:
    """What a full pass made: ``parts`` and ``about`` of a version.

    Attributes:
        new, base: metrics of the ranker and of the one before it, on the same rows, which neither learned from.
    """

    parts: Mapping[str, Part]
    about: dict[str, Any]
    new: dict[str, Any]
    base: dict[str, Any]
    replay: Replay


def nightly(
    workspace: Workspace,
    base: Mapping[str, Part],
    offset: int,
    replay: Replay,
) -> Night:
    """One pass over what came after ``offset``, from the parts of the last full version.

    Its rows are ``source.rows_of_night``; trees are grown anew, from all that there are. ``about`` says up to which
    offset all that was shown or chosen has been learned: there the next night begins.

    Args:
        base: its parts.
        offset: of the log, up to which it has learned.
        replay: the whole log.

    Raises:
        DataError: nothing came since.
        ArtifactError: the base lacks a model, keeps no weights, or was trained with another config.
        ConfigError: an unknown component or parameter.
    """
    tables = [k for k, v in workspace.raw.get("train", {}).items() if isinstance(v, Mapping)]
    seed = workspace.section("train", TrainConfig, drop=tables).seed
    config = workspace.section("update", UpdateConfig).nightly
    plans = one_pass(Plans.of(workspace), config)
    _check(plans, base)
    learned = Continued(workspace, replay, base, offset, config, seed)
    held = split(replay.events, EvaluateConfig(split="none"))
    about = about_of(replay, held, learned.state, seed)
    about |= {"from_offset": max(offset, replay.start), UPTO: learned.upto, "left_out": learned.n_left_out}
    parts = learned.channels(plans)
    new: dict[str, Any] = {}
    old: dict[str, Any] = {}
    if plans.rank is not None:
        ranking, more = fit_ranking(plans.rank, learned)
        parts, about = parts | ranking, about | more
        new = learned.measured(parts[RANK])
        old = learned.measured(base[RANK])
    if MERGE_PART in base:
        parts[MERGE_PART] = base[MERGE_PART]
    return Night(parts, about, new, old, replay)


class Continued(Learned):
    """The log of which a part is new: models start from their parts of the base, and learn from the new part.

    Args:
        base: parts by name.
        offset: where the new part begins.

    Attributes:
        upto: where it ends.
        n_left_out: the ranker's rows that are in quarantine.
    """

    def __init__(
        self,
        workspace: Workspace,
        replay: Replay,
        base: Mapping[str, Part],
        offset: int,
        config: NightlyConfig,
        seed: int,
    ) -> None:
        super().__init__(workspace, replay, replay.events, seed)
        self._base, self._offset, self._config = base, offset, config
        self._grown: dict[str, Grown] = {}
        rank = base.get(RANK)
        heads = rank.config["heads"] if rank is not None else ()
        begin = 0 if rank is not None and rank.kind == TREES_KIND else offset
        found, self.upto = rows_of_night(workspace, replay, self.state, self.verdict, begin, heads, seed)
        everything = self._healthy(found)
        self.n_left_out = len(found) - len(everything)
        n, n_new = len(everything.probe), int((everything.probe.at + replay.start >= offset).sum())
        n_held = max(round(n_new * config.hold_share), 1)
        if n_new <= n_held:
            raise DataError(f"{n_new} requests since offset {offset:,}", "enough to learn from", "wait for more events")
        place = everything.probe.request_of
        self._samples, self._held = taken(everything, place < n - n_held), taken(everything, place >= n - n_held)

    def channels(self, plans: Plans) -> dict[str, Part]:
        """A part for every channel; a model of which nothing is new stays as it is."""
        out = {}
        for c in plans.channels:
            try:
                out[c.name] = self._channel(c, plans.models.get(c.name))
            except NothingNew:
                out[c.name] = self._base[c.name]
        return out

    def positives(self, config: PositivesConfig) -> Positives:
        """What was chosen in the new part, by users as they were then."""
        chosen = super().positives(config)
        at = chosen.probe.at + self.replay.start
        new = (at >= self._offset) & (at < self.upto)
        if not new.any():
            raise NothingNew("no positives", f"some since offset {self._offset:,}")
        return chosen.taken(new)

    def samples(self, config: SamplesConfig) -> tuple[SampleBatch, str]:
        """The new ones but those held out, with the heads that the base has."""
        said, base = f"{len(self._samples):,} rows since offset {self._offset:,}", self._base[RANK]
        return self._samples if base.kind == TREES_KIND else aligned(self._samples, base.config["heads"]), said

    def features(
        self, part: str, config: FeaturesConfig, probed: Probed
    ) -> tuple[FeatureSpec, dict[str, NDArray[Any]]]:
        """The base's fields and numbers, with rows for the ids that are new; trees begin anew."""
        base = self._base[part]
        if base.kind == TREES_KIND:
            return fit_features.fit(config, self.state, probed)
        room = round(len(self.state.users) * self._config.room_share)
        growth = Growth(config.min_count, config.top_items, room)
        self._grown[part] = made = grown(from_dict(base.config["spec"]), base.arrays, self.state, probed, growth)
        return made.spec, made.arrays

    def start(self, part: str, spec: FeatureSpec) -> Start | None:
        """Where the base stopped."""
        base = self._base[part]
        return Start.of(base, self._grown[part].table(np.asarray(base.arrays["embedding"])))

    def measured(self, part: Part) -> dict[str, Any]:
        """What a ranker is worth on the held-out rows."""
        return measured(part, self.state, self._held, self.then(self._held.probe))


class NothingNew(DataError):
    """A model has nothing to learn from in the new part of the log."""


def learned_upto(about: Mapping[str, Any]) -> int:
    """Where the next night begins: the offset of the log before which a version has learned what was shown or chosen.

    Args:
        about: of the version; ``feedmill train`` learns all that the log has.
    """
    return int(about.get(UPTO, about["offset"]))


def one_pass(plans: Plans, config: NightlyConfig) -> Plans:
    """The same with one epoch for every model that goes on."""

    def once(fitting: Fitting) -> Fitting:
        rate = fitting.learning_rate * config.learning_rate
        return structs.replace(fitting, epochs=1, learning_rate=rate, anneal=False)

    models: dict[str, Plan] = {
        name: replace(plan, fitting=once(plan.fitting)) if isinstance(plan, TowerPlan) else plan
        for name, plan in plans.models.items()
    }
    rank = None if plans.rank is None else replace(plans.rank, fitting=once(plans.rank.fitting))
    return replace(plans, models=models, rank=rank)


def _check(plans: Plans, base: Mapping[str, Part]) -> None:
    """Whether every model that goes on has something to go on from."""
    wanted = {name: "vector" for name, plan in plans.models.items() if isinstance(plan, TowerPlan)}
    if plans.rank is not None:
        wanted[RANK] = plans.rank.chosen.kind
    for name, kind in wanted.items():
        if name not in base or base[name].kind != kind:
            given = f'the last full version has a part "{name}" of kind "{base[name].kind}"' if name in base else (
                f'the last full version has no part "{name}"')  # fmt: skip
            raise ArtifactError(given, f'one of kind "{kind}", as the config says', AGAIN)
