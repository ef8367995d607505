"""Target attention over histories, where a model is served.

Zhou et al. (KDD 2018, "Deep interest network") weigh a user's history anew for each candidate. Here the weights are a
softmax of scaled dot products in the table that histories and candidates share (Vaswani et al. 2017), with no weights
of its own: all that is learned is the table. So it belongs to the embedding stage, like the means of histories: it is
computed outside the graph, beside the gather, here and in training (``models/attention.py``) alike, and what a model
reads of it are numbers of the candidate, which is where all that depends on both user and item enters. Nothing that is
computed once per user or once per item changes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Rows
from feedmill.core.protocols import Arrays
from feedmill.features.assemble import FeatureBatch
from feedmill.features.spec import FeatureSpec


def item_numbers(spec: FeatureSpec, table: Floats, batch: FeatureBatch) -> Floats:
    """float32[C, Ni]: what a model reads as the candidates' numbers, attention among them."""
    if not spec.attention:
        return batch.item_numeric
    candidate = batch.item_ids[:, spec.attended()[1]]
    return np.hstack([batch.item_numeric, attend(spec, table, batch.user_ids, candidate, batch.request_of)])


class Attention:
    """The same for a model that is being served and looks up what it makes of items.

    Args:
        arrays: what ``features.fit`` learned.
        table: float32[V, D].
    """

    def __init__(self, spec: FeatureSpec, arrays: Arrays, table: Floats) -> None:
        self._spec, self._table = spec, table
        slots = np.append(arrays["slots.item"], np.int32(0)) if spec.attention else np.zeros(1, np.int32)
        self._rows = np.where(slots > 0, slots + spec.offsets().get("item", 0), 0).astype(np.int32)

    def beside(self, numbers: Floats, user_ids: Rows, items: Rows) -> Floats:
        """float32[C, Ni] for candidates int32[C] (state rows) of one request, whose plain numbers are given.

        Args:
            user_ids: int32[1, Wu] of ``assemble``.
        """
        if not self._spec.attention:
            return numbers
        candidate, request_of = self._rows.take(items, mode="clip"), np.zeros(len(items), np.int64)
        return np.hstack([numbers, attend(self._spec, self._table, user_ids, candidate, request_of)])


def attend(spec: FeatureSpec, table: Floats, user_ids: Rows, candidate: Rows, request_of: NDArray[np.int64]) -> Floats:
    """float32[C, A (D + 1)]: of each attended history the weighted mean, and its dot product with the candidate.

    Zeros where there is no history; the plain mean for a candidate without a vector.

    Args:
        table: float32[V, D].
        user_ids: int32[R, Wu] of ``assemble``.
        candidate: int32[C] rows of the candidates' ids.
        request_of: int64[C], ascending.
    """
    d = table.shape[1]
    columns, _ = spec.attended()
    out = np.zeros((len(candidate), len(columns) * (d + 1)), np.float32)
    query = table[candidate]
    bounds = np.searchsorted(request_of, np.arange(len(user_ids) + 1))
    for k, (first, last) in enumerate(columns):
        mine = out[:, k * (d + 1) : (k + 1) * (d + 1)]
        for r in range(len(user_ids)):
            ids, rows = user_ids[r, first:last], slice(bounds[r], bounds[r + 1])
            keys = table[ids[ids > 0]]
            if len(keys) and bounds[r + 1] > bounds[r]:
                _attend(query[rows], keys, mine[rows])
    return out


def _attend(query: Floats, keys: Floats, out: Floats) -> None:
    """Fill ``out`` float32[C, D + 1] for candidates [C, D] and a history [T, D]."""
    d = keys.shape[1]
    logit = (query @ keys.T) / np.float32(np.sqrt(d))
    weight = np.exp(logit - logit.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    out[:, :d] = weight @ keys
    out[:, d] = (out[:, :d] * query).sum(axis=1)
