"""Duplicates: the same thing does not come twice in a row of slots, under whichever id."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from feedmill.core.batches import CandidateBatch, Floats
from feedmill.core.protocols import Picks
from feedmill.core.request import FeedRequest
from feedmill.rerank import kernels
from feedmill.rerank.notes import moved
from feedmill.rerank.similarity import Similarity, VarietyConfig


class DuplicatesConfig(VarietyConfig, frozen=True, kw_only=True):
    """From which similarity on two items are one and the same."""

    limit: Annotated[float, Meta(gt=0, le=1, description="similarity from which two items are near-duplicates")] = 0.95
    window: Annotated[int, Meta(ge=1, le=1000, description="slots before the one that is filled")] = 50
    topic_weight: Annotated[
        float, Meta(ge=0, le=1, description="share of topics in the similarity; the rest is the item vectors'")
    ] = 0.0


class Duplicates:
    """Fills slots in the given order, passing over near-duplicates of what is shown in the ``window`` slots before.

    What was passed over takes the first slot it fits; when nothing else is left it comes all the same, and the note
    says so. Without item vectors, topics (or authors) would be all there is to tell items by, and the rule leaves the
    order alone unless they are given a weight.

    Args:
        config: see DuplicatesConfig.
        state: its catalogue has the topics and authors.
        vectors: float32[N, D] by item row, or None.
    """

    Config = DuplicatesConfig

    def __init__(self, config: DuplicatesConfig, state: Any, vectors: Floats | None) -> None:
        self.config, self._alike = config, Similarity(config, state, vectors)
        self._is_blind = vectors is None and config.topic_weight + config.author_weight == 0
        self._pick(np.zeros(0, np.int32), 0)  # warm

    def apply(self, request: FeedRequest, candidates: CandidateBatch, k: int) -> Picks:
        """min(k, C) rows; notes say how alike what was held back is to what came before."""
        rows, relaxed, in_the_way = self._pick(candidates.item, max(0, min(k, len(candidates))))
        columns = (rows.tolist(), relaxed.tolist(), in_the_way[rows].tolist())
        return Picks(rows, tuple(map(note, range(len(rows)), *columns)))

    def _pick(self, item: Any, k: int) -> tuple[Any, Any, Any]:
        config, alike = self.config, self._alike.of(item)
        limit = np.inf if self._is_blind else config.limit
        weights = (limit, alike.topic_weight, alike.author_weight, config.window)
        found: tuple[Any, Any, Any] = kernels.apart(alike.vectors, alike.topics, alike.author, *weights, len(item), k)
        return found


def note(now: int, was: int, relaxed: bool, alike: float) -> str:
    """What a reader is told of one pick."""
    if relaxed:
        return f"duplicates relaxed: {alike:.0%} like one shown before it, nothing else was left"
    if now == was:
        return ""
    return f"duplicates {moved(now, was)}, " + (f"{alike:.0%} like one before it" if now > was else "others held back")
