"""What everybody likes at the moment: the channel that answers for a user nobody knows."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from feedmill.core.batches import CandidateBatch, Interactions, Part, UserColumns
from feedmill.core.config import Config
from feedmill.core.request import FeedRequest

DAY_MS = 86_400_000.0


class PopularConfig(Config, frozen=True, kw_only=True):
    """How fast popularity fades."""

    half_life_days: Annotated[
        float, Meta(ge=0, description="days in which an interaction's weight halves; 0 = it never fades")
    ] = 7.0


class PopularChannel:
    """The items with the most interest of late: the same for everyone.

    score(i) = sum over the interactions of i of like x 2^(-age / half-life), age counted back from the
    newest interaction. Equal scores are ordered by item row.

    Args:
        name: the channel's name.
        config: see PopularConfig.
        part: arrays ``item`` int32[n] and ``score`` float32[n], best first.
        state: not needed.
    """

    Config = PopularConfig

    def __init__(self, name: str, config: PopularConfig, part: Part, state: Any) -> None:
        self.name = name
        self._item, self._score = part.arrays["item"], part.arrays["score"]

    @classmethod
    def build(cls, interactions: Interactions, state: Any, config: PopularConfig, seed: int) -> Part:
        """Count; ``seed`` is not needed."""
        weight = interactions.like.astype(np.float64)
        if config.half_life_days > 0 and len(weight):
            age_days = (interactions.time_ms.max() - interactions.time_ms) / DAY_MS
            weight *= np.exp2(-age_days / config.half_life_days)
        score = np.bincount(interactions.item, weight, minlength=interactions.n_items)
        liked = np.bincount(interactions.item, interactions.like > 0, minlength=len(score)) > 0
        liked[:1] = False  # row 0 is no item
        item = np.flatnonzero(liked)
        item = item[np.lexsort((item, -score[item]))]
        # Ordered in float64, where interest from years ago is still more than none.
        arrays = {"item": item.astype(np.int32), "score": score[item].astype(np.float32)}
        return Part("popular", msgspec.to_builtins(config), arrays)

    def fetch(self, request: FeedRequest, user: UserColumns, limit: int) -> CandidateBatch:
        """The top ``limit``; a slice of what is stored, so a larger limit costs next to nothing."""
        n = max(limit, 0)
        return CandidateBatch.of(self.name, np.array(self._item[:n]), np.array(self._score[:n]))
