"""MMR: maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998)."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from msgspec import Meta
from numba import njit
from numpy.typing import NDArray

from feedmill.core.batches import CandidateBatch, Floats, Rows
from feedmill.core.config import Config
from feedmill.core.protocols import Picks
from feedmill.core.request import FeedRequest
from feedmill.rerank.notes import moved

LOWEST = np.finfo(np.float32).min


class MMRConfig(Config, frozen=True, kw_only=True):
    """How much value is given up for variety, and what counts as alike."""

    theta: Annotated[float, Meta(ge=0, le=1, description="weight of value against variety; 1 = value only")] = 0.7
    window: Annotated[int, Meta(ge=1, le=1000, description="slots before the next one that it should differ from")] = 10
    topic_weight: Annotated[
        float,
        Meta(ge=0, le=1, description="share of topics in the similarity; the rest is the item vectors'"),
    ] = 0.5


class MMR:
    """Picks, slot by slot, argmax theta value_i - (1 - theta) max_{j in the last ``window`` slots} sim(i, j).

    sim = topic_weight x (topics both have / topics either has) + (1 - topic_weight) x cosine of item vectors;
    by topics alone while there are no vectors. Value is stretched to [0, 1] over the candidates of the
    request first: theta then means the same whatever the value's scale, and a request of equal values is
    ordered by variety. Of equal candidates the first in order of value wins.

    Args:
        config: see MMRConfig.
        state: its catalogue has the topics.
        vectors: float32[N, D] by item row, or None; rows beyond it have no vector, which is like nothing.
    """

    Config = MMRConfig

    def __init__(self, config: MMRConfig, state: Any, vectors: Floats | None) -> None:
        self.config, self._state, self._vectors = config, state, vectors
        self._topic_weight = config.topic_weight if vectors is not None else 1.0
        none = np.zeros((0, 0), np.float32)
        pick(np.zeros(0, np.float32), none, none.astype(np.int32), 0.0, 0.0, 1, 0)  # warm

    def apply(self, request: FeedRequest, candidates: CandidateBatch, k: int) -> Picks:
        """min(k, C) rows; the note of what moved says how far and, where it fell, what it is like."""
        rows, alike = pick(
            stretch(candidates.value),
            self._unit(candidates.item),
            np.ascontiguousarray(self._state.catalogue.topics[candidates.item]),
            self.config.theta,
            self._topic_weight,
            self.config.window,
            max(0, min(k, len(candidates))),
        )
        return Picks(rows, tuple(map(note, range(len(rows)), rows.tolist(), alike.tolist())))

    def _unit(self, item: Rows) -> Floats:
        """float32[D, C] of length 1, or 0 for items without a usable vector."""
        if self._vectors is None:
            return np.zeros((0, len(item)), np.float32)
        known = item < len(self._vectors)
        vectors = np.asarray(self._vectors[np.where(known, item, 0)], np.float32).T
        length = np.sqrt(np.einsum("dc,dc->c", vectors, vectors))
        out = np.zeros(vectors.shape, np.float32)
        np.divide(vectors, length, out=out, where=known & np.isfinite(length) & (length > 0))
        return out


def note(now: int, was: int, alike: float) -> str:
    """What a reader is told of one pick; ``alike`` is its similarity to the nearest slot before it."""
    if now == was:
        return ""
    reason = f"{alike:.0%} like one shown before it" if now > was and alike > 0 else "for variety"
    return f"MMR {moved(now, was)}, {reason}"


def stretch(value: Floats) -> Floats:
    """float32[C] in [0, 1]: the request's lowest value to its highest; what has sunk (no score) is 0."""
    there = np.isfinite(value) & (value > LOWEST)
    out = np.zeros(len(value), np.float32)
    if there.any():
        low, high = float(value[there].min()), float(value[there].max())
        out[there] = (value[there].astype(np.float64) - low) / (high - low) if high > low else 1
    return out


@njit(cache=True, nogil=True)
def pick(
    value: Floats, vectors: Floats, topics: Rows, theta: float, topic_weight: float, window: int, k: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """int32[k] rows in order, and float32[k] the similarity of each to the nearest of its window.

    ``near[s]`` has the similarities of all candidates to the pick in slot s mod window. While nothing has
    left the window their maximum is kept up as it goes; after that it is taken anew.
    """
    n = len(value)
    rows, alike = np.empty(k, np.int32), np.zeros(k, np.float32)
    near = np.zeros((min(window, max(k, 1)), n), np.float32)
    most, taken = np.zeros(n, np.float32), np.zeros(n, np.bool_)
    for slot in range(k):
        best, best_score = -1, 0.0
        for i in range(n):
            score = theta * value[i] - (1 - theta) * most[i]
            if not taken[i] and (best < 0 or score > best_score):
                best, best_score = i, score
        rows[slot], alike[slot], taken[best] = best, most[best], True
        line = near[slot % len(near)]
        compare(line, vectors, topics, topic_weight, best)
        if 0 < slot < len(near):
            maximum(most, line, most)
        else:
            maximum(near[0], near[0], most)
            for s in range(1, min(slot + 1, len(near))):
                maximum(most, near[s], most)
    return rows, alike


@njit(cache=True, nogil=True)
def maximum(a: Floats, b: Floats, out: Floats) -> None:
    """The larger of each two, without an array in between; array expressions also take seconds to compile."""
    for i in range(len(out)):
        out[i] = max(a[i], b[i])


@njit(cache=True, nogil=True)
def compare(line: Floats, vectors: Floats, topics: Rows, topic_weight: float, j: int) -> None:
    """Fill ``line`` float32[C] with the similarity of every candidate to j; ``vectors`` is float32[D, C]."""
    for i in range(len(line)):
        line[i] = 0
    if topic_weight < 1:
        share = np.float32(1 - topic_weight)
        for d in range(len(vectors)):
            x, column = share * vectors[d, j], vectors[d]
            for i in range(len(line)):  # along the candidates: the processor takes eight at a time
                line[i] += x * column[i]
    if topic_weight > 0:
        for i in range(len(line)):
            line[i] += topic_weight * overlap(topics[i], topics[j])


@njit(cache=True, nogil=True)
def overlap(a: Rows, b: Rows) -> float:
    """Jaccard of two sets of topics, padded with 0 at the end: those in both / those in either."""
    n_a, n_b, both = 0, 0, 0
    while n_b < len(b) and b[n_b] > 0:
        n_b += 1
    while n_a < len(a) and a[n_a] > 0:
        for t in range(n_b):
            if a[n_a] == b[t]:
                both += 1
                break
        n_a += 1
    return both / (n_a + n_b - both) if both > 0 else 0.0
