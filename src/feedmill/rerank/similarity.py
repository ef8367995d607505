"""What makes two items alike: a mix of vectors, topics and authors."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np
from msgspec import Meta
from numba import njit

from feedmill.core.batches import Floats, Mask, Rows
from feedmill.core.clock import rng
from feedmill.core.config import Config
from feedmill.core.errors import ConfigError

LOWEST = np.finfo(np.float32).min


class VarietyConfig(Config, frozen=True, kw_only=True):
    """What counts as alike, and how far back it matters.

    Raises:
        ConfigError: the weights are more than 1 together.
    """

    window: Annotated[int, Meta(ge=1, le=1000, description="slots before the next one that it should differ from")] = 10
    topic_weight: Annotated[
        float, Meta(ge=0, le=1, description="share of topics in the similarity; the rest is the item vectors'")
    ] = 0.5
    author_weight: Annotated[float, Meta(ge=0, le=1, description="share of having the same author")] = 0.0
    temperature: Annotated[
        float, Meta(ge=0, description="draw each slot with this much Gumbel noise on its score; 0 = always the best")
    ] = 0.0

    def __post_init__(self) -> None:
        if self.topic_weight + self.author_weight > 1 + 1e-9:
            raise ConfigError(
                f"topic_weight {self.topic_weight:g} and author_weight {self.author_weight:g}",
                "at most 1 together; the rest is the item vectors'",
            )


class Alike(NamedTuple):
    """The candidates as the kernels read them."""

    vectors: Floats
    topics: Rows
    author: Rows
    topic_weight: float
    author_weight: float


class Similarity:
    """sim = topic_weight x (topics both have / topics either has) + author_weight x [same author] + rest x cosine of
    item vectors.

    Without vectors topics and authors have the whole weight, in the proportion configured (topics alone if neither has
    any).

    Args:
        config: see VarietyConfig.
        state: its catalogue has topics and authors.
        vectors: float32[N, D] by item row, or None; rows beyond it have no vector, which is like nothing.
    """

    def __init__(self, config: VarietyConfig, state: Any, vectors: Floats | None) -> None:
        self._state, self._vectors = state, vectors
        topic, author = config.topic_weight, config.author_weight
        if vectors is None:
            total = topic + author
            topic, author = (topic / total, author / total) if total > 0 else (1.0, 0.0)
        self.weights = float(topic), float(author)

    def of(self, item: Rows) -> Alike:
        """Of C candidate rows."""
        catalogue = self._state.catalogue
        topics, author = np.ascontiguousarray(catalogue.topics[item].T), np.ascontiguousarray(catalogue.author[item])
        return Alike(self._unit(item), topics, author, *self.weights)

    def _unit(self, item: Rows) -> Floats:
        """float32[D, C] of length 1, or 0 for items without a usable vector."""
        if self._vectors is None:
            return np.zeros((0, len(item)), np.float32)
        is_known = item < len(self._vectors)
        rows = np.take(self._vectors, item, axis=0, mode="clip")
        return unit_columns(np.ascontiguousarray(rows, np.float32), is_known)


def stretch(value: Floats) -> Floats:
    """float32[C] in [0, 1]: the request's lowest value to its highest; what has sunk (no score) is 0."""
    there = np.isfinite(value) & (value > LOWEST)
    out = np.zeros(len(value), np.float32)
    if there.any():
        low, high = float(value[there].min()), float(value[there].max())
        out[there] = (value[there].astype(np.float64) - low) / (high - low) if high > low else 1
    return out


def noise(temperature: float, seed: int, rule: str, k: int, n: int) -> Floats:
    """float32[k, n] Gumbel noise: the best of scores with it is drawn by softmax(score / temperature). [0, n] for 0."""
    if temperature == 0:
        return np.zeros((0, n), np.float32)
    return (temperature * rng(seed, rule).gumbel(size=(k, n))).astype(np.float32)


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})  # the sum of squares in any order
def unit_columns(rows: Floats, is_known: Mask) -> Floats:
    """float32[D, C] of float32[C, D] rows, each of length 1; 0 for those not known, not finite, or 0."""
    n, width = rows.shape
    out = np.zeros((width, n), np.float32)
    inverse = np.zeros(n, np.float32)
    for i in range(n):
        square = np.float32(0)
        for d in range(width):
            square += rows[i, d] * rows[i, d]
        if is_known[i] and 0 < square < np.inf:
            inverse[i] = 1 / np.sqrt(square)
    whole = n // 8 * 8
    for first in range(0, whole, 8):  # a line of ``out`` is written eight candidates at a time
        for d in range(width):
            for i in range(first, first + 8):
                out[d, i] = rows[i, d] * inverse[i] if inverse[i] > 0 else np.float32(0)
    for i in range(whole, n):
        if inverse[i] > 0:
            for d in range(width):
                out[d, i] = rows[i, d] * inverse[i]
    return out
