"""Fit the pre-ranker on the ranker's samples and on what the ranker itself says (Tang and Wang, KDD 2018).

Labels teach what is good. The ranker's word on candidates that retrieval might bring teaches what the next stage will
want, and that is what a pre-ranker is for: it must not lose what the ranker would have put on top.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import torch
from msgspec import Meta
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from feedmill.core.batches import Part, SampleBatch
from feedmill.features import FeatureBatch, FeatureSpec
from feedmill.features.served.late_fusion import ITEM, OUT, USER, Sides, alone
from feedmill.features.spec import POWERS, as_dict
from feedmill.models.embeddings import FusedEmbedding
from feedmill.models.prerank import LateFusion, LateFusionConfig
from feedmill.state import Probed, State
from feedmill.train.config import Fitting
from feedmill.train.export import traced
from feedmill.train.loop import run
from feedmill.train.rank.distilled import Lesson, Scale, Teacher, Value, draw

LEAST = 1e-6  # of a probability, before its logit


class PrerankNet(LateFusionConfig, frozen=True):
    """Table ``[prerank.mlp]``."""

    embedding_dim: Annotated[
        int, Meta(ge=1, description="width of every id's vector, where the ranker has none to start from")
    ] = 32
    epochs: Annotated[int, Meta(ge=1, description="passes over the samples and the drawn requests")] = 3
    batch_size: Annotated[int, Meta(ge=1, description="requests per step")] = 256
    learning_rate: Annotated[float, Meta(gt=0, description="of Adam, on rows and weights alike")] = 2e-3
    distill: Annotated[
        float, Meta(ge=0, le=1, description="weight of what the ranker says against what users did; 0 = labels alone")
    ] = 0.8
    n_requests: Annotated[
        int, Meta(ge=0, description="users as of the end of the log whose drawn candidates the ranker scores")
    ] = 3000
    n_drawn: Annotated[int, Meta(ge=2, le=10_000, description="candidates of each: half uniform, half popular")] = 64


def fit_prerank(
    config: PrerankNet,
    spec: FeatureSpec,
    arrays: dict[str, NDArray[Any]],
    batch: FeatureBatch,
    probed: Probed,
    samples: SampleBatch,
    ranker: Part,
    state: State,
    value: Value,
    seed: int,
) -> Part:
    """A part of kind "mlp", from the ranker's samples and the ranker.

    Args:
        spec, arrays, batch, probed: the samples as features and as the state answered, as the ranker was trained on.
        ranker: its part; the embedding table starts as a copy of its own, where it has one.
        state: as of the end of the training log.
        value: (float32[C, H] of the ranker's heads, their names) -> float32[C]; see ``distilled.fused``.

    Raises:
        DataError: nothing among the samples is worth more than nothing.
    """
    torch.manual_seed(seed)
    embedding = _embedding(config, spec, ranker)
    width = embedding.table.embedding_dim
    n_fields = len(spec.side("user")), len(spec.side("item"))
    n_numeric = POWERS * len(spec.numeric("user")), len(alone(spec))
    model = LateFusion(config, width, n_fields, n_numeric)
    lessons = _lessons(config, spec, arrays, batch, probed, samples, ranker, embedding, state, value, seed)
    starts = np.cumsum([0, *(lesson.n for lesson in lessons)])

    def loss(requests: NDArray[np.int64]) -> Tensor:
        parts = [
            _loss(model, lesson, requests[(requests >= low) & (requests < high)] - low, config.distill)
            for lesson, low, high in zip(lessons, starts, starts[1:], strict=False)
        ]
        return torch.stack(parts).sum() / len(requests)

    fitting = Fitting(epochs=config.epochs, batch_size=config.batch_size, learning_rate=config.learning_rate)
    losses = run("training prerank", model, [embedding], int(starts[-1]), loss, fitting, seed)
    learned = {
        **arrays,
        "embedding": embedding.table.weight.detach().numpy(),
        OUT: model.out.detach().numpy(),
    }
    blobs = _graphs(model.eval(), width, n_fields, n_numeric)
    return Part(
        kind="mlp",
        config={"spec": as_dict(spec), "spec_hash": spec.hash, "heads": ["prerank"], "distill": config.distill,
                "loss": losses},
        arrays={**learned, **Sides(blobs, spec, learned, state).everything()},
        blobs=blobs,
    )  # fmt: skip


def _embedding(config: PrerankNet, spec: FeatureSpec, ranker: Part) -> FusedEmbedding:
    """The ranker's, if it reads ids as vectors and the same ones."""
    table = ranker.arrays.get("embedding")
    if table is None or len(table) != spec.n_rows:
        return FusedEmbedding(spec.n_rows, config.embedding_dim, config.dropout)
    embedding = FusedEmbedding(len(table), table.shape[1], config.dropout)
    with torch.no_grad():
        embedding.table.weight.copy_(torch.from_numpy(np.array(table, np.float32)))
    return embedding


def _lessons(
    config: PrerankNet,
    spec: FeatureSpec,
    arrays: dict[str, NDArray[Any]],
    batch: FeatureBatch,
    probed: Probed,
    samples: SampleBatch,
    ranker: Part,
    embedding: FusedEmbedding,
    state: State,
    value: Value,
    seed: int,
) -> list[Lesson]:
    heads = tuple(ranker.config["heads"])
    labels = np.ascontiguousarray(samples.labels[:, [samples.heads.index(h) for h in heads]])
    teacher = Teacher(spec, arrays, ranker, embedding, Scale(labels, heads, value), state)
    lessons = [teacher.observed(batch, samples, labels, probed if config.distill > 0 else None)]
    if config.distill > 0 and config.n_requests:
        users, items = draw(samples, labels, len(state.items), config.n_requests, config.n_drawn, seed)
        lessons.append(teacher.drawn(users, items))
    return lessons


def _loss(model: LateFusion, lesson: Lesson, requests: NDArray[np.int64], distill: float) -> Tensor:
    """Summed over requests: cross-entropy of labels and of the ranker's word, per candidate; of what was drawn for a
    request, over its candidates together (their order), each as likely as the ranker's odds."""
    if not len(requests):
        return torch.zeros(())
    rows, of = lesson.features.rows(requests)
    x = lesson.features.inputs(requests, rows, of)
    z = model(model.user(x.user, x.user_numeric), model.item(x.item, x.item_numeric), x.request_of)
    if lesson.label is None:
        assert lesson.soft is not None
        said = lesson.soft[rows].clamp(LEAST, 1 - LEAST).logit().view(len(requests), -1)
        return distill * functional.cross_entropy(z.view(len(requests), -1), said.softmax(dim=1), reduction="sum")
    weight, label, soft = lesson.weight[rows], lesson.label[rows], lesson.soft
    goal = label if soft is None else (1 - distill) * label + distill * soft[rows]
    each = functional.binary_cross_entropy_with_logits(z, goal, weight, reduction="sum")
    return each / weight.sum().clamp(min=LEAST) * len(requests)


class _User(nn.Module):
    def __init__(self, model: LateFusion) -> None:
        super().__init__()
        self.model = model

    def forward(self, user: Tensor, user_numeric: Tensor) -> Tensor:
        return self.model.user(user, user_numeric)


class _Item(nn.Module):
    def __init__(self, model: LateFusion) -> None:
        super().__init__()
        self.model = model

    def forward(self, item: Tensor, item_numeric: Tensor) -> Tensor:
        return self.model.item(item, item_numeric)


def _graphs(model: LateFusion, width: int, n_fields: tuple[int, int], n_numeric: tuple[int, int]) -> dict[str, bytes]:
    blobs = {}
    for name, side, fields, numbers in zip(("user", "item"), (_User, _Item), n_fields, n_numeric, strict=True):
        rows = torch.export.Dim("n", min=1)
        names = [name, f"{name}_numeric"]
        tensors = torch.zeros(2, fields, width), torch.zeros(2, numbers)
        blobs[{"user": USER, "item": ITEM}[name]] = traced(side(model), tensors, names, {n: {0: rows} for n in names})
    return blobs
