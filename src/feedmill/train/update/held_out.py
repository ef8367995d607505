"""What a ranker is worth on rows that it did not learn from: the figures that the gate holds against the one before."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from feedmill.core.batches import Part, SampleBatch
from feedmill.features.served.calibrated import probabilities
from feedmill.features.served.logged import served_scores
from feedmill.metrics.calibration import pcoc
from feedmill.metrics.classification import auc, normalized_entropy
from feedmill.state import Probed, State

ENOUGH = 200  # positives, which tell a rate to about 7 %


def measured(part: Part, state: State, samples: SampleBatch, probed: Probed) -> dict[str, Any]:
    """{"ne": {head: …}, "auc": …, "pcoc": …} of the heads that are probabilities, as they are served.

    A head with few positives or negatives among these rows has no figures: they would say little of the model.

    Args:
        samples, probed: the same rows.
    """
    scores = served_scores(part, state, probed)
    heads = probabilities(tuple(part.config["heads"]), list(part.config.get("head_kinds", [])))
    out: dict[str, Any] = {"ne": {}, "auc": {}, "pcoc": {}, "n": len(samples)}
    for h, head in enumerate(heads):
        if head not in samples.heads:
            continue
        at = samples.heads.index(head)
        rows = samples.mask[:, at] & np.isfinite(scores[:, h])
        labels, probs, weight = samples.labels[rows, at], scores[rows, h].astype(np.float64), samples.weight[rows]
        if not ENOUGH <= labels.sum() <= len(labels) - ENOUGH:
            continue
        found = {
            "ne": normalized_entropy(labels, probs, weight),
            "auc": auc(labels, probs),
            "pcoc": pcoc(labels, probs, weight),
        }
        for name, value in found.items():
            if math.isfinite(value):
                out[name][head] = round(value, 6)
    return out
