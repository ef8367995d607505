"""Metrics of ranked lists against what each user went on to choose.

A ranked list is a row of item rows, best first, padded with 0 (row 0 is nothing). U users, K places.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Mask, Rows
from feedmill.core.errors import DataError

PerUser = NDArray[np.float64]


def order(scores: NDArray[np.floating[Any]], items: Rows) -> NDArray[np.intp]:
    """Indices that rank by score, highest first; ties by item row, lowest first; NaN last.

    Args:
        scores: float[C].
        items: int32[C].

    Returns:
        intp[C], the same on every machine: an unstable or arbitrary tie order can move a metric by percents.
    """
    _same_length(scores, items)
    return np.lexsort((items, -scores))  # the last key is the first to sort by; NaN sorts behind everything


def hits(ranked: Rows, held: Sequence[Rows]) -> Mask:
    """bool[U, K]: where each user's list names one of the user's held-out items; padding never does.

    Args:
        ranked: int32[U, K], no item twice in a row.
        held: for each user the held-out item rows, unique.

    Raises:
        DataError: not as many users in one as in the other, or a list that names an item twice.
    """
    _same_length(ranked, held)
    placed = np.sort(ranked, axis=1)
    if ((placed[:, 1:] == placed[:, :-1]) & (placed[:, 1:] != 0)).any():
        raise DataError("a ranked list names an item twice", "unique items", "drop repeats before measuring")
    user = np.repeat(np.arange(len(held), dtype=np.int64), [len(h) for h in held])
    item = np.concatenate([np.asarray(h, np.int64) for h in held]) if len(held) else np.empty(0, np.int64)
    width = int(max(ranked.max(initial=0), item.max(initial=0))) + 1
    asked = np.arange(len(ranked), dtype=np.int64)[:, None] * width + ranked
    found: Mask = np.isin(asked, user * width + item) & (ranked != 0)
    return found


def hit_at(ranked: Rows, held: Sequence[Rows], k: int) -> PerUser:
    """float64[U]: 1 where the first k places hold a held-out item, else 0; NaN if none was held out."""
    return _where_held(np.any(hits(ranked, held)[:, :k], axis=1), held)


def recall_at(ranked: Rows, held: Sequence[Rows], k: int) -> PerUser:
    """float64[U]: the share of each user's held-out items in the first k places; NaN if none was held out.

    The denominator is all held-out items, also when they are more than k.
    """
    n_held = np.array([max(len(h), 1) for h in held], np.float64)
    return _where_held(hits(ranked, held)[:, :k].sum(axis=1) / n_held, held)


def ndcg_at(ranked: Rows, held: Sequence[Rows], k: int) -> PerUser:
    """float64[U]: normalised discounted cumulative gain with gains 0 and 1; NaN if none was held out.

    sum over hits of 1/log2(1 + place), divided by the same sum of the best possible list of
    min(k, number held out) hits. Järvelin and Kekäläinen 2002.
    """
    discount = 1 / np.log2(np.arange(2, k + 2))
    found = hits(ranked, held)[:, :k]
    ideal = np.concatenate([[0.0], np.cumsum(discount)])
    n_best = np.minimum([len(h) for h in held], k).astype(np.intp)
    gained = found @ discount[: found.shape[1]]
    return _where_held(gained / np.where(n_best > 0, ideal[n_best], 1), held)


def average_precision_at(ranked: Rows, held: Sequence[Rows], k: int) -> PerUser:
    """float64[U]: the sum of the precision at each hit's place, over min(k, number held out); NaN if none was held out.

    Its mean over users is MAP@k.
    """
    found = hits(ranked, held)[:, :k]
    precision = np.cumsum(found, axis=1) / np.arange(1, found.shape[1] + 1)
    n_best = np.maximum(np.minimum([len(h) for h in held], k), 1) if len(held) else np.ones(0)
    return _where_held((found * precision).sum(axis=1) / n_best, held)


def _where_held(values: Any, held: Sequence[Rows]) -> PerUser:
    return np.where([len(h) > 0 for h in held], values, np.nan).astype(np.float64)


def _same_length(a: Any, b: Any) -> None:
    if len(a) != len(b):
        raise DataError(f"lengths {len(a)} and {len(b)}", "one entry of each per row")
