"""Logistic regression on sparse one-hot rows, learnt one row after the other with a rate for each coordinate.

FTRL-proximal (McMahan et al. 2013, "Ad click prediction: a view from the trenches", algorithm 1). With l1 = l2 = 0 it
is gradient descent with the per-coordinate rate

    eta_j = alpha / (beta + sqrt(sum of g_j²))

which did best of five in He et al. 2014 (section 3.2): a leaf that few rows reach keeps learning fast while the
busy ones have settled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from msgspec import Meta
from numba import njit
from numpy.typing import NDArray

from feedmill.core.batches import Rows
from feedmill.core.config import Config
from feedmill.core.errors import ArtifactError, DataError

Doubles = NDArray[np.float64]
MAX_LOGIT = 35.0  # beyond, the probability is 1 to the last digit


class OnlineLrConfig(Config, frozen=True):
    """How fast the logistic regression learns; table ``[rank.lr]``."""

    alpha: Annotated[float, Meta(gt=0, description="rate alpha / (beta + sqrt(sum g²)); about 1 / n_trees")] = 0.01
    beta: Annotated[float, Meta(gt=0, description="keeps the first steps of a coordinate small")] = 1.0
    l1: Annotated[float, Meta(ge=0, description="weights whose summed gradient is less stay where they began")] = 0.0
    l2: Annotated[float, Meta(ge=0, description="pulls weights back to where they began")] = 0.0


class OnlineLr:
    """Weights of M coordinates, with the accumulators that set their rates.

    Args:
        start: float64[M], where the weights begin, and what l1 and l2 draw them back to.
    """

    def __init__(self, config: OnlineLrConfig, start: Doubles) -> None:
        self.config = config
        self.start = np.array(start, np.float64)
        self._z, self._n = np.zeros_like(self.start), np.zeros_like(self.start)

    @property
    def weight(self) -> Doubles:
        """float64[M]."""
        c = self.config
        out: Doubles = _weights(self.start, self._z, self._n, c.alpha, c.beta, c.l1, c.l2)
        return out

    def predict(self, active: Rows) -> Doubles:
        """float64[n] probabilities of rows of int32[n, K] active coordinates; a negative one is none."""
        _check(active, len(self.start))
        padded = np.append(self.weight, 0.0)  # -1 is the last
        return _sigmoid(padded[np.maximum(active, -1)].sum(axis=1))

    def update(self, active: Rows, labels: NDArray[Any], weight: NDArray[Any] | None = None) -> Doubles:
        """Predict a row, then learn from it; rows in order.

        The probabilities are those from before each row was learnt, so the loss they give is that of rows nobody had
        seen: progressive validation (Blum, Kalai and Langford 1999).

        Args:
            active: int32[n, K], negative = none.
            labels: [n] of 0 and 1.
            weight: [n], what a row's loss counts for; 1 without. Rows of weight 0 teach nothing.

        Returns:
            float64[n].

        Raises:
            DataError: lengths differ, a label is neither 0 nor 1, a weight negative or not finite.
        """
        active = np.ascontiguousarray(active, np.int32)
        y = np.asarray(labels, np.float64)
        w = np.ones(len(y)) if weight is None else np.asarray(weight, np.float64)
        _check(active, len(self.start))
        check_rows(len(active), y, w)
        c = self.config
        probs: Doubles = _learn(active, y, w, self.start, self._z, self._n, c.alpha, c.beta, c.l1, c.l2)
        return probs

    def arrays(self) -> dict[str, Doubles]:
        """What a part keeps, so that learning goes on where it stopped."""
        return {"lr.start": self.start, "lr.gradient": self._z, "lr.squares": self._n}

    @staticmethod
    def of(config: OnlineLrConfig, arrays: Mapping[str, NDArray[Any]]) -> OnlineLr:
        """The inverse of ``arrays``; they are copied, for those of a part are read-only.

        Raises:
            ArtifactError: an array is missing, or lengths differ.
        """
        try:
            lr = OnlineLr(config, arrays["lr.start"])
            lr._z, lr._n = np.array(arrays["lr.gradient"]), np.array(arrays["lr.squares"])
        except KeyError as e:
            raise ArtifactError(f"a regression without the array {e}", "its three arrays", "train again") from e
        if not len(lr.start) == len(lr._z) == len(lr._n):
            raise ArtifactError(
                f"arrays of {len(lr.start)}, {len(lr._z)} and {len(lr._n)} numbers", "one length", "train again"
            )
        return lr


def check_rows(n: int, labels: Doubles, weight: Doubles) -> None:
    """Raises DataError: labels or weights that nothing can be learnt from."""
    if not len(labels) == len(weight) == n:
        raise DataError(f"{len(labels)} labels and {len(weight)} weights for {n} rows", "one of each per row")
    if not np.isin(labels, (0, 1)).all():
        bad = labels[~np.isin(labels, (0, 1))][:5].tolist()
        raise DataError(f"labels {bad}", "0 and 1", "leave out the rows whose label is not known")
    if not (np.isfinite(weight) & (weight >= 0)).all():
        raise DataError("weights that are negative or not finite", "1 / the probability with which a row was kept")


def _check(active: Rows, n: int) -> None:
    if active.ndim != 2 or (active.size and int(active.max()) >= n):
        raise DataError(f"coordinates {list(active.shape)} up to {active.max(initial=-1)}", f"[rows, active] below {n}")


def _sigmoid(logit: Doubles) -> Doubles:
    p: Doubles = 1 / (1 + np.exp(-np.clip(logit, -MAX_LOGIT, MAX_LOGIT)))
    return p


@njit(cache=True, nogil=True, inline="always")
def _weight(start, z, n, alpha, beta, l1, l2):  # type: ignore[no-untyped-def]
    """McMahan et al. 2013, equation 3, as a distance from the start."""
    if abs(z) <= l1:
        return start
    return start - (z - np.sign(z) * l1) / ((beta + np.sqrt(n)) / alpha + l2)


@njit(cache=True, nogil=True)
def _weights(start, z, n, alpha, beta, l1, l2):  # type: ignore[no-untyped-def]
    out = np.empty_like(start)
    for j in range(len(start)):
        out[j] = _weight(start[j], z[j], n[j], alpha, beta, l1, l2)
    return out


@njit(cache=True, nogil=True)
def _learn(active, labels, weight, start, z, n, alpha, beta, l1, l2):  # type: ignore[no-untyped-def]
    rows, k = active.shape
    probs = np.empty(rows)
    for r in range(rows):
        logit = 0.0
        for i in range(k):
            j = active[r, i]
            if j >= 0:
                logit += _weight(start[j], z[j], n[j], alpha, beta, l1, l2)
        p = 1 / (1 + np.exp(-min(max(logit, -35.0), 35.0)))
        probs[r] = p
        g = weight[r] * (p - labels[r])
        if g == 0.0:
            continue
        for i in range(k):
            j = active[r, i]
            if j >= 0:
                w = _weight(start[j], z[j], n[j], alpha, beta, l1, l2) - start[j]
                sigma = (np.sqrt(n[j] + g * g) - np.sqrt(n[j])) / alpha
                z[j] += g - sigma * w
                n[j] += g * g
    return probs
