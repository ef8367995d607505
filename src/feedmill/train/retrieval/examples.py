"""What a retrieval model is shown, batch by batch: who (as of when), and which items they chose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Interactions, Rows
from feedmill.core.clock import rng
from feedmill.core.protocols import Arrays
from feedmill.features import FeatureBatch, FeatureSpec
from feedmill.samples.positives import Positives

MAX_LABELS = 32  # of one user in one batch: more would let a few users fill it


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """R requests and the P items chosen in them.

    Attributes:
        user: int32[R] state rows.
        user_ids: int32[R, Wu] rows of the embedding table.
        user_numeric: float32[R, Nu].
        item: int32[P] state rows, grouped by request.
        of: int64[P] ascending, the request of each.
        reward: float32[P].
    """

    user: Rows
    user_ids: Rows
    user_numeric: Floats
    item: Rows
    of: NDArray[np.int64]
    reward: Floats


class Examples(Protocol):
    """``n`` requests to learn from; ``batch`` gives some of them by index."""

    n: int

    def batch(self, requests: NDArray[np.int64]) -> Shown: ...


class Before:
    """Each choice with the user as of the moment before it: never what came later (Covington et al. 2016)."""

    def __init__(self, positives: Positives, features: FeatureBatch) -> None:
        self.n = len(positives)
        self._positives, self._features = positives, features

    def batch(self, requests: NDArray[np.int64]) -> Shown:
        probe, features = self._positives.probe, self._features
        return Shown(
            probe.user[requests],
            features.user_ids[requests],
            features.user_numeric[requests],
            probe.item[requests],
            np.arange(len(requests)),
            self._positives.reward[requests],
        )


class Others:
    """Each user's items torn in two at random, anew in every batch: one part is known, the other is to be found.

    For logs whose order means nothing, such as the public splits without timestamps: a prefix would be a random part of
    the user's items too, only a fixed and mostly shorter one (Steck, NeurIPS 2020, on denoising). Users count alike:
    each one's rewards add up to 1 times the mean of them.

    Args:
        features: of one request per user of ``interactions`` with at least two items, in the order of rows.
        known: share of a user's items that are the history.
    """

    def __init__(
        self,
        interactions: Interactions,
        users: Rows,
        spec: FeatureSpec,
        arrays: Arrays,
        features: FeatureBatch,
        seed: int,
        known: float = 0.5,
    ) -> None:
        self.n = len(users)
        self._users, self._features, self._known = users, features, known
        self._item = interactions.item
        self._low = np.searchsorted(interactions.user, users)
        self._count = np.searchsorted(interactions.user, users, "right") - self._low
        self._random = rng(seed, "others")
        starts, offset = spec.starts("user"), spec.offsets()
        fields = [(f, low) for f, low in zip(spec.side("user"), starts, strict=False) if f.source == "user.clicked"]
        self._fields = [(low, f.width) for f, low in fields]
        table = fields[0][0].table if fields else ""
        slots = arrays.get(f"slots.{table}", np.zeros(1, np.int32))
        self._slot = np.where(slots > 0, slots + offset.get(table, 0), 0).astype(np.int32)

    def batch(self, requests: NDArray[np.int64]) -> Shown:
        count = self._count[requests]
        of = np.repeat(np.arange(len(requests)), count)
        first = np.cumsum(count) - count
        place = np.arange(len(of)) - first[of]
        item = self._item[place + self._low[requests][of]]
        shuffled = np.lexsort((self._random.random(len(of)), of))
        item = item[shuffled]  # in random order within each user, ``place`` numbers them
        n_known = np.minimum(np.rint(count * self._known).astype(np.int64), count - 1)
        n_known = np.maximum(n_known, count - MAX_LABELS)
        is_known = place < n_known[of]
        ids = self._features.user_ids[requests].copy()
        for low, width in self._fields:
            ids[:, low : low + width] = 0
            at = is_known & (place < width)
            rows = item[at]
            ids[of[at], low + place[at]] = np.where(
                rows < len(self._slot), self._slot[np.minimum(rows, len(self._slot) - 1)], 0
            )
        label = ~is_known
        weight = (1 / (count - n_known))[of[label]] * (label.sum() / max(len(requests), 1))
        return Shown(
            self._users[requests],
            ids,
            self._features.user_numeric[requests],
            item[label].astype(np.int32),
            of[label],
            weight.astype(np.float32),
        )
