"""Metrics of a head's probabilities against labels of 0 and 1. n rows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedmill.core.errors import DataError

Numbers = NDArray[Any]
EPSILON = 1e-7  # probabilities are kept this far from 0 and 1, so that one certain mistake is not infinite


class GroupAuc(NamedTuple):
    """AUC of each group that has both labels: group ids int64[G], auc float64[G], n rows int64[G]."""

    group: NDArray[np.int64]
    auc: NDArray[np.float64]
    n: NDArray[np.int64]


def auc(labels: Numbers, scores: Numbers) -> float:
    """The chance that a random positive scores above a random negative, ties counting half.

    Mann-Whitney's U over the number of pairs: equals the area under the ROC curve. NaN with one class only.

    Args:
        labels: [n] of 0 and 1.
        scores: [n], any scale; only their order counts.

    Raises:
        DataError: lengths differ, a label is neither 0 nor 1, or a score is NaN.
    """
    whole = auc_by_group(np.zeros(len(labels), np.int64), labels, scores)
    return float(whole.auc[0]) if len(whole.auc) else float("nan")


def gauc(user: Numbers, labels: Numbers, scores: Numbers) -> float:
    """Mean of the users' own AUCs weighted by their rows; users with one class only are left out.

    Unlike ``auc`` it gives no credit for telling active users from others. Zhu et al. 2017, arXiv 1706.06978.

    Args:
        user: int[n] rows.
    """
    per = auc_by_group(user, labels, scores)
    return float(np.average(per.auc, weights=per.n)) if len(per.n) else float("nan")


def auc_by_group(group: Numbers, labels: Numbers, scores: Numbers) -> GroupAuc:
    """The AUC of every group of rows that has both labels. See ``auc`` for arguments and errors."""
    _check(labels, scores)
    if len(group) != len(labels):
        raise DataError(f"{len(group)} groups for {len(labels)} rows", "one group for each row")
    if len(labels) == 0:
        return GroupAuc(np.empty(0, np.int64), np.empty(0, np.float64), np.empty(0, np.int64))
    by = np.lexsort((scores, group))
    g, s, y = np.asarray(group)[by].astype(np.int64), np.asarray(scores)[by], np.asarray(labels)[by] > 0
    first = np.flatnonzero(np.r_[True, g[1:] != g[:-1]])
    size = np.diff(np.r_[first, len(g)])
    place = np.arange(len(g)) - np.repeat(first, size)  # 0-based rank in the group, ties still apart
    tied = np.flatnonzero(np.r_[True, (g[1:] != g[:-1]) | (s[1:] != s[:-1])])
    n_tied = np.diff(np.r_[tied, len(g)])
    rank = np.repeat(np.add.reduceat(place, tied) / n_tied, n_tied) + 1
    n_positive = np.add.reduceat(y, first, dtype=np.int64)
    rank_sum = np.add.reduceat(np.where(y, rank, 0.0), first)
    both = (n_positive > 0) & (n_positive < size)
    p, n = n_positive[both].astype(np.float64), size[both]
    u = rank_sum[both] - p * (p + 1) / 2
    return GroupAuc(g[first][both], u / (p * (n - p)), n.astype(np.int64))


def log_loss(labels: Numbers, probs: Numbers, weight: Numbers | None = None) -> float:
    """Mean of -log of the probability given to what happened, in nats; ``weight`` [n] weighs the rows.

    Raises:
        DataError: lengths differ, a label is neither 0 nor 1, or a probability is outside [0, 1].
    """
    _check(labels, probs)
    p = np.asarray(probs, np.float64)
    if ((p < 0) | (p > 1)).any():
        raise DataError(f"probabilities from {p.min()} to {p.max()}", "0 to 1", "apply the sigmoid to logits first")
    p = np.clip(p, EPSILON, 1 - EPSILON)
    y = np.asarray(labels, np.float64)
    return _mean(-(y * np.log(p) + (1 - y) * np.log1p(-p)), weight)


def normalized_entropy(labels: Numbers, probs: Numbers, weight: Numbers | None = None) -> float:
    """Log loss over the log loss of always saying the base rate: below 1 beats knowing only the rate.

    He et al. 2014, "Practical lessons from predicting clicks on ads at Facebook". NaN with one class only.
    """
    rate = _mean(np.asarray(labels, np.float64), weight)
    if not 0 < rate < 1:
        return float("nan")
    entropy = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    return log_loss(labels, probs, weight) / float(entropy)


def _mean(values: NDArray[np.float64], weight: Numbers | None) -> float:
    if len(values) == 0:
        return float("nan")
    return float(np.average(values, weights=weight))


def _check(labels: Numbers, scores: Numbers) -> None:
    if len(labels) != len(scores):
        raise DataError(f"{len(labels)} labels for {len(scores)} scores", "one of each per row")
    if np.isnan(scores).any():
        raise DataError(f"{int(np.isnan(scores).sum())} of {len(scores)} scores are NaN", "numbers")
    if not np.isin(labels, (0, 1)).all():
        raise DataError(f"labels {np.unique(labels)[:5].tolist()}", "0 and 1")
