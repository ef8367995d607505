"""What of each part moves between two full passes: user-id rows of rankers and towers, the regression on trees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Part, SampleBatch
from feedmill.features import FeatureSpec, assemble
from feedmill.features.assemble import ids, numerics
from feedmill.features.served.calibrated import KEY, Correction
from feedmill.features.served.trees_graph import TREES_KIND
from feedmill.features.spec import from_dict
from feedmill.models.embeddings import FusedEmbedding
from feedmill.publish.delta import Change
from feedmill.state import Probed, State
from feedmill.train.config import TowerPlan
from feedmill.train.plans import Plans, RankPlan
from feedmill.train.rank.heads import presupposed
from feedmill.train.rank.personal import personalised
from feedmill.train.rank.ranker import sizes
from feedmill.train.rank.ranking import RANK
from feedmill.train.retrieval.tower import UserTower
from feedmill.train.start import Start
from feedmill.train.trees.part import update_trees
from feedmill.train.update.config import IncrementalConfig
from feedmill.train.update.online_line import OnlineLine
from feedmill.train.update.ranker_rows import RankerRows, aligned
from feedmill.train.update.tower_rows import TowerRows
from feedmill.train.update.user_rows import EMBEDDING, SQUARES, UserRows

LR = "lr."  # arrays of a regression


class Learner(Protocol):
    """What of one part moves.

    Attributes:
        heads: whose labels it learns from.
    """

    heads: tuple[str, ...]

    def learn(self, samples: SampleBatch, probed: Probed, state: State) -> Floats | None:
        """One pass in order; float32[C, H] what a ranker said of each row before it learned from it."""
        ...

    def changes(self) -> dict[str, Change]:
        """All that has moved."""
        ...

    def back_to(self, changes: Mapping[str, Change]) -> None:
        """Be as an earlier learner was that left these; what has moved since counts as moved."""
        ...


def learners(plans: Plans, parts: Mapping[str, Part], config: IncrementalConfig, seed: int) -> dict[str, Learner]:
    """A learner for every part of which something may move."""
    out: dict[str, Learner] = {}
    if plans.rank is not None and RANK in parts:
        part = parts[RANK]
        if part.kind == TREES_KIND:
            out[RANK] = OfTrees(part)
        elif UserRows.has(from_dict(part.config["spec"])):
            out[RANK] = OfRanker(plans.rank, part, config)
    for channel in plans.channels:
        plan, found = plans.models.get(channel.name), parts.get(channel.name)
        if not isinstance(plan, TowerPlan) or found is None or not UserRows.has(from_dict(found.config["spec"])):
            continue
        metric = getattr(channel.config, "metric", "")
        if (
            metric != "l2" and plan.loss.loss != "hierarchical_softmax"
        ):  # whose scores are no inner products over a scale
            out[channel.name] = OfTower(plan, found, config, is_cosine=metric == "cosine", seed=seed)
    return out


class OfRanker:
    """User-id rows of a ranker's part."""

    def __init__(self, plan: RankPlan, part: Part, config: IncrementalConfig) -> None:
        self._part, self._spec, self.heads = part, from_dict(part.config["spec"]), tuple(part.config["heads"])
        self._rows = opened(plan, part, self._spec, config)
        self._line = OnlineLine(self.heads, part.config.get("head_kinds", []), config)

    def learn(self, samples: SampleBatch, probed: Probed, state: State) -> Floats | None:
        """One pass; what was served before."""
        own = aligned(samples, self.heads)
        batch = assemble(self._spec, self._part.arrays, state, probed)
        duration = state.catalogue.duration_s[samples.probe.item].astype(np.float32)
        said = self._rows.learn(batch, own, np.where(duration > 0, duration, np.float32(np.nan)).astype(np.float32))
        if self._part.config.get(KEY):
            said = Correction.of(self._part, state)(said, probed.users, probed.item, probed.request_of)
        return self._line.follow(said, own)

    def changes(self) -> dict[str, Change]:
        return self._rows.changes() | self._line.changes()

    def back_to(self, changes: Mapping[str, Change]) -> None:
        _back(self._rows.rows, changes)
        self._line.back_to(changes)


