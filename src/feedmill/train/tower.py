"""Fit a two-tower retrieval model and export its user tower; item vectors are computed once, here."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from feedmill.core.batches import Interactions, Part, Rows, SampleBatch
from feedmill.core.workspace import Component
from feedmill.features import FeatureBatch, FeatureSpec
from feedmill.features.spec import as_dict
from feedmill.models.embeddings import FusedEmbedding
from feedmill.models.losses import in_batch_softmax
from feedmill.train.config import Fitting
from feedmill.train.export import to_onnx
from feedmill.train.loop import Features, run
from feedmill.train.ranker import sizes


class UserTower(nn.Module):
    """What is served: the user's side alone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, user: Tensor, user_numeric: Tensor) -> Tensor:
        vectors: Tensor = self.model.user(user, user_numeric)  # type: ignore[operator]
        return vectors


class Likes:
    """Which (user, item) pairs are known likes: such pairs are no negatives."""

    def __init__(self, interactions: Interactions) -> None:
        self._item = interactions.item  # sorted by user
        self._start = np.searchsorted(interactions.user, np.arange(interactions.n_users + 1))
        self._column = np.zeros(interactions.n_items, np.int32)  # of an item in the batch at hand, from 1

    def cells(self, user: Rows, item: Rows) -> NDArray[np.bool_]:
        """bool[B, B]: does user i like the item of row j? Costs as much as these users have likes."""
        distinct, column = np.unique(item, return_inverse=True)
        self._column[distinct] = np.arange(1, len(distinct) + 1)
        low, n = self._start[user], self._start[user + 1] - self._start[user]
        of = np.repeat(np.arange(len(user)), n)
        found = self._column[self._item[np.arange(len(of)) - np.repeat(np.cumsum(n) - n, n) + low[of]]]
        self._column[distinct] = 0
        out = np.zeros((len(user), len(distinct)), np.bool_)
        out[of[found > 0], found[found > 0] - 1] = True
        return out[:, column]


def fit_tower(
    chosen: Component[Any],
    fitting: Fitting,
    spec: FeatureSpec,
    arrays: dict[str, NDArray[Any]],
    batch: FeatureBatch,
    catalogue: FeatureBatch,
    samples: SampleBatch,
    interactions: Interactions,
    seed: int,
) -> Part:
    """Positives and their features -> a part with item vectors, an embedding table and the user tower.

    Args:
        batch: features of ``samples``.
        catalogue: features of one request with every item row as a candidate.
    """
    torch.manual_seed(seed)
    embedding = FusedEmbedding(spec.n_rows, chosen.config.embedding_dim, chosen.config.dropout)
    model = chosen.cls(chosen.config, *sizes(spec))
    features = Features(spec, batch, embedding)
    positive = np.flatnonzero((samples.labels[:, 0] > 0) & samples.mask[:, 0])
    request = samples.probe.request_of[positive].astype(np.int64)
    item, user = samples.probe.item[positive], samples.probe.user[request]
    log_p = torch.from_numpy(np.log(np.bincount(item, minlength=1)[item] / max(len(item), 1)).astype(np.float32))
    items = torch.from_numpy(item.astype(np.int64))
    likes = Likes(interactions)

    def loss(at: NDArray[np.int64]) -> Tensor:
        x = features.inputs(request[at], positive[at], at)
        scores = model.user(x.user, x.user_numeric) @ model.item(x.item, x.item_numeric).t()
        other = torch.from_numpy(likes.cells(user[at], item[at]))
        return in_batch_softmax(scores / chosen.config.temperature, log_p[at], items[at], other=other)

    losses = run(f"training {chosen.name}", model, embedding, len(positive), loss, fitting, seed)
    example = features.inputs(request[:1], positive[:1], np.zeros(1, np.int64))
    return Part(
        kind="vector",
        config={"model": chosen.kind, "spec": as_dict(spec), "spec_hash": spec.hash, "loss": losses},
        arrays={
            **arrays,
            "embedding": embedding.table.weight.detach().numpy(),
            "item_vectors": item_vectors(model, Features(spec, catalogue, embedding), len(catalogue.item_ids)),
        },
        blobs={"dense.onnx": to_onnx(UserTower(model), example)},
    )


@torch.no_grad()
def item_vectors(model: Any, features: Features, n_items: int) -> NDArray[np.float32]:
    """float32[n_items, W]; row 0 is zero."""
    rows = np.arange(n_items)
    x = features.inputs(np.zeros(1, np.int64), rows, np.zeros(n_items, np.int64))
    vectors: NDArray[np.float32] = model.item(x.item, x.item_numeric).numpy()
    vectors[0] = 0
    return vectors
