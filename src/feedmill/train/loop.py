"""The one training loop: shuffled in-memory index batches, Adam on the rows and the weights that they touch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from feedmill.core.clock import rng
from feedmill.core.progress import progress
from feedmill.features import FeatureBatch, FeatureSpec
from feedmill.models.attention import attend
from feedmill.models.embeddings import FusedEmbedding
from feedmill.train.config import Fitting
from feedmill.train.row_adam import RowAdam


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """Embedded fields and numbers of one batch: what a model's forward takes, beside ``request_of``."""

    user: Tensor
    user_numeric: Tensor
    item: Tensor
    item_numeric: Tensor
    request_of: Tensor


class Features:
    """A FeatureBatch in torch, cut by request: batch b holds requests and all of their candidates."""

    def __init__(self, spec: FeatureSpec, batch: FeatureBatch, embedding: FusedEmbedding) -> None:
        self._spec, self._embedding = spec, embedding
        self._user_ids = torch.from_numpy(batch.user_ids)
        self._user_numeric = torch.from_numpy(batch.user_numeric)
        self._item_ids = torch.from_numpy(batch.item_ids)
        self._item_numeric = torch.from_numpy(batch.item_numeric)
        n = len(batch.user_ids)
        self._start = np.searchsorted(batch.request_of, np.arange(n + 1))
        self._attended, self._candidate = spec.attended()

    def rows(self, requests: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The candidate rows of some requests, and the place in ``requests`` that each belongs to."""
        low, n = self._start[requests], self._start[requests + 1] - self._start[requests]
        of = np.repeat(np.arange(len(requests)), n)
        return np.arange(len(of)) - np.repeat(np.cumsum(n) - n, n) + low[of], of

    def inputs(self, requests: NDArray[np.int64], rows: NDArray[np.int64], of: NDArray[np.int64]) -> Inputs:
        """Embeddings and numbers of these requests and candidate rows."""
        r, c = torch.from_numpy(requests), torch.from_numpy(rows)
        mine, theirs, place = self._user_ids[r], self._item_ids[c], torch.from_numpy(of)
        bags = [(mine, self._spec.starts("user")), (theirs, self._spec.starts("item"))]
        if not self._attended:
            user, item = self._embedding(*bags)
            return Inputs(user, self._user_numeric[r], item, self._item_numeric[c], place)
        histories = [mine[:, first:last] for first, last in self._attended]
        user, item, query, *keys = self._embedding(
            *bags,
            (theirs[:, self._candidate, None], [0, 1]),
            *[(ids, list(range(ids.shape[1] + 1))) for ids in histories],
        )
        more = [attend(query[:, 0], key, ids > 0, place) for key, ids in zip(keys, histories, strict=True)]
        return Inputs(user, self._user_numeric[r], item, torch.cat([self._item_numeric[c], *more], dim=1), place)


@contextmanager
def deterministic() -> Iterator[None]:
    """Threads that add up a gradient in any order would make another model of the same seed."""
    before = torch.are_deterministic_algorithms_enabled()
    memory: Any = torch.utils.deterministic  # its one attribute is not declared
    filled = memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    memory.fill_uninitialized_memory = False  # nothing here reads what it did not write
    try:
        yield
    finally:
        memory.fill_uninitialized_memory = filled
        torch.use_deterministic_algorithms(before)


@contextmanager
def threads(n: int) -> Iterator[None]:
    """Train with n threads inside: benches compare programs, not machines."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def run(
    what: str,
    model: nn.Module,
    tables: Sequence[nn.Module],
    n_requests: int,
    loss: Callable[[NDArray[np.int64]], Tensor],
    fitting: Fitting,
    seed: int,
    is_enough: Callable[[], bool] | None = None,
) -> list[float]:
    """Minimise ``loss(request indices)``.

    Args:
        is_enough: asked after each epoch whether to stop before the last one.

    Returns:
        the mean loss of each epoch.
    """
    rows = [p for table in tables for p in table.parameters()]
    sparse = RowAdam(rows, fitting.learning_rate)
    weights = list(model.parameters())
    dense = torch.optim.Adam(weights, lr=fitting.learning_rate, fused=True) if weights else None
    random = rng(seed, what, "order")
    for module in (model, *tables):
        module.train()
    means, n_seen = [], 0
    with deterministic(), progress(what, fitting.epochs * n_requests) as advance:
        for _ in range(fitting.epochs):
            total, order = 0.0, random.permutation(n_requests)
            for at in range(0, n_requests, fitting.batch_size):
                requests = np.sort(order[at : at + fitting.batch_size])
                value = loss(requests)
                value.backward()  # type: ignore[no-untyped-call]
                if fitting.anneal:
                    sparse.learning_rate = fitting.learning_rate * (1 - n_seen / (fitting.epochs * n_requests))
                    for group in dense.param_groups if dense is not None else ():
                        group["lr"] = sparse.learning_rate
                n_seen += len(requests)
                sparse.step()
                if dense is not None:
                    dense.step()
                    dense.zero_grad()
                total += value.item() * len(requests)
                advance(len(requests))
            means.append(total / max(n_requests, 1))
            if is_enough is not None and is_enough():
                break
    for module in (model, *tables):
        module.eval()
    return means
