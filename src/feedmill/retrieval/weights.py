"""Weights of channels, learned from what held-out users chose and shrunk to equal ones.

A held-out slice of a log is rarely what comes next, and weights tuned on it lose to equal ones often enough. So there
is one weight a channel and no more, and equal weights count as much as what many users did.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Mask, Rows

_STEPS, _ENOUGH = 100, 1e-9


def fit_weights(features: Floats, positive: Mask, request_of: Rows, shrinkage: float) -> NDArray[np.float64]:
    """float64[M] >= 0 with a mean of 1: the minimum over w = 1 + d of

        mean over requests of -log softmax(b X w)[positive]  +  shrinkage / (2 R) |d|²,

    where b is fitted first, with equal weights: how sure the added scores may be. The mean goes over the positives of
    a request; R requests have one among their candidates, the others teach nothing. The function is convex, so a few
    Newton steps end at its one minimum. Weights below 0 become 0.

    Args:
        features: float32[C, M] scaled scores (``merge.scaled``) of every request's candidates.
        positive: bool[C], which were chosen.
        request_of: int32[C], ascending: the request of each candidate.
        shrinkage: requests that equal weights count as; 0 = trust the sample.
    """
    n_channels = features.shape[1]
    problem = _Problem.of(features, positive, request_of)
    if problem is None or n_channels < 2:
        return np.ones(n_channels)
    added = problem.x.sum(axis=1, keepdims=True)
    spread = float(added.std()) or 1.0
    sure = _minimise(problem._replace(x=added / spread), np.zeros(1), np.zeros(1), 1e-3)[0] / spread
    if not sure > 0:  # the added scores say nothing, so no sum of them can be trusted to
        return np.ones(n_channels)
    ones = np.ones(n_channels)
    pull = max(shrinkage / problem.n_requests, 1e-6)
    weights = np.maximum(_minimise(problem._replace(x=problem.x * sure), ones, ones, pull), 0)
    return weights / weights.mean() if weights.any() else ones


class _Problem(NamedTuple):
    x: NDArray[np.float64]  # [C, M]
    target: NDArray[np.float64]  # [C], 1 / (positives of the request) at each
    start: NDArray[np.intp]  # [R] the first candidate of each request
    n_requests: int

    @staticmethod
    def of(features: Floats, positive: Mask, request_of: Rows) -> _Problem | None:
        """Requests with a positive; None = there are none."""
        n_positive = np.bincount(request_of, positive, minlength=1)
        keep = n_positive[request_of] > 0
        if not keep.any():
            return None
        request = request_of[keep]
        start = np.flatnonzero(np.r_[True, request[1:] != request[:-1]])
        target = positive[keep] / n_positive[request]
        return _Problem(features[keep].astype(np.float64), target, start, len(start))

    def at(self, w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
        """Mean loss, its gradient [M] and second derivatives [M, M]."""
        sizes = np.diff(np.r_[self.start, len(self.x)])
        z = self.x @ w
        z -= np.repeat(np.maximum.reduceat(z, self.start), sizes)
        e = np.exp(z)
        total = np.add.reduceat(e, self.start)
        p = e / np.repeat(total, sizes)
        loss = (np.log(total).sum() - self.target @ z) / self.n_requests
        px = p[:, None] * self.x
        means = np.add.reduceat(px, self.start, axis=0)
        slope = (px.sum(axis=0) - self.target @ self.x) / self.n_requests
        return float(loss), slope, (px.T @ self.x - means.T @ means) / self.n_requests


def _minimise(
    problem: _Problem, w: NDArray[np.float64], centre: NDArray[np.float64], pull: float
) -> NDArray[np.float64]:
    """Newton's method on loss + pull/2 |w - centre|², each step halved until it descends."""

    def at(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
        loss, slope, curve = problem.at(w)
        away = w - centre
        return loss + pull / 2 * float(away @ away), slope + pull * away, curve + pull * np.eye(len(w))

    value, slope, curve = at(w)
    for _ in range(_STEPS):
        step = np.linalg.solve(curve, slope)
        fall, size = float(slope @ step), 1.0
        while (new := at(w - size * step))[0] > value - 1e-4 * size * fall and size > 1e-6:
            size /= 2
        w = w - size * step
        value, slope, curve = new
        if fall < _ENOUGH:
            break
    return w
