"""MMR: maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998)."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from feedmill.core.batches import CandidateBatch, Floats
from feedmill.core.protocols import Picks
from feedmill.core.request import FeedRequest
from feedmill.rerank import kernels
from feedmill.rerank.notes import moved
from feedmill.rerank.similarity import Similarity, VarietyConfig, noise, stretch


class MMRConfig(VarietyConfig, frozen=True, kw_only=True):
    """How much value is given up for variety, and what counts as alike."""

    theta: Annotated[float, Meta(ge=0, le=1, description="weight of value against variety; 1 = value only")] = 0.7


class MMR:
    """Picks, slot by slot, argmax theta value_i - (1 - theta) max_{j in the last ``window`` slots} sim(i, j).

    ``similarity.Similarity`` says what is alike. Value is stretched to [0, 1] over the candidates of the request first:
    theta then means the same whatever the value's scale, and a request of equal values is ordered by variety. Of equal
    candidates the first in order of value wins.

    Args:
        config: see MMRConfig.
        state: its catalogue has the topics and authors.
        vectors: float32[N, D] by item row, or None; rows beyond it have no vector, which is like nothing.
    """

    Config = MMRConfig

    def __init__(self, config: MMRConfig, state: Any, vectors: Floats | None) -> None:
        self.config, self._alike = config, Similarity(config, state, vectors)
        self._pick(np.zeros(0, np.float32), np.zeros(0, np.int32), 0, 0)  # warm

    def apply(self, request: FeedRequest, candidates: CandidateBatch, k: int) -> Picks:
        """min(k, C) rows; the note of what moved says how far and, where it fell, what it is like."""
        k = max(0, min(k, len(candidates)))
        rows, alike = self._pick(stretch(candidates.value), candidates.item, k, request.seed)
        return Picks(rows, tuple(map(note, range(len(rows)), rows.tolist(), alike.tolist())))

    def _pick(self, value: Floats, item: Any, k: int, seed: int) -> tuple[Any, Any]:
        config, alike = self.config, self._alike.of(item)
        drawn = noise(config.temperature, seed, "mmr", k, len(item))
        columns = (value, drawn, alike.vectors, alike.topics, alike.author)
        weights = (config.theta, alike.topic_weight, alike.author_weight)
        rows, near = kernels.mmr(*columns, *weights, config.window, k)
        return rows, near


def note(now: int, was: int, alike: float) -> str:
    """What a reader is told of one pick; ``alike`` is its similarity to the nearest slot before it."""
    if now == was:
        return ""
    reason = f"{alike:.0%} like one shown before it" if now > was and alike > 0 else "for variety"
    return f"MMR {moved(now, was)}, {reason}"
