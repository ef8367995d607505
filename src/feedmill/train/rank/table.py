"""Fit a ranker on a table of rows: coded fields and numbers of one side, a 0/1 label per head.

What ``train/rank/ranker.py`` is for the log's samples, for data that come as a table: the same embedding, the same
models, the same loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from feedmill.core.batches import Floats, Rows
from feedmill.core.config import convert
from feedmill.core.errors import DataError
from feedmill.metrics.classification import auc
from feedmill.models import RANKERS
from feedmill.models.embedded_linear import embedded_linear
from feedmill.models.embeddings import FusedEmbedding
from feedmill.models.heads.binary import BinaryHead
from feedmill.models.losses import multi_task
from feedmill.train.config import Fitting
from feedmill.train.loop import run

STEP = 8192  # rows scored at once


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """n rows.

    Attributes:
        codes: int32[n, F], a code per field, 0 = unknown, whose vector is zero.
        sizes: codes of each field, 0 included.
        numbers: float32[n, N].
        labels: float32[n, H] of 0 and 1.

    Raises:
        DataError: columns of different lengths, a code outside its field, a number or label that is not finite.
    """

    codes: Rows
    sizes: Sequence[int]
    numbers: Floats
    labels: Floats

    def __post_init__(self) -> None:
        n = len(self.codes)
        if len(self.numbers) != n or len(self.labels) != n:
            raise DataError(f"{n} rows of codes, {len(self.numbers)} of numbers, {len(self.labels)} of labels", "equal")
        if n and ((self.codes < 0) | (self.codes >= np.asarray(self.sizes))).any():
            raise DataError("a code outside its field", f"0 to below {list(self.sizes)}", "code unseen values as 0")
        if not (np.isfinite(self.numbers).all() and np.isin(self.labels, (0, 1)).all()):
            raise DataError("numbers or labels that cannot be learned from", "finite numbers, labels of 0 and 1")

    def fused(self) -> Rows:
        """int32[n, F] rows of one table for all fields; code 0 stays 0."""
        offsets = np.cumsum([0, *(size - 1 for size in self.sizes[:-1])]).astype(np.int32)
        return np.where(self.codes > 0, self.codes + offsets, 0).astype(np.int32)


class TableFit:
    """A ranker of any kind on a table, all of its columns on the item's side.

    Args:
        kind: of ``models.RANKERS``.
        own: its parameters, as in [rank].
        seed: of the weights and of the order of rows.

    Raises:
        ConfigError: no such kind or parameter.
    """

    def __init__(self, kind: str, own: dict[str, Any], table: Table, seed: int) -> None:
        cls: Any = RANKERS[kind]
        config = convert({"dropout": 0.0, **own}, cls.Config, f"rank ({kind})")
        torch.manual_seed(seed)
        n_fields, n_heads = table.codes.shape[1], table.labels.shape[1]
        self.kind, self.seed, self.heads = kind, seed, [BinaryHead() for _ in range(n_heads)]
        self.embedding = FusedEmbedding(sum(table.sizes) - n_fields + 1, config.embedding_dim, config.dropout)
        self.model = cls(config, (0, n_fields), (0, table.numbers.shape[1]), [head.n_logits for head in self.heads])
        self._table, self._starts = table, list(range(n_fields + 1))
        self._ids, self._numbers = torch.from_numpy(table.fused()), torch.from_numpy(table.numbers)
        self._labels = torch.from_numpy(table.labels)
        self.epoch_s: list[float] = []
        self.is_dense = False  # pool fields and multiply every row, for the count of multiply-adds

    def logits(self, rows: NDArray[np.int64]) -> Tensor:
        """float32[n, H] of these rows."""
        at = torch.from_numpy(rows)
        if not self.is_dense:
            numbers = self._numbers[at]
            padded = torch.cat([numbers, numbers.new_ones(len(rows), 1)], dim=1)
            first = embedded_linear(self.embedding, self._ids[at], self._starts, padded, self.model.from_item)
            out: Tensor = self.model.of_table(first, numbers)
            return out
        (item,) = self.embedding((self._ids[at], self._starts))
        nobody = torch.zeros(1, 0, item.shape[2])
        logits: Tensor = self.model(
            nobody, torch.zeros(1, 0), item, self._numbers[at], torch.zeros(len(rows), dtype=torch.int64)
        )
        return logits

    def loss(self, rows: NDArray[np.int64]) -> Tensor:
        """The sum of the heads' mean losses."""
        logits, labels = self.logits(rows), self._labels[torch.from_numpy(rows)]
        each = [head.loss(logits[:, h : h + 1], labels[:, h]) for h, head in enumerate(self.heads)]
        return multi_task(torch.stack(each, dim=1), torch.ones_like(labels, dtype=torch.bool), torch.ones(len(rows)))

    def train(
        self,
        rows: NDArray[np.int64],
        fitting: Fitting,
        validation: NDArray[np.int64] | None = None,
        patience: int | None = None,
    ) -> list[float]:
        """Minimise the loss; with ``validation`` rows the best epoch by their mean AUC over heads is kept.

        ``epoch_s`` has the seconds of each epoch afterwards, validation not among them.

        Args:
            patience: stop after so many epochs without a better one; None = go on to the last.

        Returns:
            the mean AUC of validation after each epoch; empty without.
        """
        found: list[float] = []
        best: list[Tensor] = []
        mark = perf_counter()

        def after_epoch() -> bool:
            nonlocal mark
            self.epoch_s.append(perf_counter() - mark)
            if validation is not None:
                found.append(self._mean_auc(validation))
                if found[-1] >= max(found):
                    best[:] = [p.detach().clone() for p in self._parameters()]
            mark = perf_counter()
            return patience is not None and len(found) > patience + int(np.argmax(found)) if found else False

        run(f"training {self.kind}", self.model, [self.embedding], len(rows), lambda at: self.loss(rows[at]), fitting,
            self.seed, after_epoch)  # fmt: skip
        with torch.no_grad():
            for p, kept in zip(self._parameters(), best, strict=False):
                p.copy_(kept)
        return found

    def predict(self, rows: NDArray[np.int64]) -> Floats:
        """float32[n, H] probabilities."""
        was_training = self.model.training
        self.model.eval(), self.embedding.eval()
        with torch.no_grad():
            out = [torch.sigmoid(self.logits(rows[at : at + STEP])).numpy() for at in range(0, len(rows), STEP)]
        self.model.train(was_training), self.embedding.train(was_training)
        return np.concatenate(out) if out else np.zeros((0, len(self.heads)), np.float32)

    def _mean_auc(self, rows: NDArray[np.int64]) -> float:
        probs, labels = self.predict(rows), self._table.labels[rows]
        each = [auc(labels[:, h], probs[:, h]) for h in range(labels.shape[1])]
        return float(np.nanmean(each)) if not np.isnan(each).all() else 0.0

    def _parameters(self) -> list[Tensor]:
        return [*self.model.parameters(), *self.embedding.parameters()]
