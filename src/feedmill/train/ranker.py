"""Fit a ranker on samples and export it as a part that serves without torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from feedmill.core.batches import Part, SampleBatch
from feedmill.core.workspace import Component
from feedmill.features import FeatureBatch, FeatureSpec
from feedmill.features.spec import POWERS, as_dict
from feedmill.models.embeddings import FusedEmbedding
from feedmill.models.losses import multi_task_bce
from feedmill.train.config import Fitting
from feedmill.train.export import to_onnx
from feedmill.train.loop import Features, run


class Probabilities(nn.Module):
    """What is served: a head's logit through the sigmoid."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, user: Tensor, user_numeric: Tensor, item: Tensor, item_numeric: Tensor, request_of: Tensor
    ) -> Tensor:
        return torch.sigmoid(self.model(user, user_numeric, item, item_numeric, request_of))


def sizes(spec: FeatureSpec) -> tuple[tuple[int, int], tuple[int, int]]:
    """((Fu, Fi) fields, (Nu, Ni) numbers) of a spec."""
    fields = len(spec.side("user")), len(spec.side("item"))
    return fields, (POWERS * len(spec.numeric("user")), POWERS * len(spec.numeric("item")))


def fit_ranker(
    chosen: Component[Any],
    fitting: Fitting,
    spec: FeatureSpec,
    arrays: dict[str, NDArray[Any]],
    batch: FeatureBatch,
    samples: SampleBatch,
    seed: int,
) -> Part:
    """Samples and their features -> a part with an embedding table and an ONNX graph."""
    torch.manual_seed(seed)
    embedding = FusedEmbedding(spec.n_rows, chosen.config.embedding_dim, chosen.config.dropout)
    model = chosen.cls(chosen.config, *sizes(spec), len(samples.heads))
    features = Features(spec, batch, embedding)
    labels, mask = torch.from_numpy(samples.labels), torch.from_numpy(samples.mask)
    weight = torch.from_numpy(samples.weight)

    def loss(requests: NDArray[np.int64]) -> Tensor:
        rows, of = features.rows(requests)
        x = features.inputs(requests, rows, of)
        logits = model(x.user, x.user_numeric, x.item, x.item_numeric, x.request_of)
        return multi_task_bce(logits, labels[rows], mask[rows], weight[rows])

    losses = run(f"training {chosen.kind}", model, [embedding], len(samples.probe), loss, fitting, seed)
    rows, of = features.rows(np.arange(min(2, len(samples.probe))))
    example = features.inputs(np.arange(min(2, len(samples.probe))), rows, of)
    return Part(
        kind=chosen.kind,
        config={"spec": as_dict(spec), "spec_hash": spec.hash, "heads": list(samples.heads), "loss": losses},
        arrays={**arrays, "embedding": embedding.table.weight.detach().numpy()},
        blobs={"dense.onnx": to_onnx(Probabilities(model), example)},
    )
