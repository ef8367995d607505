"""More of the topics, or of the authors, that a user has taken to of late."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from feedmill.core.batches import ITEM_LANES, CandidateBatch, Interactions, Part, Rows, UserColumns
from feedmill.core.request import FeedRequest
from feedmill.retrieval.blend import SCORE, SHARE, Depth, HalfLife, KeyedLookup, Mix, Order, popularity
from feedmill.retrieval.neighbours import LookupConfig, recent
from feedmill.state import State

LastN = Annotated[int, Meta(ge=1, le=1000, description="recent items of each lane that are looked at")]
Lanes = Annotated[
    dict[str, Annotated[float, Meta(ge=0)]],
    Meta(min_length=1, description=f"weight of each recent history: {', '.join(ITEM_LANES)}"),
]
MaxKeys = Annotated[int, Meta(ge=1, le=1000, description="topics (or authors) of the greatest weight that are asked")]


class TopicConfig(LookupConfig, frozen=True, kw_only=True):
    """Which recent items say what a user is after, and what is brought of it."""

    last_n: LastN = 30
    lanes: Lanes = msgspec.field(default_factory=lambda: {"clicked": 1.0, "liked": 2.0})
    max_keys: MaxKeys = 10
    order: Order = "popular"
    mix: Mix = "share"
    depth: Depth = 300
    half_life_days: HalfLife = 7.0


class TopicChannel:
    """The best items of the topics of a user's recent items; a topic weighs what its items weigh, an item's weight
    being shared out among its topics.

    Args:
        name: the channel's name.
        config: see TopicConfig.
        part: array ``score``, see ``blend.popularity``.
        state: tells the topics of items, those that have come since included.
    """

    Config: type[TopicConfig] = TopicConfig
    kind = "topic"

    def __init__(self, name: str, config: TopicConfig, part: Part, state: State) -> None:
        self.name, self.config, self._state = name, config, state
        self._lookup = KeyedLookup(name, state, self._keys, config.order, part.arrays["score"], config.depth)

    @classmethod
    def build(cls, interactions: Interactions, state: Any, config: TopicConfig, seed: int) -> Part:
        """Popularity, where the order needs it; which item has which topic is read off the living catalogue."""
        arrays = popularity(interactions, config.order, config.half_life_days)
        return Part(cls.kind, msgspec.to_builtins(config), arrays)

    def fetch(self, request: FeedRequest, user: UserColumns, limit: int) -> CandidateBatch:
        """The best ``limit``; none for a user without history."""
        keys, weights = wanted(user, self.config, len(self._state.catalogue.available), self._keys_of_history)
        mix = SHARE if self.config.mix == "share" else SCORE
        return self._lookup.answer(keys, weights, mix, int(user.time_ms[0]), limit)

    def _keys(self, rows: Rows) -> Rows:
        topics: Rows = self._state.catalogue.topics[rows]
        return topics

    def _keys_of_history(self, rows: Rows) -> Rows:
        return self._keys(rows)


def wanted(
    user: UserColumns, config: TopicConfig, n_items: int, keys_of: Callable[[Rows], Rows]
) -> tuple[Rows, NDArray[np.float64]]:
    """Keys int32[Q] of the recent items of a user and their weights float64[Q], the heaviest ``max_keys`` first."""
    rows, weights = recent(user, config)
    known = (rows < n_items) & (weights > 0)
    keys = keys_of(rows[known])
    n = np.count_nonzero(keys, axis=1)
    shares = np.where(keys > 0, (weights[known] / np.maximum(n, 1))[:, None], 0.0)
    key, at = np.unique(keys[keys > 0], return_inverse=True)
    weight = np.asarray(np.bincount(at, shares[keys > 0], minlength=len(key)), np.float64)
    best = np.lexsort((key, -weight))[: config.max_keys]
    return key[best].astype(np.int32), weight[best]
