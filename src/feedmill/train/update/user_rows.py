"""The rows of user ids of one table: what moves between two full passes, in order of the log.

Everything else stands still, so a step needs the gradient by the user's own vector alone: the graph that torch builds
holds what depends on it, and no weight has a gradient.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from feedmill.core.batches import Floats, Rows
from feedmill.features import FeatureSpec
from feedmill.features.grown import USER_TABLE
from feedmill.features.served.pooling import pool
from feedmill.publish.delta import Change
from feedmill.train.update.config import IncrementalConfig

SOURCE, EMBEDDING, SQUARES = "user.id", "embedding", "squares"


class UserRows:
    """A table of which only the rows of user ids move, each at a rate of its own.

    Row r moves by alpha g / (beta + sqrt(G_r)), where G_r sums the mean squares of its gradients: the rate of He et al.
    2014 (section 3.2), for rows rather than coordinates (Duchi et al. 2011). Nothing but G is remembered.

    Args:
        spec: with a field of user ids, and a table that is theirs alone.
        table: float32[V, D], copied.
    """

    def __init__(self, spec: FeatureSpec, table: Floats, config: IncrementalConfig) -> None:
        fields = spec.side("user")
        self.field = next(i for i, f in enumerate(fields) if f.source == SOURCE)
        self.table, self._base, self._config = np.array(table, np.float32), table, config
        self._starts = np.array(spec.starts("user"), np.int32)
        self._column = int(self._starts[self.field])
        self._low = spec.offsets()[USER_TABLE] + 1
        self._squares = np.zeros(spec.tables[USER_TABLE], np.float32)
        self._moved = np.zeros(spec.tables[USER_TABLE], np.bool_)

    @staticmethod
    def has(spec: FeatureSpec) -> bool:
        """Whether a model of this spec has rows that may move."""
        return any(f.source == SOURCE and f.table == USER_TABLE for f in spec.side("user"))

    @property
    def moved(self) -> Rows:
        """int32[n] rows of the table that have moved, ascending."""
        return (np.flatnonzero(self._moved) + self._low).astype(np.int32)

    def step(self, user_ids: Rows, loss: Callable[[Tensor], Tensor]) -> None:
        """One step against a loss that is a sum over rows.

        Args:
            user_ids: int32[R, Wu] of ``assemble``.
            loss: float32[R, Fu, D] embedded fields -> scalar.
        """
        pooled = torch.from_numpy(pool(self.table, user_ids, self._starts))
        own = pooled[:, self.field].clone().requires_grad_()
        with torch.enable_grad():
            fields = torch.cat([pooled[:, : self.field], own[:, None], pooled[:, self.field + 1 :]], dim=1)
            (gradient,) = torch.autograd.grad(loss(fields), own)
        rows = user_ids[:, self._column]
        known = rows > 0
        self._move(rows[known], gradient.numpy()[known])

    def _move(self, rows: Rows, gradient: Floats) -> None:
        distinct, place = np.unique(rows, return_inverse=True)
        summed = np.zeros((len(distinct), gradient.shape[1]), np.float32)
        np.add.at(summed, place, gradient)
        at = distinct.astype(np.int64) - self._low
        self._moved[at] = True
        move(self.table, self._squares, distinct, at, summed, self._config.alpha, self._config.beta)

    def changes(self) -> dict[str, Change]:
        """What a delta says of this table: rows, and what sets their rates."""
        rows = self.moved
        squares = self._squares[rows - self._low]
        return {EMBEDDING: Change(rows, self.table[rows]), SQUARES: Change(rows, squares)}

    def back_to(self, embedding: Change | None, squares: Change | None) -> None:
        """Be as another learner was whose ``changes`` these are; rows that have moved since count as moved."""
        moved = self.moved
        self.table[moved] = self._base[moved]
        self._squares[:] = 0
        if embedding is not None and squares is not None:
            self.table[embedding.rows] = embedding.values
            self._moved[embedding.rows - self._low] = True
            self._squares[squares.rows - self._low] = squares.values


@njit(cache=True, nogil=True)
def move(
    table: Floats, squares: Floats, rows: Rows, at: NDArray[np.int64], gradient: Floats, alpha: float, beta: float
) -> None:
    """One step of each of some distinct rows; ``at`` is their place in ``squares``."""
    for k in range(len(rows)):
        g = gradient[k]
        mean = np.float32(0)
        for d in range(len(g)):
            mean += g[d] * g[d]
        squares[at[k]] += mean / np.float32(len(g))
        rate = np.float32(alpha) / (np.float32(beta) + np.sqrt(squares[at[k]]))
        for d in range(len(g)):
            table[rows[k], d] -= rate * g[d]
