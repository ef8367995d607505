"""What is near: items of the user's cell or city, then of wider and wider places."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from feedmill.core.batches import CandidateBatch, Interactions, Part, UserColumns
from feedmill.core.request import FeedRequest
from feedmill.retrieval.blend import TIER, Depth, HalfLife, KeyedLookup, Order, popularity
from feedmill.retrieval.place import PlaceConfig, Places
from feedmill.state import State


class CityConfig(PlaceConfig, frozen=True, kw_only=True):
    """Which attributes are places, and what is brought of each."""

    order: Order = "popular"
    depth: Depth = 300
    half_life_days: HalfLife = 7.0


class CityChannel:
    """Items of the user's own GeoHash cell, then of the cells around it, then of wider cells, then of the user's city
    and what else is configured; inside each the most liked, or the newest, first.

    Where a user is comes from the request's context if it says so (``{"city": "Ulm"}``), else from the user's
    attributes; somebody of whom neither is known is not answered.

    Args:
        name: the channel's name.
        config: see CityConfig.
        part: array ``score``, see ``blend.popularity``.
        state: tells where items are, those that have come since included.
    """

    Config = CityConfig

    def __init__(self, name: str, config: CityConfig, part: Part, state: State) -> None:
        self.name = name
        self._places = Places(state.catalogue, config)
        scores = part.arrays["score"]
        self._lookup = KeyedLookup(name, state, self._places.of_items, config.order, scores, config.depth)

    @classmethod
    def build(cls, interactions: Interactions, state: Any, config: CityConfig, seed: int) -> Part:
        """Popularity, where the order needs it."""
        arrays = popularity(interactions, config.order, config.half_life_days)
        return Part("city", msgspec.to_builtins(config), arrays)

    def fetch(self, request: FeedRequest, user: UserColumns, limit: int) -> CandidateBatch:
        """The nearest ``limit``."""
        levels = self._places.of_user(user.profile[0], request.context)
        # Own place and those around it are two tiers: 2L, 2L - 1, 2L - 2, …
        tiers = [(key, 2 * (len(levels) - n) - (i > 0)) for n, keys in enumerate(levels) for i, key in enumerate(keys)]
        keys = np.array([key for key, _ in tiers], np.int32)
        return self._lookup.answer(keys, np.array([t for _, t in tiers]), TIER, int(user.time_ms[0]), limit)
