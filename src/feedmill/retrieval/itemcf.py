"""ItemCF: items are alike when the same people like them (Sarwar et al. 2001; Linden et al. 2003)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from feedmill.core.batches import CandidateBatch, Floats, Interactions, Mask, Part, Rows, UserColumns
from feedmill.core.clock import rng
from feedmill.core.errors import DataError
from feedmill.core.request import FeedRequest
from feedmill.retrieval.neighbours import LookupConfig, NeighbourLookup
from feedmill.retrieval.similarity import Table, similar

Exponent = Annotated[float, Meta(ge=0, le=1)]


class ItemCFConfig(LookupConfig, frozen=True, kw_only=True):
    """Similarity, its corrections, and what is kept of it. The defaults are the plain cosine."""

    top_k: Annotated[int, Meta(ge=1, le=10_000, description="neighbours kept per item")] = 100
    iuf: Annotated[bool, Meta(description="weigh a user of n items 1/log(1+n), in sums and norms alike")] = False
    user_exponent: Annotated[
        float, Meta(ge=0, le=2, description="weigh a user of n items n^-x, in sums and norms alike")
    ] = 0.0
    norm: Annotated[
        Literal["weighted", "count"],
        Meta(description="what the exponents apply to: the squared norm, or the number of users of an item"),
    ] = "weighted"
    item_exponent: Annotated[Exponent, Meta(description="power of the candidate's norm to divide by; cosine: 0.5")] = (
        0.5
    )
    history_exponent: Annotated[Exponent, Meta(description="the same of the item in the history; cosine: 0.5")] = 0.5
    shrinkage: Annotated[
        float, Meta(ge=0, description="similarity x n/(n+shrinkage), n the users that two items share")
    ] = 0.0
    scale_rows: Annotated[bool, Meta(description="scale the similarities of each item to a sum of 1")] = False
    max_users_per_item: Annotated[int, Meta(ge=0, description="sample the users of an item down to this; 0 = all")] = 0
    max_items_per_user: Annotated[
        int,
        Meta(ge=0, description="sample the items of a user down to this, the cost is its square; 0 = all"),
    ] = 1000


class ItemCFChannel:
    """Last-n items of the user x their top-K neighbours; similarities to every recent item are added.

        sim(a,b) = sum_{u in Wa ∩ Wb} w_u like(u,a) like(u,b) / (n(a)^x n(b)^y)
        n(a) = sum_{u in Wa} w_u like(u,a)²

    With x = y = 1/2 it is the cosine: within [0, 1], and for likes of 1 it is |Wa ∩ Wb| / sqrt(|Wa| |Wb|).
    With ``norm = "count"`` n(a) = |Wa|, which punishes popularity as it is, whoever the users are.

    Args:
        name: the channel's name.
        config: see ItemCFConfig.
        part: ``neighbours`` int32[N, K] and ``sims`` float32[N, K], best first, padded with 0; ``n_capped``
            int64[2], the interactions that the caps on items per user and on users per item left out.
        state: not needed.
    """

    Config = ItemCFConfig

    def __init__(self, name: str, config: ItemCFConfig, part: Part, state: Any) -> None:
        self.name = name
        self._lookup = NeighbourLookup(name, config, part.arrays)

    @classmethod
    def build(cls, interactions: Interactions, state: Any, config: ItemCFConfig, seed: int) -> Part:
        """All top-K lists, on all cores; the result does not depend on their number.

        Raises:
            DataError: rows beyond the tables.
        """
        table, n_capped = weigh(interactions, config, seed)
        counted = config.norm == "count"
        norms = np.diff(table.item_ptr).astype(np.float64) if counted else table.item_norms()
        is_cosine = not counted and config.item_exponent == config.history_exponent == 0.5
        top = 1.0 if is_cosine else np.inf  # rounding must not lift a cosine above 1
        left, right = inverse(norms, config.history_exponent), inverse(norms, config.item_exponent)
        neighbours, sims = similar(table, left, right, config.shrinkage, top, config.top_k)
        if config.scale_rows:
            sums = sims.sum(1, keepdims=True)
            np.divide(sims, sums, out=sims, where=sums > 0)
        arrays: dict[str, NDArray[Any]] = {"neighbours": neighbours, "sims": sims, "n_capped": n_capped}
        return Part("itemcf", msgspec.to_builtins(config), arrays)

    def fetch(self, request: FeedRequest, user: UserColumns, limit: int) -> CandidateBatch:
        """The best ``limit`` by added similarity; an empty answer for a user without history."""
        return self._lookup.answer(user, limit)


def weigh(interactions: Interactions, config: ItemCFConfig, seed: int) -> tuple[Table, NDArray[np.int64]]:
    """Capped interactions as a table of like sqrt(w_u), so that sums and norms are plain sums of products.

    Returns:
        The table, and int64[2], how many interactions each cap left out (items per user, users per item).
    """
    check(interactions)
    keep = (interactions.like > 0) & (interactions.item > 0) & (interactions.user > 0)
    user, item, like = interactions.user[keep], interactions.item[keep], interactions.like[keep]
    activity = np.maximum(np.bincount(user, minlength=interactions.n_users), 1)
    draw = rng(seed, "itemcf", "cap")
    kept = cap(user, config.max_items_per_user, draw.random(len(user)))
    # One number per user, not per interaction: popular items keep the same people and still overlap.
    of_user = draw.random(interactions.n_users)
    few = np.flatnonzero(kept)
    few = few[cap(item[few], config.max_users_per_item, of_user[user[few]])]
    n_capped = np.array([len(user) - kept.sum(), kept.sum() - len(few)], np.int64)
    weight = activity**-config.user_exponent / (np.log1p(activity) if config.iuf else 1)
    # Products must neither underflow (the kernel takes a sum of 0 for "not met yet") nor overflow.
    values = np.clip(like[few] * np.sqrt(weight)[user[few]], 1e-6, 1e6).astype(np.float32)
    return Table.of(user[few], item[few], values, interactions.n_users, interactions.n_items), n_capped


def check(interactions: Interactions) -> None:
    """Refuse rows that compiled code would follow out of its arrays.

    Raises:
        DataError: a row below 0 or beyond its table.
    """
    for name, rows, n in (
        ("user", interactions.user, interactions.n_users),
        ("item", interactions.item, interactions.n_items),
    ):
        if len(rows) and not 0 <= rows.min() <= rows.max() < n:
            raise DataError(f"interactions: {name} rows {rows.min()} to {rows.max()}", f"rows 0 to {n - 1}")


def cap(key: Rows, most: int, order: NDArray[np.float64]) -> Mask:
    """bool[n]: of each key the ``most`` entries with the lowest ``order``; 0 = all."""
    counts = np.bincount(key)
    if most == 0 or counts.max(initial=0) <= most:
        return np.ones(len(key), bool)
    by_key = np.lexsort((order, key))
    place = np.arange(len(key)) - np.repeat(np.cumsum(counts) - counts, counts)
    keep = np.zeros(len(key), bool)
    keep[by_key[place < most]] = True
    return keep


def inverse(norms: NDArray[np.float64], exponent: float) -> Floats:
    """float32[N]: norms^-exponent, 0 where there is no norm."""
    powers = np.zeros(len(norms))
    np.power(norms, -exponent, out=powers, where=norms > 0)
    return powers.astype(np.float32)
