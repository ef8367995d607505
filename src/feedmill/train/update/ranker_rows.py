"""User-id rows of a ranker: what its heads' losses say of each user, dense layers frozen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from feedmill.core.batches import Floats, SampleBatch
from feedmill.features import FeatureBatch, FeatureSpec
from feedmill.features.attention import item_numbers
from feedmill.features.served.pooling import pool
from feedmill.models.losses import multi_task
from feedmill.models.rank.ranker import Ranker
from feedmill.publish.delta import Change
from feedmill.train.rank.heads import losses_of
from feedmill.train.rank.ranker_graphs import predicted
from feedmill.train.update.config import IncrementalConfig
from feedmill.train.update.user_rows import UserRows


class RankerRows:
    """Learns the rows of users from samples, in order, and says what the model thought of each before.

    Args:
        model, heads: as they were trained; they are frozen.
        table: float32[V, D].
    """

    def __init__(
        self, model: Ranker, heads: Sequence[Any], spec: FeatureSpec, table: Floats, config: IncrementalConfig
    ) -> None:
        self._model, self._heads, self._spec, self._config = model.eval(), list(heads), spec, config
        self._frozen = nn.ModuleList([model, *heads]).requires_grad_(False)
        self.rows = UserRows(spec, table, config)
        self._items = np.array(spec.starts("item"), np.int32)
        self._n_logits = [head.n_logits for head in heads]

    def learn(self, batch: FeatureBatch, samples: SampleBatch, duration: Floats) -> Floats:
        """One pass over requests in the order of the log.

        Args:
            samples: with the heads of the ranker, in its order.
            duration: float32[C] seconds, NaN = unknown.

        Returns:
            float32[C, H] what was predicted of each row before it, or any later one, was learned from.
        """
        n, bounds = len(batch.user_ids), np.searchsorted(batch.request_of, np.arange(len(batch.user_ids) + 1))
        said = np.zeros((len(samples), len(self._heads)), np.float32)
        for low in range(0, n, self._config.batch_size):
            high = min(low + self._config.batch_size, n)
            rows = slice(int(bounds[low]), int(bounds[high]))
            said[rows] = self._step(_requests(batch, low, high, rows), samples, rows, duration[rows])
        return said

    def _step(self, batch: FeatureBatch, samples: SampleBatch, rows: slice, duration: Floats) -> NDArray[np.float32]:
        table, seconds = self.rows.table, torch.from_numpy(duration)
        item = torch.from_numpy(pool(table, batch.item_ids, self._items))
        numbers = torch.from_numpy(item_numbers(self._spec, table, batch))
        labels, mask = torch.from_numpy(samples.labels[rows]), torch.from_numpy(samples.mask[rows])
        weight = torch.from_numpy(samples.loss_weight[rows])
        said: list[NDArray[np.float32]] = []

        def loss(user: Tensor) -> Tensor:
            of = torch.from_numpy(batch.request_of)
            logits = self._model(user, torch.from_numpy(batch.user_numeric), item, numbers, of)
            said.append(predicted(self._heads, logits.detach(), seconds).numpy())
            each = losses_of(self._heads, torch.split(logits, self._n_logits, dim=1), labels, seconds)
            return total(each, mask, weight)

        self.rows.step(batch.user_ids, loss)
        return said[0]

    def changes(self) -> dict[str, Change]:
        """What a delta says of the ranker."""
        return self.rows.changes()


def total(losses: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
    """The sum over heads of each head's weighted mean loss times the rows in which it is known: a row moves its user as
    far in whichever company it comes.

    Args: as of ``multi_task``.
    """
    heads = range(mask.shape[1])
    each = [multi_task(losses[:, h : h + 1], mask[:, h : h + 1], weight) * mask[:, h].sum() for h in heads]
    return torch.stack(each).sum()


def aligned(samples: SampleBatch, heads: Sequence[str]) -> SampleBatch:
    """The samples with these heads, in this order; nothing is known of one that the samples have not."""
    n = len(samples)
    labels, mask = np.zeros((n, len(heads)), np.float32), np.zeros((n, len(heads)), np.bool_)
    for h, head in enumerate(heads):
        if head in samples.heads:
            at = samples.heads.index(head)
            labels[:, h], mask[:, h] = samples.labels[:, at], samples.mask[:, at]
    return replace(samples, labels=labels, mask=mask, heads=tuple(heads))


def _requests(batch: FeatureBatch, low: int, high: int, rows: slice) -> FeatureBatch:
    users = slice(low, high)
    return FeatureBatch(
        batch.user_ids[users], batch.user_numeric[users], batch.item_ids[rows], batch.item_numeric[rows],
        batch.request_of[rows] - low,
    )  # fmt: skip
