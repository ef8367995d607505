"""Swing: items are alike when pairs of people like both and otherwise little in common (Yang et al. 2020)."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from feedmill.core.batches import CandidateBatch, Floats, Interactions, Part, UserColumns
from feedmill.core.clock import rng
from feedmill.core.request import FeedRequest
from feedmill.retrieval.lists import Exponent, ListsConfig, liked, power, sample, scale, take
from feedmill.retrieval.neighbours import NeighbourLookup
from feedmill.retrieval.swing_rows import Pairs, swing
from feedmill.retrieval.table import Table

COUNTABLE = 65_535


class SwingConfig(ListsConfig, frozen=True, kw_only=True):
    """What a pair of users counts. The cost is the square of the users per item, so there is always a cap."""

    alpha: Annotated[float, Meta(ge=0, description="a pair counts 1/(alpha + number of items both like)")] = 1.0
    user_exponent: Annotated[
        float, Meta(ge=0, le=2, description="weigh a user of n items n^-x; the paper: 0.5, 0 = all alike")
    ] = 0.5
    item_exponent: Annotated[Exponent, Meta(description="power of the candidate's users to divide by; paper: 0")] = 0.0
    max_items_per_user: Annotated[
        int,
        Meta(
            ge=0, lt=COUNTABLE, description="sample the items of a user down to this; 0 = 65,535, what can be counted"
        ),
    ] = 1000
    max_users_per_item: Annotated[
        int, Meta(ge=2, le=2000, description="sample the users of an item that are paired down to this")
    ] = 100


class SwingChannel:
    """Last-n items of the user x their top-K neighbours; similarities to every recent item are added.

        sim(a,b) = n(b)^-x sum_{ {u,v} ⊂ Wa ∩ Wb } w_u w_v / (alpha + |I_u ∩ I_v|),    w_u = |I_u|^-y

    over unordered pairs of users. A clique that clicks the same items all day counts little, however large it is.
    What an item is liked counts nothing beyond being above 0.

    Sampled are the users of a, each time anew and uniformly: sim(a, b) and sim(b, a) may then differ, and the lists
    of popular items have smaller sums, which ``scale_rows`` evens out. |I_u|, in w_u, and n(b) are counted before.

    Args:
        name: the channel's name.
        config: see SwingConfig.
        part: ``neighbours`` int32[N, K] and ``sims`` float32[N, K], best first, padded with 0; ``n_capped``
            int64[2], the interactions that the caps on items per user and on users per item left out, and
            ``n_pairs_dropped`` int64[1], the pairs of users of an item that went with them, over all items.
        state: not needed.
    """

    Config = SwingConfig

    def __init__(self, name: str, config: SwingConfig, part: Part, state: Any) -> None:
        self.name = name
        self._lookup = NeighbourLookup(name, config, part.arrays)

    @classmethod
    def build(cls, interactions: Interactions, state: Any, config: SwingConfig, seed: int) -> Part:
        """All top-K lists, on all cores; the result does not depend on their number.

        Raises:
            DataError: rows beyond the tables.
        """
        log = liked(interactions)
        draw = rng(seed, "swing", "cap")
        kept = take(log, sample(log.user, config.max_items_per_user or COUNTABLE, draw))
        table = Table.of(kept.user, kept.item, np.ones(len(kept), np.float32), log.n_users, log.n_items)
        popularity = np.bincount(log.item, minlength=log.n_items)[table.items]
        weight = power(np.bincount(log.user, minlength=log.n_users).astype(np.float64), config.user_exponent)
        pairs = paired(table, weight, popularity, config, draw)
        neighbours, sims = swing(table, pairs, config.top_k)
        if config.scale_rows:
            scale(sims)
        n_capped = np.array([len(log) - len(kept), len(kept) - len(pairs.users)], np.int64)
        dropped = n_pairs(popularity) - n_pairs(np.diff(pairs.ptr))
        arrays: dict[str, NDArray[Any]] = {"neighbours": neighbours, "sims": sims, "n_capped": n_capped}
        return Part("swing", msgspec.to_builtins(config), {**arrays, "n_pairs_dropped": np.array([dropped])})

    def fetch(self, request: FeedRequest, user: UserColumns, limit: int) -> CandidateBatch:
        """The best ``limit`` by added similarity; an empty answer for a user without history."""
        return self._lookup.answer(user, limit)


def paired(
    table: Table, weight: Floats, popularity: NDArray[np.int64], config: SwingConfig, draw: np.random.Generator
) -> Pairs:
    """The sampled users of each place.

    Args:
        popularity: int64[n_items] by place.
    """
    counts = np.diff(table.item_ptr)
    place = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    keep = sample(place, config.max_users_per_item, draw)
    ptr = np.concatenate([[0], np.cumsum(np.minimum(counts, config.max_users_per_item))]).astype(np.int64)
    right = power(popularity.astype(np.float64), config.item_exponent)
    return Pairs(ptr, table.item_users[keep], weight, np.float32(config.alpha), right)


def n_pairs(users: NDArray[np.int64]) -> int:
    """Unordered pairs among the users of an item, over all items."""
    return int((users * (users - 1) // 2).sum())
