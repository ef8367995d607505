"""A ranker of kind "gbdt_lr" as a part of an artifact: fitted, served without torch or LightGBM, and learning on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Part, SampleBatch
from feedmill.core.config import convert
from feedmill.core.errors import ArtifactError, DataError
from feedmill.core.progress import progress
from feedmill.core.protocols import Arrays
from feedmill.core.registry import Registry
from feedmill.features import FeatureBatch, FeatureSpec
from feedmill.features.served.calibrated import PROBABILITY
from feedmill.features.served.tree_columns import categorical, matrix, tree_columns
from feedmill.features.served.trees_graph import TREES_KIND
from feedmill.features.spec import as_dict, from_dict
from feedmill.metrics.classification import normalized_entropy
from feedmill.train.rank.heads import usable
from feedmill.train.trees.gbdt_lr import GbdtLr, GbdtLrConfig, TableRows

# Beside models.RANKERS, whose models are torch modules and are fitted by ``fit_ranker``.
TREE_RANKERS: Registry[GbdtLr] = Registry("tree_ranker", {TREES_KIND: "feedmill.train.trees.gbdt_lr:GbdtLr"})


def fit_trees(
    config: GbdtLrConfig,
    spec: FeatureSpec,
    arrays: Arrays,
    batch: FeatureBatch,
    samples: SampleBatch,
    seed: int,
) -> Part:
    """Samples and their features -> a part that ``features.served.trees_graph.TreesGraph`` serves.

    Heads are those of feedback: seconds watched are left out, and labels of one class, as by any ranker.

    Args:
        arrays: what ``features.fit`` learned, which serving assembles features with.

    Raises:
        DataError: the features are none that trees can read, no head has two classes, or labels are not 0 and 1.
    """
    columns = tree_columns(spec, config.max_categories)
    if not columns:
        raise DataError(
            "no number and no id of few values among the features, so trees have nothing to split on",
            "counters, rates or attributes of users and items",
            'undo features.numbers = "none", or raise rank.max_categories',
        )
    samples = usable(samples, SimpleNamespace(watch_time={}))
    with progress("growing trees"):
        rows = _rows(matrix(columns, batch), samples)
        model, said = GbdtLr.fit(config, rows, categorical(columns), seed)
    entropy = _entropies(samples.heads, rows.take(slice(len(rows) - len(said), None)), said)
    about: dict[str, Any] = {"spec": as_dict(spec), "spec_hash": spec.hash, "heads": list(samples.heads)}
    about["head_kinds"] = [PROBABILITY] * len(samples.heads)
    about |= {"rank": msgspec.to_builtins(config), "max_categories": config.max_categories, "ne": entropy}
    texts = {f"{head}.lightgbm.txt": text for head, text in zip(samples.heads, model.texts, strict=True) if text}
    blobs = {name: text.encode() for name, text in texts.items()}
    return Part(TREES_KIND, about, {**arrays, **model.arrays()}, blobs)


def update_trees(part: Part, batch: FeatureBatch, samples: SampleBatch) -> tuple[Part, Floats]:
    """The regression of a part learns from new rows, in order of time; its trees stay.

    Returns:
        the part with new weights, and float32[C, H] what the model said of each row, in the order of ``samples``,
        before it learnt from it (NaN where a label is not known).

    Raises:
        ArtifactError: the part is no ranker of this kind.
        DataError: the samples lack a head of the part.
    """
    if part.kind != TREES_KIND:
        raise ArtifactError(f'a part of kind "{part.kind}"', f'"{TREES_KIND}"')
    samples = _of_heads(samples, part.config["heads"])
    config = convert(part.config["rank"], GbdtLrConfig, "rank")
    model = GbdtLr.of(config, part.arrays)
    columns = tree_columns(from_dict(part.config["spec"]), config.max_categories)
    order = _by_time(samples)
    said = np.empty((len(samples), len(samples.heads)), np.float32)
    said[order] = model.update(_rows(matrix(columns, batch), samples))
    return Part(part.kind, part.config, {**part.arrays, **model.arrays()}, part.blobs), said


def _of_heads(samples: SampleBatch, heads: Sequence[str]) -> SampleBatch:
    """Labels of a part's heads, in its order; a head that is new since needs trees of its own and waits for them."""
    if not set(heads) <= set(samples.heads):
        raise DataError(
            f"samples with the heads {list(samples.heads)}",
            f"{list(heads)}, as the model was trained with",
            "mask a head whose labels are not known, or train again without it",
        )
    at = [samples.heads.index(head) for head in heads]
    return replace(samples, labels=samples.labels[:, at], mask=samples.mask[:, at], heads=tuple(heads))


def _by_time(samples: SampleBatch) -> NDArray[np.intp]:
    return np.argsort(samples.probe.time_ms[samples.probe.request_of], kind="stable")


def _rows(x: Floats, samples: SampleBatch) -> TableRows:
    order = _by_time(samples)
    return TableRows(x[order], samples.labels[order], samples.mask[order], samples.loss_weight[order])


def _entropies(heads: tuple[str, ...], rows: TableRows, said: Floats) -> dict[str, Any]:
    """Progressive normalised entropy of each head on the newest rows; None where they have one class only."""
    out: dict[str, Any] = {}
    for h, head in enumerate(heads):
        known, labels, weight = rows.head(h)
        value = normalized_entropy(labels, said[known, h], weight) if weight.sum() > 0 else math.nan
        out[head] = None if math.isnan(value) else round(value, 6)
    return out
