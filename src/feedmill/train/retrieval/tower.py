"""Fit a retrieval model, whichever it is, and export its user's side; item vectors are computed once, here.

A step scores R requests against M distinct items: those that were chosen, and the negatives that all rows share. Two
towers that never see each other (late fusion) make both halves of that a matrix product, in training as in serving.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from feedmill.core.batches import Floats, Interactions, Part, Rows
from feedmill.core.clock import rng
from feedmill.features import FeatureBatch, FeatureSpec
from feedmill.features.spec import as_dict
from feedmill.models.embeddings import FusedEmbedding
from feedmill.models.losses import HierarchicalSoftmax, HuffmanTree, contrastive, retrieval_loss
from feedmill.samples.frequency import Frequency
from feedmill.samples.hard import HardNegatives
from feedmill.train.config import TowerPlan
from feedmill.train.export import to_onnx
from feedmill.train.loop import Inputs, run
from feedmill.train.rank.ranker import sizes
from feedmill.train.retrieval.columns import Columns, Drawn, Likes
from feedmill.train.retrieval.examples import Examples, Shown
from feedmill.train.retrieval.views import Views
from feedmill.train.start import Start, kept

CHUNK = 65_536  # items whose vectors are computed at a time


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """What a retrieval model learns from, whatever model it is.

    Attributes:
        spec, arrays: its features.
        examples: who chose what.
        chosen: int32[n] the item rows of all examples, how often each is a positive.
        catalogue: features of one request with every item row as a candidate.
        interactions: all known likes.
        hard: items that later stages dropped, by user.
    """

    spec: FeatureSpec
    arrays: dict[str, NDArray[Any]]
    examples: Examples
    chosen: Rows
    catalogue: FeatureBatch
    interactions: Interactions
    hard: HardNegatives


class UserTower(nn.Module):
    """What is served: the user's side alone; with ``bias`` one more coordinate of 1, which meets the items' bias."""

    def __init__(self, model: nn.Module, bias: bool = False) -> None:
        super().__init__()
        self.model, self.bias = model, bias

    def forward(self, user: Tensor, user_numeric: Tensor) -> Tensor:
        vectors: Tensor = self.model.user(user, user_numeric)  # type: ignore[operator]
        return torch.cat([vectors, torch.ones_like(vectors[:, :1])], dim=1) if self.bias else vectors


class ItemBias(nn.Module):
    """float32[M] item rows -> float32[M, 1], in the unit of logits; starts at half the log of how often each was liked.

    Vectors of length 1 can say that everybody likes an item only by standing near everybody.

    Args:
        count: int64[N] likes of each item row.
    """

    def __init__(self, count: NDArray[np.int64]) -> None:
        super().__init__()
        self.table = nn.Embedding(len(count), 1, sparse=True)
        with torch.no_grad():
            self.table.weight[:, 0] = torch.from_numpy(np.log(np.maximum(count, 1)) / 2).float()

    def forward(self, rows: Tensor) -> Tensor:
        out: Tensor = self.table(rows)
        return out


def fit_tower(plan: TowerPlan, ground: Ground, seed: int, start: Start | None = None) -> Part:
    """Examples and features -> a part with item vectors, an embedding table and the user's tower.

    Args:
        start: where to begin instead of at random. What learns of items by their row alone begins anew all the same:
            a bias at what its likes say, a tree at its likes' counts.
    """
    fit = TowerFit(plan, ground, seed)
    if start is not None:
        start.fill(fit.embedding.table, fit.model)
    losses = run(f"training {plan.name}", fit.model, fit.tables, ground.examples.n, fit.loss, plan.fitting, seed)
    user, numeric = fit.embed_users(ground.examples.batch(np.zeros(1, np.int64)))
    none = torch.zeros(1, 0)
    example = Inputs(user, numeric, none, none, torch.zeros(1, dtype=torch.int64))
    weights, shapes = kept(fit.model)
    about = {"model": plan.kind, "spec": as_dict(ground.spec), "spec_hash": ground.spec.hash, "loss": losses}
    return Part(
        kind="vector",
        config={**about, **shapes},
        arrays={
            **ground.arrays,
            **weights,
            **{f"frequency.{k}": v for k, v in (fit.frequency.arrays() if fit.frequency else {}).items()},
            "embedding": fit.embedding.table.weight.detach().numpy(),
            "item_vectors": fit.item_vectors(),
        },
        blobs={"dense.onnx": to_onnx(UserTower(fit.model, bias=fit.has_bias), example)},
    )


class TowerFit:
    """One retrieval model being fitted."""

    def __init__(self, plan: TowerPlan, ground: Ground, seed: int) -> None:
        torch.manual_seed(seed)
        self.plan, self.ground = plan, ground
        self.embedding = FusedEmbedding(ground.spec.n_rows, plan.config.embedding_dim, plan.config.dropout)
        self.model: Any = plan.cls(plan.config, *sizes(ground.spec, plan.config.embedding_dim))
        self.frequency = Frequency(plan.objective.frequency, seed) if plan.objective.frequency else None
        n_items = len(ground.catalogue.item_ids)
        counts = np.bincount(ground.chosen, minlength=n_items)
        self._share = counts / max(counts.sum(), 1)
        self.columns = Columns(
            Likes(ground.interactions),
            plan.objective.negatives,
            counts,
            ground.hard,
            rng(seed, plan.name, "negatives"),
            is_softmax=plan.loss.loss == "sampled_softmax",
            is_corrected=plan.loss.correction == "subtract",
        )
        self._starts = {side: ground.spec.starts(side) for side in ("user", "item")}
        self._item_ids = torch.from_numpy(ground.catalogue.item_ids)
        self._item_numeric = torch.from_numpy(ground.catalogue.item_numeric)
        self._tree = self._make_tree(counts) if plan.loss.loss == "hierarchical_softmax" else None
        self._bias = ItemBias(counts) if plan.objective.item_bias and self._tree is None else None
        own = plan.objective.self_supervised
        self._views = Views(own, ground.catalogue.item_ids, self._starts["item"], seed) if own else None

    @property
    def tables(self) -> list[nn.Module]:
        """What has sparse gradients."""
        return [self.embedding, *(table for table in (self._tree, self._bias) if table is not None)]

    @property
    def has_bias(self) -> bool:
        """A tree's leaf is found by its path's direction and, first of all, by how short the path is."""
        return self._tree is not None or self._bias is not None

    def loss(self, requests: NDArray[np.int64]) -> Tensor:
        """The mean loss of some requests."""
        shown = self.ground.examples.batch(requests)
        if self._tree is not None:
            user, numeric = self.embed_users(shown)
            vectors = self.model.user(user, numeric)[torch.from_numpy(shown.of)] / self.plan.objective.temperature
            value: Tensor = self._tree(vectors, torch.from_numpy(shown.item).long(), torch.from_numpy(shown.reward))
            return value
        if self.frequency is not None:
            self.frequency.update(shown.item)
        drawn = self.columns.draw(shown, self.frequency.p if self.frequency else self._share.__getitem__)
        loss = self._against(shown, drawn)
        return loss if self._views is None else loss + self._views.config.weight * self._self_supervised(len(requests))

    def _against(self, shown: Shown, drawn: Drawn) -> Tensor:
        """Scores of every request against every column, and what the loss makes of them."""
        columns = torch.from_numpy(drawn.item).long()
        user, item = self.embedding(
            (torch.from_numpy(shown.user_ids), self._starts["user"]), (self._item_ids[columns], self._starts["item"])
        )
        users = self.model.user(user, torch.from_numpy(shown.user_numeric))
        items = self.model.item(item, self._item_numeric[columns])
        if self._bias is not None:
            users = torch.cat([users, torch.ones_like(users[:, :1])], dim=1)
            items = torch.cat([items, self._bias(columns) * self.plan.objective.temperature], dim=1)
        of, place = torch.from_numpy(shown.of), torch.from_numpy(drawn.place)
        return retrieval_loss(
            self.plan.loss,
            ((users if len(of) == len(users) else users[of]) * items[place]).sum(1),
            users @ items.t(),
            torch.from_numpy(drawn.keep),
            torch.from_numpy(shown.reward),
            of=None if len(shown.of) == len(users) else of,
            temperature=self.plan.objective.temperature,
            log_q_positive=torch.from_numpy(drawn.log_q_positive),
            log_q_negative=torch.from_numpy(drawn.log_q),
        )

    def _self_supervised(self, n: int) -> Tensor:
        """Two views of items drawn from the whole catalogue should lie near each other (Yao et al. 2021)."""
        assert self._views is not None
        first, second, rows = self._views.draw(n)
        views = self.embedding(*((torch.from_numpy(ids), self._starts["item"]) for ids in (first, second)))
        numeric = self._item_numeric[torch.from_numpy(rows)]
        one, other = (self.model.item(view, numeric) for view in views)
        return contrastive(one, other, self._views.config.temperature)

    def embed_users(self, shown: Shown) -> tuple[Tensor, Tensor]:
        """float32[R, Fu, D] and float32[R, Nu]."""
        (user,) = self.embedding((torch.from_numpy(shown.user_ids), self._starts["user"]))
        return user, torch.from_numpy(shown.user_numeric)

    @torch.no_grad()
    def item_vectors(self) -> Floats:
        """float32[N, W]; the zero vector for row 0, and for items that the model knows nothing of."""
        if self._tree is not None:
            nodes, bias = self._tree.item_vectors()
            vectors = torch.cat([nodes / self.plan.objective.temperature, bias[:, None]], dim=1)
        else:
            chunks = [slice(at, at + CHUNK) for at in range(0, len(self._item_ids), CHUNK)]
            vectors = torch.cat([self._vectors_of(self._item_ids[c], self._item_numeric[c]) for c in chunks])
        if self._bias is not None:
            bias = self._bias.table.weight * self.plan.objective.temperature
            vectors = torch.cat([vectors, bias], dim=1)
        out: Floats = vectors.numpy()
        out[0] = 0
        out[(self.ground.catalogue.item_ids == 0).all(1)] = 0
        return out

    def _vectors_of(self, ids: Tensor, numeric: Tensor) -> Tensor:
        (item,) = self.embedding((ids, self._starts["item"]))
        vectors: Tensor = self.model.item(item, numeric)
        return vectors

    def _make_tree(self, counts: NDArray[np.int64]) -> HierarchicalSoftmax:
        """A leaf per item row. The width is found by asking the model."""
        with torch.no_grad():
            width = self.model.user(*self.embed_users(self.ground.examples.batch(np.zeros(1, np.int64)))).shape[1]
        return HierarchicalSoftmax(HuffmanTree.of(counts), width)
