"""New items, and a seeded draw of items that hardly anybody has been shown: how what nobody knows gets its chance."""

from __future__ import annotations

from threading import Lock
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from feedmill.core.batches import ITEM_LANES, CandidateBatch, Interactions, Mask, Part, Rows, UserColumns
from feedmill.core.clock import rng
from feedmill.core.config import Config
from feedmill.core.request import FeedRequest
from feedmill.retrieval.blend import DAY_MS, SCORE, KeyedLookup
from feedmill.state import State

TRIES = 4096  # draws from the whole catalogue before all that may be cold is looked at
MOST_SEED = 2**63 - 1
SHOWN, CLICKED = "impression.all", "click.all"


class FreshConfig(Config, frozen=True, kw_only=True):
    """What is new, what is cold, and how much of the answer is given to that."""

    quota: Annotated[int, Meta(ge=0, le=1000, description="cold items drawn for each answer")] = 20
    max_impressions: Annotated[int, Meta(ge=0, description="an item shown less often is cold …")] = 100
    max_clicks: Annotated[int, Meta(ge=0, description="… if it was also clicked less often")] = 10
    max_age_days: Annotated[
        float, Meta(ge=0, description="an item published since is cold however often shown; 0 = its age does not count")
    ] = 1.0
    newest: Annotated[int, Meta(ge=0, le=10_000, description="items that follow, the latest first")] = 300


class FreshChannel:
    """First ``quota`` cold items, then the newest.

    An item is cold while the living state has counted few impressions and few clicks of it, or while it is young. The
    draw is uniform over the cold items, without those in the user's recent histories, and depends on the request's
    seed and the state alone: other requests show other items, a repeated one the same. Draws score 2 down to 1, and
    the rest 1 / (1 + days since publication). What the draw costs is measured by ``metrics.exploration``.

    Args:
        name: the channel's name.
        config: see FreshConfig.
        part: empty: all is read off the living state.
        state: its counters and its catalogue.

    Raises:
        ConfigError: the state does not keep the counters ``impression.all`` and ``click.all``.
    """

    Config = FreshConfig
    learns = False

    def __init__(self, name: str, config: FreshConfig, part: Part, state: State) -> None:
        self.name, self.config, self._state = name, config, state
        self._lookup = KeyedLookup(name, state, self._has_time, "newest", np.zeros(0, np.float32), config.newest or 1)
        self._lock, self._n_items, self._n_described = Lock(), 1, 0
        self._maybe = np.zeros(0, np.int32)  # ascending; what is not in it was neither cold nor to come when last seen
        self._is_cold(self._maybe, 0)

    @classmethod
    def build(cls, interactions: Interactions, state: Any, config: FreshConfig, seed: int) -> Part:
        """Nothing is learnt."""
        return Part("fresh", msgspec.to_builtins(config), {})

    def fetch(self, request: FeedRequest, user: UserColumns, limit: int) -> CandidateBatch:
        """At most ``limit``, the draws first."""
        now_ms, n = int(user.time_ms[0]), max(limit, 0)
        drawn = self._draw(request.seed, user, now_ms)
        item, score = drawn, (2 - np.arange(len(drawn)) / max(len(drawn), 1)).astype(np.float32)
        if len(drawn) < n and self.config.newest:
            one = np.ones(1, np.int32)
            new = self._lookup.answer(one, one, SCORE, now_ms, self.config.newest)
            left = ~np.isin(new.item, drawn)
            item, score = np.concatenate([item, new.item[left]]), np.concatenate([score, new.found[left, 0]])
        return CandidateBatch.of(self.name, item[:n], score[:n])

    def _draw(self, seed: int, user: UserColumns, now_ms: int) -> Rows:
        """int32[<= quota] distinct cold items in random order."""
        quota, n_items = self.config.quota, len(self._state.catalogue.available)
        if not quota or n_items < 2:
            return np.zeros(0, np.int32)
        known = np.concatenate([user.recent(lane) for lane in ITEM_LANES])
        draw = rng(seed & MOST_SEED, "fresh", self.name)
        tried = draw.integers(1, n_items, TRIES, dtype=np.int32)
        for some in (tried[: 8 * quota], tried):
            found = self._distinct(some, known, now_ms)
            if len(found) >= quota:
                return found[:quota]
        cold = self._cold(now_ms)
        rest = np.setdiff1d(cold, np.concatenate([known, found]))
        # By the item's own random number, so that nothing but the set of cold items matters.
        rest = rest[np.lexsort((rest, _mixed(rest, int(draw.integers(2**62)))))]
        return np.concatenate([found, rest])[:quota]

    def _distinct(self, tried: Rows, known: Rows, now_ms: int) -> Rows:
        """The cold ones, each once, in the order of the draw."""
        fit = tried[self._is_cold(tried, now_ms)]
        fit = fit[~np.isin(fit, known)]
        _, first = np.unique(fit, return_index=True)
        return fit[np.sort(first)]

    def _cold(self, now_ms: int) -> Rows:
        """All cold items, ascending. What has warmed up is not looked at again: counters only grow; what is described
        anew is."""
        catalogue = self._state.catalogue
        with self._lock:
            n_described, n_items = catalogue.described.n, len(catalogue.available)
            again = catalogue.described.since(self._n_described)
            since = 1 if again is None else self._n_items
            new = [] if again is None else [again, self._maybe]
            rows = np.unique(np.concatenate([*new, np.arange(since, n_items, dtype=np.int32)]))
            rows = rows[rows < n_items].astype(np.int32)
            cold = self._is_cold(rows, now_ms)
            self._maybe = rows[cold | (catalogue.publish_ms[rows] > now_ms)]
            self._n_described, self._n_items = n_described, n_items
            found: Rows = rows[cold]
        return found

    def _is_cold(self, rows: Rows, now_ms: int) -> Mask:
        """bool[n] of existing rows."""
        c, catalogue = self.config, self._state.catalogue
        shown, clicked = self._state.totals(SHOWN, rows), self._state.totals(CLICKED, rows)
        published = catalogue.publish_ms[rows]
        is_young = (published != 0) & (now_ms - published < c.max_age_days * DAY_MS)
        is_rare = (shown < c.max_impressions) & (clicked < c.max_clicks)
        fits: Mask = (is_rare | is_young) & catalogue.available[rows] & (published <= now_ms)
        return fits

    def _has_time(self, rows: Rows) -> Rows:
        """Key 1 for what has a time of publication."""
        keys: Rows = (self._state.catalogue.publish_ms[rows] != 0).astype(np.int32)[:, None]
        return keys


def _mixed(rows: Rows, seed: int) -> NDArray[np.uint64]:
    """A random number for each row (the finalizer of SplitMix64, Steele et al. 2014)."""
    x = (rows.astype(np.uint64) + np.uint64(seed)) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
