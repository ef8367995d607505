"""Rows that a head learns from one by one, beside the requests that the other heads learn from whole.

A watch-time head may learn from each row twice, or from a row as often as it was watched seconds
(``WatchTimeHead.examples``). Such examples are drawn into batches on their own, so that two of a row seldom meet: that
is all that tells them from a weight in the loss. An epoch has as many steps as without them, and a step is as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from msgspec import structs
from numpy.typing import NDArray
from torch import Tensor

from feedmill.core.batches import SampleBatch
from feedmill.models.heads.head import Examples
from feedmill.train.config import Fitting

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class OneByOne:
    """M examples of one head, after ``n_requests`` requests.

    Attributes:
        head: its column.
        scale: M / N for N rows with a known label: a mean over examples times it is a sum per row.
    """

    head: int
    examples: Examples
    scale: float
    n_requests: int
    request_of: NDArray[np.int32]

    @property
    def n(self) -> int:
        """Requests and examples."""
        return self.n_requests + len(self.examples.row)

    def fitting(self, given: Fitting, n_requests: int) -> Fitting:
        """Batches so much larger that there are as many of them."""
        return structs.replace(given, batch_size=max(round(given.batch_size * self.n / n_requests), 1))

    def split(self, units: Indices) -> tuple[Indices, Indices]:
        """(requests, examples) of a batch of ``n``."""
        return units[units < self.n_requests], units[units >= self.n_requests] - self.n_requests

    def rows(self, examples: Indices, n_before: int) -> tuple[Indices, Indices, Indices]:
        """(request, candidate row, place among the requests) of each, behind ``n_before`` requests."""
        rows = self.examples.row[examples]
        return self.request_of[rows].astype(np.int64), rows, n_before + np.arange(len(rows))

    def loss(self, head: Any, logits: Tensor, examples: Indices, weight: Tensor) -> Tensor:
        """Scalar: the examples' part of the loss, float32[C] row weights."""
        if not len(examples):
            return logits.sum() * 0
        label, own = (torch.from_numpy(x[examples]) for x in (self.examples.label, self.examples.weight))
        each: Tensor = head.example_loss(logits, label, own * weight[self.examples.row[examples]])
        return self.scale * each.mean()


def one_by_one(heads: Sequence[Any], samples: SampleBatch, seed: int) -> tuple[OneByOne | None, SampleBatch]:
    """The examples of the head that asks for them, and the samples with its labels masked; None = no head does."""
    for h, head in enumerate(heads):
        known = np.flatnonzero(samples.mask[:, h])
        found = head.examples(samples.labels[known, h], seed) if hasattr(head, "examples") else None
        if found is None:
            continue
        mask = samples.mask.copy()
        mask[:, h] = False
        n_requests = len(samples.probe) if mask.any() else 0
        examples = found._replace(row=known[found.row])
        scale = len(found.row) / len(known)
        return OneByOne(h, examples, scale, n_requests, samples.probe.request_of), replace(samples, mask=mask)
    return None, samples
