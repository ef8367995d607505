"""What may not be shown: one mask per reason, so that what falls out is counted under its name."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from feedmill.core.batches import LANE_ROW, CandidateBatch, Mask, UserColumns
from feedmill.core.config import Config
from feedmill.core.registry import Registry
from feedmill.core.request import FeedRequest
from feedmill.state import State

FILTERS: Registry[Any] = Registry(
    "filter",
    {
        "seen": "feedmill.serve.filters:Seen",
        "unavailable": "feedmill.serve.filters:Unavailable",
        "shown_recently": "feedmill.serve.filters:ShownRecently",
        "excluded": "feedmill.serve.filters:Excluded",
        "eligible": "feedmill.serve.eligible:Eligible",
    },
)


class NoParameters(Config, frozen=True):
    """Nothing to set."""


class Seen:
    """What the user has clicked, watched, liked or disliked, ever. Soft: better seen again than an empty feed."""

    Config = NoParameters
    reason = "seen"
    soft = True

    def __init__(self, config: NoParameters, state: State) -> None:
        self._state = state

    def keep(self, request: FeedRequest, user: UserColumns, candidates: CandidateBatch) -> Mask:
        """bool[C]."""
        return ~np.isin(candidates.item, self._state.seen(int(user.row[0])))


class Unavailable:
    """What its owner has taken down."""

    Config = NoParameters
    reason = "unavailable"
    soft = False

    def __init__(self, config: NoParameters, state: State) -> None:
        self._state = state

    def keep(self, request: FeedRequest, user: UserColumns, candidates: CandidateBatch) -> Mask:
        """bool[C]."""
        return np.asarray(self._state.catalogue.available[candidates.item], np.bool_)


class ShownRecentlyConfig(Config, frozen=True):
    """How much is too much."""

    times: Annotated[int, Meta(ge=1, description="impressions after which an item rests")] = 3
    hours: Annotated[float, Meta(gt=0, description="how far back impressions count")] = 24.0


class ShownRecently:
    """What the user was shown so often of late, without acting on it, that it should rest."""

    Config = ShownRecentlyConfig
    reason = "shown_recently"
    soft = True

    def __init__(self, config: ShownRecentlyConfig, state: State) -> None:
        self._config = config

    def keep(self, request: FeedRequest, user: UserColumns, candidates: CandidateBatch) -> Mask:
        """bool[C]; looks as far back as the user's history of impressions goes."""
        lane = LANE_ROW["shown"]
        since = int(user.time_ms[0]) - self._config.hours * 3_600_000
        shown = user.history[0, lane][user.history_ms[0, lane] >= since]
        items, times = np.unique(shown[shown > 0], return_counts=True)
        return ~np.isin(candidates.item, items[times >= self._config.times])


class Excluded:
    """What earlier pages of the same cursor have shown."""

    Config = NoParameters
    reason = "excluded"
    soft = False

    def __init__(self, config: NoParameters, state: State) -> None:
        self._state = state

    def keep(self, request: FeedRequest, user: UserColumns, candidates: CandidateBatch) -> Mask:
        """bool[C]."""
        if not request.exclude:
            return np.ones(len(candidates), np.bool_)
        return ~np.isin(candidates.item, self._state.items.rows(request.exclude))
