"""Fit a ranker on samples and export it as a part that serves without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from feedmill.core.batches import Floats, Part, SampleBatch
from feedmill.core.workspace import Component
from feedmill.features import FeatureBatch, FeatureSpec
from feedmill.features.served.calibrated import ONLINE, straight
from feedmill.features.spec import as_dict
from feedmill.models.embeddings import FusedEmbedding
from feedmill.models.losses import multi_task
from feedmill.models.rank.ranker import Ranker
from feedmill.train.config import Fitting
from feedmill.train.loop import Features, run
from feedmill.train.rank.heads import heads_of, losses_of, presupposed, usable
from feedmill.train.rank.one_by_one import one_by_one
from feedmill.train.rank.personal import personalised
from feedmill.train.rank.ranker_graphs import graphs, predicted
from feedmill.train.start import Start, kept


def sizes(spec: FeatureSpec, embedding_dim: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """((Fu, Fi) fields, (Nu, Ni) numbers) of a spec."""
    fields = len(spec.side("user")), len(spec.side("item"))
    return fields, (spec.n_numbers("user", embedding_dim), spec.n_numbers("item", embedding_dim))


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A trained ranker before its export: ``samples`` holds the labels it learned, ``losses`` each epoch's mean."""

    model: Ranker
    embedding: FusedEmbedding
    heads: list[Any]
    features: Features
    samples: SampleBatch
    losses: list[float]

    def predict(self, spec: FeatureSpec, batch: FeatureBatch, duration: Floats | None = None) -> NDArray[np.float32]:
        """float32[C, H], what each head predicts of the rows of ``batch``."""
        features, requests = Features(spec, batch, self.embedding), np.arange(len(batch.user_ids))
        x = features.inputs(requests, *features.rows(requests))
        with torch.no_grad():
            logits = self.model.eval()(x.user, x.user_numeric, x.item, x.item_numeric, x.request_of)
            return predicted(self.heads, logits, _seconds(duration, len(logits))).numpy()


def fitted(
    chosen: Component[Any],
    fitting: Fitting,
    spec: FeatureSpec,
    batch: FeatureBatch,
    samples: SampleBatch,
    seed: int,
    duration: Floats | None = None,
    start: Start | None = None,
) -> Fitted:
    """Samples and their features -> a trained ranker. See ``fit_ranker`` for ``duration`` and ``start``.

    Raises:
        DataError: no head has two classes among its labels.
    """
    samples, length = usable(samples, chosen.config) if start is None else samples, _seconds(duration, len(samples))
    heads = heads_of(samples, chosen.config, length) if start is None else start.opened_heads(chosen.config)
    n_logits = [head.n_logits for head in heads]
    torch.manual_seed(seed)
    embedding = FusedEmbedding(spec.n_rows, chosen.config.embedding_dim, chosen.config.dropout)
    shapes = sizes(spec, chosen.config.embedding_dim)
    model = chosen.cls(chosen.config, *shapes, n_logits)
    model.presuppose(presupposed(samples.heads, heads, chosen.config.given))
    personalised(model, chosen.config, spec, shapes)
    if start is not None:
        start.fill(embedding.table, model)
    features = Features(spec, batch, embedding)
    singles, whole = one_by_one(heads, samples, seed)
    labels, mask = torch.from_numpy(whole.labels), torch.from_numpy(whole.mask)
    weight = torch.from_numpy(whole.loss_weight)

    def loss(units: NDArray[np.int64]) -> Tensor:
        requests, examples = (units, units[:0]) if singles is None else singles.split(units)
        rows, of = features.rows(requests)
        if singles is not None:
            asked, single, place = singles.rows(examples, len(requests))
            requests, of = np.concatenate([requests, asked]), np.concatenate([of, place])
        x = features.inputs(requests, rows if singles is None else np.concatenate([rows, single]), of)
        logits = torch.split(model(x.user, x.user_numeric, x.item, x.item_numeric, x.request_of), n_logits, dim=1)
        n = len(rows)
        each = losses_of(heads, [z[:n] for z in logits], labels[rows], length[rows])
        value = multi_task(each, mask[rows], weight[rows])
        if singles is None:
            return value
        return value + singles.loss(heads[singles.head], logits[singles.head][n:], examples, weight)

    what, n_requests = f"training {chosen.kind}", len(samples.probe)
    if singles is not None:
        fitting, n_requests = singles.fitting(fitting, n_requests), singles.n
    losses = run(what, model, [embedding], n_requests, loss, fitting, seed)
    return Fitted(model, embedding, heads, features, samples, losses)


def fit_ranker(
    chosen: Component[Any],
    fitting: Fitting,
    spec: FeatureSpec,
    arrays: dict[str, NDArray[Any]],
    batch: FeatureBatch,
    samples: SampleBatch,
    seed: int,
    duration: Floats | None = None,
    start: Start | None = None,
) -> Part:
    """Samples and their features -> a part with an embedding table and ONNX graphs.

    Args:
        duration: float32[C] seconds that each row's item lasts, NaN = unknown, for heads that read it; none = unknown.
        start: where to begin instead of at random; the samples then have its heads, in its order.

    Raises:
        DataError: no head has two classes among its labels.
        ArtifactError: ``start`` is of another model.
    """
    done = fitted(chosen, fitting, spec, batch, samples, seed, duration, start)
    weights, shapes = kept(done.model, done.heads)
    rows = done.embedding.table.weight.detach().numpy()
    two = np.arange(min(2, len(samples.probe)))
    example = done.features.inputs(two, *done.features.rows(two))
    return Part(
        kind=chosen.kind,
        config={
            "spec": as_dict(spec),
            "spec_hash": spec.hash,
            "heads": list(done.samples.heads),
            "head_kinds": [head.gives for head in done.heads],
            "loss": done.losses,
            **shapes,
        },
        arrays={**arrays, **weights, ONLINE: straight(len(done.heads)), "embedding": rows},
        blobs=graphs(done.model.eval(), done.heads, example),
    )


def _seconds(duration: Floats | None, n: int) -> Tensor:
    """float32[n], NaN where unknown; a length of 0 is none that is known."""
    known = np.full(n, np.nan, np.float32) if duration is None else duration
    return torch.from_numpy(np.where(known > 0, known, np.float32(np.nan)).astype(np.float32))
