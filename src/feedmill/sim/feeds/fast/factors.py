"""Vectors of people and of videos by alternating least squares, with what they are described as in common.

The score of a view is ``u · v + b_u + b_v``. A vector with its bias, P numbers, is the sum of the vectors of the
attributes and of a part of its own; both are ridge estimates (Koren et al. 2009 for the factors; Gantner et al. 2010
and Kula 2015 for attributes in place of what has no views yet). A row without views is its attributes alone; with
views its own part grows.

Given the other side, each row's views come down to a matrix A = Σ w x x' and a vector h = Σ w x y, and that is all
that is needed for the exact fit of attributes and own parts together, and to go on learning view by view.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from feedmill.core.batches import Floats, Rows
from feedmill.sim.feeds.fast.descriptions import grown


class Attributes(NamedTuple):
    """Which codes a row has and which rows a code, as ``values[start[r]:start[r + 1]]``."""

    start: Rows
    codes: Rows
    row_start: Rows
    rows: Rows

    @staticmethod
    def of(start: Rows, codes: Rows, n_codes: int) -> Attributes:
        """Both ways round."""
        row_start = np.zeros(n_codes + 1, np.int32)
        np.cumsum(np.bincount(codes, minlength=n_codes), out=row_start[1:])
        owner = np.repeat(np.arange(len(start) - 1, dtype=np.int32), np.diff(start))
        return Attributes(start, codes, row_start, owner[np.argsort(codes, kind="stable")])


class Side:
    """One side of the model: N people or N videos.

    Attributes:
        n: rows there are.
        vectors: float32[room, P], the last of each its bias; what the score is made of.
        shared: float32[codes' room, P] of the attributes.
        gram: float32[room, P, P] the A of the views so far, given the other side.
        pull: float32[room, P] their h.
        doubt: float32[room, P, P] covariances of the factors.
    """

    def __init__(self, l2: Floats, draw: np.random.Generator, scale: float) -> None:
        n_factors = len(l2) - 1
        self.vectors: Floats = np.zeros((0, n_factors + 1), np.float32)
        self.shared: Floats = np.zeros((0, n_factors + 1), np.float32)
        self.gram: Floats = np.zeros((0, n_factors + 1, n_factors + 1), np.float32)
        self.pull: Floats = np.zeros((0, n_factors + 1), np.float32)
        self.doubt: Floats = np.zeros((0, n_factors + 1, n_factors + 1), np.float32)
        self._unknown = np.diag(np.append(1 / l2[:-1], 0)).astype(np.float32)
        self._draw, self._scale, self.n, self._n_codes = draw, scale, 0, 0

    def grow(self, attributes: Attributes) -> None:
        """Room for all; a new attribute begins near nothing (not at it, where both sides would stay), a new row as
        the sum of its attributes."""
        n, n_codes = len(attributes.start) - 1, len(attributes.row_start) - 1
        self.vectors, self.shared = grown(self.vectors, n), grown(self.shared, n_codes)
        self.gram, self.pull = grown(self.gram, n), grown(self.pull, n)
        self.doubt = grown(self.doubt, n)
        self.doubt[self.n : n] = self._unknown
        width = self.shared.shape[1]
        if n_codes > self._n_codes:
            begun = self._draw.standard_normal((n_codes - self._n_codes, width)).astype(np.float32) * self._scale
            begun[:, -1] = 0
            self.shared[self._n_codes : n_codes] = begun
        if n > self.n:
            begun = self._draw.standard_normal((n - self.n, width)).astype(np.float32) * self._scale
            begun[:, -1] = 0
            for row in range(self.n, n):
                codes = attributes.codes[attributes.start[row] : attributes.start[row + 1]]
                begun[row - self.n] += self.shared[codes].sum(0)
            self.vectors[self.n : n] = begun
        self.n, self._n_codes = n, n_codes


@njit(cache=True, nogil=True)
def add_views(
    first: int, last: int, rows: Rows, others: Rows, theirs: Floats, target: Floats, weight: Floats, gram: Floats,
    pull: Floats, doubt: Floats,
) -> None:  # fmt: skip
    """Add the views of rows first..last, in order, to their A and h.

    What is uncertain about the other side counts as noise, by its covariance: without it, vectors of few views would
    be believed and both sides would fit chance (variational Bayes; Lim and Teh 2007).

    Args:
        rows, others: int32[n] who learns and what from.
        theirs: float32[M, P] vectors of the other side.
        target: float32[n] what the score should be, but for both biases.
        weight: float32[n].
        doubt: float32[M, P, P] the other side's covariances.
    """
    width = theirs.shape[1]
    x = np.empty(width, np.float32)
    for t in range(len(rows)):
        row = rows[t]
        if row < first or row >= last:
            continue
        for a in range(width - 1):
            x[a] = theirs[others[t], a]
        x[width - 1] = 1
        y = target[t] - theirs[others[t], width - 1]
        for a in range(width):
            wx = weight[t] * x[a]
            pull[row, a] += wx * y
            for b in range(width):
                gram[row, a, b] += wx * x[b] + weight[t] * doubt[others[t], a, b]


@njit(cache=True, nogil=True)
def solve(matrix: Floats, right: Floats) -> None:
    """What ``right`` becomes: matrix^-1 right, for a symmetric positive matrix, which is overwritten (Cholesky)."""
    n = len(right)
    for c in range(n):
        for k in range(c):
            matrix[c, c] -= matrix[c, k] * matrix[c, k]
        root = np.sqrt(max(matrix[c, c], np.float32(1e-6)))
        matrix[c, c] = root
        for r in range(c + 1, n):
            total = matrix[r, c]
            for k in range(c):
                total -= matrix[r, k] * matrix[c, k]
            matrix[r, c] = total / root
        total = right[c]
        for k in range(c):
            total -= matrix[c, k] * right[k]
        right[c] = total / root
    for c in range(n - 1, -1, -1):
        total = right[c]
        for k in range(c + 1, n):
            total -= matrix[k, c] * right[k]
        right[c] = total / matrix[c, c]


@njit(cache=True, nogil=True)
def invert(root: Floats, out: Floats) -> None:
    """What ``out`` becomes: (L L')^-1 but for the bias, L the lower triangle that ``solve`` has left."""
    n = len(root)
    inverse = np.zeros((n, n), np.float32)
    for c in range(n):
        inverse[c, c] = 1 / root[c, c]
        for r in range(c + 1, n):
            total = np.float32(0)
            for k in range(c, r):
                total -= root[r, k] * inverse[k, c]
            inverse[r, c] = total / root[r, r]
    out[:] = 0
    for k in range(n):
        for a in range(min(k + 1, n - 1)):
            for b in range(min(k + 1, n - 1)):
                out[a, b] += inverse[k, a] * inverse[k, b]


@njit(cache=True, nogil=True)
def fit_rows(rows: Rows, attributes: Attributes, shared: Floats, gram: Floats, pull: Floats, l2: Floats,
             vectors: Floats,
             doubt: Floats) -> None:  # fmt: skip
    """The vectors of some rows: their attributes' sum and the own part that their views call for beside it; and the
    covariance of its factors, in units of the noise of a view."""
    width = vectors.shape[1]
    matrix, right, base = np.empty((width, width), np.float32), np.empty(width, np.float32), np.empty(width, np.float32)
    for row in rows:
        base[:] = 0
        for p in range(attributes.start[row], attributes.start[row + 1]):
            base += shared[attributes.codes[p]]
        for a in range(width):
            right[a] = pull[row, a]
            for b in range(width):
                matrix[a, b] = gram[row, a, b]
                right[a] -= gram[row, a, b] * base[b]
            matrix[a, a] += l2[a]
        solve(matrix, right)
        vectors[row] = base + right
        invert(matrix, doubt[row])


@njit(cache=True, nogil=True)
def fit_shared(attributes: Attributes, shared: Floats, gram: Floats, pull: Floats, l2: Floats, vectors: Floats) -> None:
    """One round over the attributes: each takes what the views of its rows leave over; ``vectors`` move along."""
    width = vectors.shape[1]
    matrix, right, new = np.empty((width, width), np.float32), np.empty(width, np.float32), np.empty(width, np.float32)
    for code in range(len(attributes.row_start) - 1):
        matrix[:], right[:] = 0, 0
        for p in range(attributes.row_start[code], attributes.row_start[code + 1]):
            row = attributes.rows[p]
            for a in range(width):
                left = pull[row, a]
                for b in range(width):
                    matrix[a, b] += gram[row, a, b]
                    left -= gram[row, a, b] * (vectors[row, b] - shared[code, b])
                right[a] += left
        for a in range(width):
            matrix[a, a] += l2[a]
        solve(matrix, right)
        new[:] = right - shared[code]
        shared[code] = right
        for p in range(attributes.row_start[code], attributes.row_start[code + 1]):
            vectors[attributes.rows[p]] += new


@njit(cache=True, nogil=True)
def score_pairs(users: Floats, items: Floats, user: Rows, item: Rows) -> Floats:
    """float32[n]: u · v + b_u + b_v."""
    out = np.empty(len(user), np.float32)
    last = users.shape[1] - 1
    for t in range(len(user)):
        total = users[user[t], last] + items[item[t], last]
        for a in range(last):
            total += users[user[t], a] * items[item[t], a]
        out[t] = total
    return out
