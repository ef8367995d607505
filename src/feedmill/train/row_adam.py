"""Adam for the rows of a table that a batch has read, in one pass.

torch.optim.SparseAdam does the same sums, and sorts the rows three times for it: a millisecond of a step of nine.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from torch import nn

Floats = NDArray[np.float32]
BETAS = (0.9, 0.999)
EPS = 1e-8


class Moments(NamedTuple):
    """Running means of the gradient and of its square."""

    first: Floats
    second: Floats

    @staticmethod
    def like(x: nn.Parameter) -> Moments:
        return Moments(np.zeros(x.shape, np.float32), np.zeros(x.shape, np.float32))


def corrections(learning_rate: float, step: int) -> tuple[float, float]:
    """What makes up for moments that start at 0: the rate of the first, the scale of the second's root."""
    return learning_rate / (1 - BETAS[0] ** step), 1 / float(np.sqrt(1 - BETAS[1] ** step))


class RowAdam:
    """Kingma and Ba, ICLR 2015, lazily: moments and rows move only where there is a gradient, as with SparseAdam.

    Args:
        tables: float32[V, D].
    """

    def __init__(self, tables: Iterable[nn.Parameter], learning_rate: float) -> None:
        self._tables, self.learning_rate, self._step = list(tables), learning_rate, 0
        self._moments = [Moments.like(p) for p in self._tables]
        self._place_of = [np.zeros(len(p), np.int64) for p in self._tables]

    def step(self) -> None:
        """Moves the rows and drops the gradients."""
        self._step += 1
        for table, moments, place_of in zip(self._tables, self._moments, self._place_of, strict=True):
            if table.grad is None:
                continue
            rows, gradient = table.grad._indices().numpy()[0], table.grad._values().numpy()
            rows_step(
                table.detach().numpy(), rows, gradient, place_of, *moments, *corrections(self.learning_rate, self._step)
            )
            table.grad = None


@njit(cache=True, nogil=True)
def move(x: Floats, g: Floats, first: Floats, second: Floats, rate: float, scale: float) -> None:
    """One step of one row."""
    a, b = np.float32(1 - BETAS[0]), np.float32(1 - BETAS[1])
    r, s, eps = np.float32(rate), np.float32(scale), np.float32(EPS)
    for d in range(len(x)):
        first[d] += a * (g[d] - first[d])
        second[d] += b * (g[d] * g[d] - second[d])
        x[d] -= r * first[d] / (np.sqrt(second[d]) * s + eps)


@njit(cache=True, nogil=True)
def rows_step(
    table: Floats,
    rows: NDArray[np.int64],
    gradient: Floats,
    place_of: NDArray[np.int64],
    first: Floats,
    second: Floats,
    rate: float,
    scale: float,
) -> None:
    """One step of the rows named; a row that is named again adds its gradient to where it was named first.

    Args:
        place_of: int64[V], all 0, and so again at the end.
    """
    for k in range(len(rows)):
        before = place_of[rows[k]]
        if before > 0:
            gradient[before - 1] += gradient[k]
        else:
            place_of[rows[k]] = k + 1
    for k in range(len(rows)):
        row = rows[k]
        if place_of[row] == k + 1:
            move(table[row], gradient[k], first[row], second[row], rate, scale)
    for k in range(len(rows)):
        place_of[rows[k]] = 0
