"""User-id rows of a retrieval model: what a user chose is drawn nearer, item vectors as they were published."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from feedmill.core.batches import Floats, Rows
from feedmill.core.clock import rng
from feedmill.features import FeatureSpec
from feedmill.publish.delta import Change
from feedmill.train.update.config import IncrementalConfig
from feedmill.train.update.user_rows import UserRows


class TowerRows:
    """Learns the rows of users from what they chose, in order.

    The loss is a softmax over the chosen item and others drawn evenly from those with a vector, which needs no
    correction for how popular they are.

    Args:
        tower: ``UserTower``: float32[R, Fu, D], float32[R, Nu] -> float32[R, W]; it is frozen.
        items: float32[N, W] the published vectors by item row; zero = none.
        temperature: similarities are divided by it.
        is_cosine: whether lengths do not count.
    """

    def __init__(
        self,
        tower: Any,
        spec: FeatureSpec,
        table: Floats,
        items: Floats,
        config: IncrementalConfig,
        *,
        temperature: float,
        is_cosine: bool,
        seed: int,
    ) -> None:
        self._tower, self._config = tower.eval().requires_grad_(False), config
        self.rows = UserRows(spec, table, config)
        self._temperature, self._is_cosine = temperature, is_cosine
        self._items = torch.from_numpy(np.array(items, np.float32))
        if is_cosine:
            self._items = normalize(self._items, dim=1)
        self._known = np.flatnonzero(np.asarray(items).any(axis=1)).astype(np.int64)
        self._has = np.zeros(len(items), np.bool_)
        self._has[self._known] = True
        self._random = rng(seed, "incremental negatives")

    def learn(self, user_ids: Rows, user_numeric: Floats, item: Rows) -> None:
        """One pass over choices in the order of the log; those of items without a vector teach nothing.

        Args:
            user_ids, user_numeric: int32[n, Wu] and float32[n, Nu] of the users, each as of its choice.
            item: int32[n] state rows.
        """
        known = np.flatnonzero(self._has[np.minimum(item, len(self._has) - 1)] & (item < len(self._has)))
        for at in range(0, len(known), self._config.batch_size):
            rows = known[at : at + self._config.batch_size]
            self._step(user_ids[rows], user_numeric[rows], item[rows].astype(np.int64))

    def _step(self, user_ids: Rows, user_numeric: Floats, item: NDArray[np.int64]) -> None:
        others = self._random.choice(self._known, self._config.n_negatives)
        chosen, drawn = self._items[torch.from_numpy(item)], self._items[torch.from_numpy(others)]
        same = torch.from_numpy(item[:, None] == others)

        def loss(user: Tensor) -> Tensor:
            vectors = self._tower(user, torch.from_numpy(user_numeric))
            if self._is_cosine:
                vectors = normalize(vectors, dim=1)
            against = (vectors @ drawn.t()).masked_fill(same, -torch.inf)
            logits = torch.cat([(vectors * chosen).sum(1, keepdim=True), against], dim=1) / self._temperature
            return cross_entropy(logits, torch.zeros(len(item), dtype=torch.int64), reduction="sum")

        self.rows.step(user_ids, loss)

    def changes(self) -> dict[str, Change]:
        """What a delta says of the channel."""
        return self.rows.changes()
