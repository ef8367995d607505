"""Videos that the same people watch for long: the house's ItemCF, rebuilt every night."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from msgspec import Meta, field

from feedmill.core.batches import Floats, Interactions, Rows
from feedmill.core.config import Config
from feedmill.core.events import EventBatch
from feedmill.retrieval.itemcf import ItemCFChannel, ItemCFConfig
from feedmill.sim.config import HOUR_MS
from feedmill.sim.feeds.kernels import by_neighbours
from feedmill.sim.feeds.popular import PopularConfig, PopularFeed
from feedmill.sim.feeds.recent import Recent
from feedmill.sim.views import Asks, Slates, Views


class ItemCFFeedConfig(Config, frozen=True, kw_only=True):
    """What resembles what, and what is shown where nothing does."""

    similarity: Annotated[
        ItemCFConfig,
        Meta(description="as of the channel, without its lanes: the last_n long views of a person are looked up"),
    ] = field(default_factory=lambda: ItemCFConfig(item_exponent=0.0, shrinkage=10.0, max_items_per_user=200))
    cap_s: Annotated[float, Meta(gt=0, description="seconds watched beyond which a like grows no more")] = 120.0
    days: Annotated[float, Meta(gt=0, description="days that long views are learned from")] = 14.0
    popular: Annotated[PopularConfig, Meta(description="the feed to fall back on, and what a long view is")] = field(
        default_factory=PopularConfig
    )


class ItemCFFeed:
    """What resembles the last long views of a person, then what is popular.

    Similarities are ``retrieval.itemcf``'s over the long views of the last days, built each night: of videos born
    since, and for people without a long view, the popular feed answers. Likes are seconds watched, and candidates are
    not divided by their norm: watch time is what is asked for, and the plain cosine of long views likes rare videos.
    """

    Config = ItemCFFeedConfig

    def __init__(self, config: ItemCFFeedConfig, seed: int) -> None:
        self.config, self._seed = config, seed
        self._popular = PopularFeed(config.popular, seed)
        self._liked = Recent(config.similarity.last_n)
        self._views: list[tuple[Rows, Rows, Rows, Floats]] = []  # user, item, hour, seconds
        self._neighbours: Rows = np.zeros((0, 0), np.int32)
        self._sims: Floats = np.zeros((0, 0), np.float32)

    def describe(self, events: EventBatch) -> None:
        """As the popular feed."""
        self._popular.describe(events)

    def slates(self, asks: Asks) -> Slates:
        """The best sums of similarity of what was not seen."""
        popular, liked = self._popular, self._liked
        popular.ready(asks)
        liked.has(asks.user)
        nearest = (liked.item, liked.n, self.config.similarity.recency, self._neighbours, self._sims)
        rest = (popular.order, popular.catalogue.is_on, popular.seen.item, popular.seen.n)
        return Slates(by_neighbours(asks.user, *nearest, *rest, popular.config.slots))

    def take(self, asks: Asks, slates: Slates, views: Views) -> None:
        """Remember long views."""
        is_long = self._popular.count(views)
        user, item = views.user[is_long], views.item[is_long]
        self._liked.note(user, item)
        hour = (views.time_ms[is_long] // HOUR_MS).astype(np.int32)
        self._views.append((user, item, hour, views.seconds[is_long]))

    def night(self, day: int) -> None:
        """Build the similarities anew."""
        if not self._views:
            return
        user, item, hour, seconds = (np.concatenate(x) for x in zip(*self._views, strict=True))
        keep = hour > hour.max(initial=0) - 24 * self.config.days
        self._views = [(user[keep], item[keep], hour[keep], seconds[keep])]
        part = ItemCFChannel.build(self._interactions(), None, self.config.similarity, self._seed)
        self._neighbours, self._sims = part.arrays["neighbours"], part.arrays["sims"]

    def _interactions(self) -> Interactions:
        """Long views as the house has them: rows from 1, each pair once, sorted by user, then time, then item."""
        user, item, hour, seconds = self._views[0]
        n_items = len(self._popular.catalogue)
        pair, first, which = np.unique(user.astype(np.int64) * n_items + item, return_index=True, return_inverse=True)
        watched = np.bincount(which, seconds, len(pair))
        order = np.lexsort((pair, hour[first], user[first]))
        kept = first[order]
        return Interactions(
            user=user[kept] + np.int32(1),
            item=item[kept] + np.int32(1),
            like=np.minimum(watched[order], self.config.cap_s).astype(np.float32),
            time_ms=hour[kept].astype(np.int64) * HOUR_MS,
            n_users=int(user.max(initial=-1)) + 2,
            n_items=n_items + 1,
        )