def opened(plan: RankPlan, part: Part, spec: FeatureSpec, config: IncrementalConfig) -> RankerRows:
    """The torch model of a ranker's part, with its rows."""
    start, own = Start.of(part), plan.chosen.config
    heads, shapes = start.opened_heads(own), sizes(spec, own.embedding_dim)
    model: Any = plan.chosen.cls
    model = model(own, shapes[0], shapes[1], list(start.n_logits))
    model.presuppose(presupposed(start.heads, heads, own.given))
    personalised(model, own, spec, shapes)
    embedding = FusedEmbedding(len(start.table), own.embedding_dim)
    start.fill(embedding.table, model)
    return RankerRows(model, heads, spec, start.table, config)


class OfTower:
    """User-id rows of a vector channel's part."""

    def __init__(self, plan: TowerPlan, part: Part, config: IncrementalConfig, *, is_cosine: bool, seed: int) -> None:
        self._part, self._spec = part, from_dict(part.config["spec"])
        self.heads: tuple[str, ...] = (plan.positives.head,)
        start, model = Start.of(part), plan.cls(plan.config, *sizes(self._spec, plan.config.embedding_dim))
        embedding = FusedEmbedding(len(start.table), plan.config.embedding_dim)
        start.fill(embedding.table, model)
        self._rows = TowerRows(
            UserTower(model, bias=plan.objective.item_bias), self._spec, start.table,
            np.asarray(part.arrays["item_vectors"]), config,
            temperature=plan.objective.temperature, is_cosine=is_cosine, seed=seed,
        )  # fmt: skip

    def learn(self, samples: SampleBatch, probed: Probed, state: State) -> Floats | None:
        """One pass over the rows whose user chose the item."""
        for at in [samples.heads.index(head) for head in self.heads if head in samples.heads]:
            rows = np.flatnonzero(samples.mask[:, at] & (samples.labels[:, at] > 0))
            of = samples.probe.request_of[rows]
            user = ids(self._spec, self._part.arrays, state, probed, "user")
            numeric = numerics(self._spec, self._part.arrays, state, probed, "user")
            self._rows.learn(user[of], numeric[of], samples.probe.item[rows])
        return None

    def changes(self) -> dict[str, Change]:
        return self._rows.changes()

    def back_to(self, changes: Mapping[str, Change]) -> None:
        _back(self._rows.rows, changes)


class OfTrees:
    """The regression on the leaves of a tree ranker's part; the trees wait for the night."""

    def __init__(self, part: Part) -> None:
        self._base = self._part = part
        self.heads = tuple(part.config["heads"])
        self._moved = {k: np.zeros(v.shape, np.bool_) for k, v in part.arrays.items() if _moves(k)}

    def learn(self, samples: SampleBatch, probed: Probed, state: State) -> Floats | None:
        """One pass; what it said before."""
        batch = assemble(from_dict(self._part.config["spec"]), self._part.arrays, state, probed)
        self._part, said = update_trees(self._part, batch, aligned(samples, self.heads))
        for name, moved in self._moved.items():
            moved |= np.asarray(self._part.arrays[name]) != np.asarray(self._base.arrays[name])
        return said

    def changes(self) -> dict[str, Change]:
        rows = {name: np.flatnonzero(moved).astype(np.int32) for name, moved in self._moved.items()}
        return {name: Change(at, np.asarray(self._part.arrays[name])[at]) for name, at in rows.items()}

    def back_to(self, changes: Mapping[str, Change]) -> None:
        arrays: dict[str, NDArray[Any]] = dict(self._base.arrays)
        for name, (rows, values) in changes.items():
            arrays[name] = np.array(arrays[name])
            arrays[name][rows] = values
            self._moved[name][rows] = True
        self._part = Part(self._base.kind, self._base.config, arrays, self._base.blobs)


def _moves(name: str) -> bool:
    return name.startswith(LR) and name not in ("lr.tree_start", "lr.start")


def _back(rows: UserRows, changes: Mapping[str, Change]) -> None:
    rows.back_to(changes.get(EMBEDDING), changes.get(SQUARES))
