"""UserCF: what people of the same taste have taken to of late (Resnick et al. 1994; Breese et al. 1998)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from feedmill.core.batches import CandidateBatch, Floats, Interactions, Part, Rows, UserColumns
from feedmill.core.clock import rng
from feedmill.core.request import FeedRequest
from feedmill.retrieval.lists import Exponent, ListsConfig, liked, power, sample, scale
from feedmill.retrieval.neighbours import items_of, read_only, recent, users_of
from feedmill.retrieval.similarity import similar
from feedmill.retrieval.table import Table


class UserCFConfig(ListsConfig, frozen=True, kw_only=True):
    """What two users have in common and how much it says. ``top_k`` and ``scale_rows`` are of the lists of users."""

    similarity: Annotated[
        Literal["items", "authors"],
        Meta(description="users are alike by the items they like, or by those items' authors"),
    ] = "items"
    discount: Annotated[
        Literal["log", "power", "none"],
        Meta(description="what an item (author) of n users counts: 1/log(1+n), n^-discount_exponent, or 1"),
    ] = "log"
    discount_exponent: Annotated[float, Meta(ge=0, le=2, description='of discount "power"')] = 0.7
    item_exponent: Annotated[Exponent, Meta(description="power of the candidate's users to divide its score by")] = 0.0
    neighbour_items: Annotated[int, Meta(ge=1, le=1000, description="last items of each neighbour that count")] = 50
    max_users_per_item: Annotated[
        int, Meta(ge=0, description="sample the users of an item down to this, the cost is its square; 0 = all")
    ] = 1000
    fold_in_users: Annotated[
        int,
        Meta(ge=0, description="users of an item kept for finding neighbours of users newer than the part; 0 = never"),
    ] = 200


class UserCFChannel:
    """The last items of the users most alike, each weighed by how much alike its user is.

        sim(u,v) = sum_{l in Iu ∩ Iv} d(n_l) / sqrt(|Iu| |Iv|),   d(n) = 1/log(1+n), n^-x or 1
        score(u,i) = n_i^-y sum_{v in top-K(u)} sim(u,v) like(v,i)

    With ``similarity = "authors"`` l goes over authors of liked items. A user the part does not know, or most of whose
    recent items it does not know of them, is compared with the stored users of these items on the spot.

    Args:
        name: the channel's name.
        config: see UserCFConfig.
        part: of users ``peers`` int32[U, K] and ``sims`` float32[U, K], best first, padded with 0; their last
            items ``item_ptr`` int64[U + 1], ``items`` int32[n] newest first and ``likes`` float32[n], divided by
            popularity; the index from items (authors) to users ``user_ptr`` int64[L + 1], ``users`` int32[m], with
            ``weights`` float32[L] d(n_l) and ``norms`` float32[U] |Iu|^-1/2; ``keys`` int32[N], the author of each
            item, or empty; ``n_capped`` int64[2], what the caps on items per user and users per item left out.
        state: not needed; ``build`` takes authors from its catalogue.
    """

    Config = UserCFConfig

    def __init__(self, name: str, config: UserCFConfig, part: Part, state: Any) -> None:
        self.name, self.config = name, config
        self._arrays = {key: read_only(array) for key, array in part.arrays.items()}
        self._score(*self._alike(np.zeros(0, np.int32), 0), 0)  # warm

    @classmethod
    def build(cls, interactions: Interactions, state: Any, config: UserCFConfig, seed: int) -> Part:
        """All lists of neighbours, on all cores; the result does not depend on their number.

        Raises:
            DataError: rows beyond the tables.
        """
        log = liked(interactions)
        key_of = np.zeros(0, np.int32)
        if config.similarity == "authors":
            key_of = authors_of(state, log.n_items)
        arrays = {**neighbours_of(tastes(log, key_of), config, seed), **last_items(log, config), "keys": key_of}
        return Part("usercf", msgspec.to_builtins(config), arrays)

    def fetch(self, request: FeedRequest, user: UserColumns, limit: int) -> CandidateBatch:
        """The best ``limit``; empty for a user who has nothing in common with anybody."""
        row, (rows, _) = int(user.row[0]), recent(user, self.config)
        if 0 < row < len(self._arrays["peers"]) and self._is_known(row, rows):
            neighbours, sims = self._arrays["peers"][row], self._arrays["sims"][row]
        else:
            neighbours, sims = self._alike(rows, row)
        return CandidateBatch.of(self.name, *self._score(neighbours, sims, limit))

    def _is_known(self, row: int, recent_rows: Rows) -> bool:
        """Whether the user has a list, made of no less than half of the recent items if there is another way."""
        ptr, items = self._arrays["item_ptr"], self._arrays["items"]
        n_known = np.isin(recent_rows, items[ptr[row] : ptr[row + 1]]).sum()
        is_old = self.config.fold_in_users > 0 and 2 * n_known < len(recent_rows)
        return bool(self._arrays["peers"][row, 0] > 0 and not is_old)

    def _alike(self, recent_rows: Rows, row: int) -> tuple[Rows, Floats]:
        """Users and similarities by recent items, for a user without a list; ``row`` itself stays out."""
        arrays = self._arrays
        if self.config.similarity == "authors":
            recent_rows = arrays["keys"][recent_rows[recent_rows < len(arrays["keys"])]]
        keys = np.unique(recent_rows[(recent_rows > 0) & (recent_rows < len(arrays["weights"]))])
        lists = arrays["user_ptr"], arrays["users"]
        users, sims = users_of(keys, *lists, arrays["weights"], arrays["norms"], row, self.config.top_k)
        sims /= np.float32(max(sims.sum(), 1e-9) if self.config.scale_rows else np.sqrt(max(len(keys), 1)))
        return users, sims

    def _score(self, neighbours: Rows, sims: Floats, limit: int) -> tuple[Rows, Floats]:
        arrays = self._arrays
        found: tuple[Rows, Floats] = items_of(
            neighbours, sims, arrays["item_ptr"], arrays["items"], arrays["likes"], limit
        )
        return found


class Tastes(NamedTuple):
    """Who is for what, each pair once: ``user`` int32[n] and ``key`` int32[n], items or authors or whatever tells."""

    user: Rows
    key: Rows
    n_users: int
    n_keys: int


def tastes(log: Interactions, key_of: Rows) -> Tastes:
    """Users with the keys int32[n_items] of their items, 0 = none; the items themselves if ``key_of`` is empty."""
    if not len(key_of):
        return Tastes(log.user, log.item, log.n_users, log.n_items)
    key, n_keys = key_of[log.item], int(key_of.max(initial=0)) + 1
    pairs = np.unique(log.user[key > 0].astype(np.int64) * n_keys + key[key > 0])
    return Tastes((pairs // n_keys).astype(np.int32), (pairs % n_keys).astype(np.int32), log.n_users, n_keys)


def authors_of(state: Any, n_items: int) -> Rows:
    """int32[n_items] author rows, 0 = unknown."""
    known = state.catalogue.author[:n_items]
    return np.concatenate([known, np.zeros(n_items - len(known), np.int32)]).astype(np.int32)


def neighbours_of(pairs: Tastes, config: UserCFConfig, seed: int) -> dict[str, NDArray[Any]]:
    """The lists of users alike and the index to find more; see ``UserCFChannel``.

    |Iu| and n_l are counted before anything is left out.
    """
    n_of_key = np.bincount(pairs.key, minlength=pairs.n_keys).astype(np.float64)
    weights = {"log": 1 / np.log1p(np.maximum(n_of_key, 1)), "none": np.ones(pairs.n_keys),
               "power": np.maximum(n_of_key, 1) ** -config.discount_exponent}[config.discount]  # fmt: skip
    norms = power(np.bincount(pairs.user, minlength=pairs.n_users).astype(np.float64), 0.5)
    draw = rng(seed, "usercf", "cap")
    kept = np.flatnonzero(sample(pairs.user, config.max_items_per_user, draw))
    few = kept[sample(pairs.key[kept], config.max_users_per_item, draw)]
    values = np.sqrt(weights).astype(np.float32)[pairs.key[few]]
    table = Table.of(pairs.key[few], pairs.user[few], values, pairs.n_keys, pairs.n_users)
    by_place, top = norms[table.items], 1.0 if config.discount == "none" else np.inf
    neighbours, sims = similar(table, by_place, by_place, 0.0, top, config.top_k, "similar users")
    if config.scale_rows:
        scale(sims)
    n_capped = np.array([len(pairs.user) - len(kept), len(kept) - len(few)], np.int64)
    index = fold_in_index(table, config.fold_in_users, draw)
    found: dict[str, NDArray[Any]] = {"peers": neighbours, "sims": sims, "n_capped": n_capped, **index}
    return {**found, "weights": weights.astype(np.float32), "norms": norms}


def fold_in_index(table: Table, most: int, draw: np.random.Generator) -> dict[str, NDArray[Any]]:
    """Of each key ``most`` of its users: ``user_ptr`` and ``users``."""
    ptr = table.user_ptr.astype(np.int64)
    counts = ptr[1:] - ptr[:-1]
    key = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    keep = sample(key, most, draw) if most else np.zeros(len(key), bool)
    kept_ptr = np.concatenate([[0], np.cumsum(np.minimum(counts, most))]).astype(np.int64)
    return {"user_ptr": kept_ptr, "users": table.items[table.user_places[keep]]}


def last_items(log: Interactions, config: UserCFConfig) -> dict[str, NDArray[Any]]:
    """The newest ``neighbour_items`` of each user; the log is sorted by user, then time."""
    popularity = np.bincount(log.item, minlength=log.n_items).astype(np.float64)
    counts = np.bincount(log.user, minlength=log.n_users)
    back = np.cumsum(counts)[log.user] - 1 - np.arange(len(log))
    keep = back < config.neighbour_items
    ptr = np.concatenate([[0], np.cumsum(np.minimum(counts, config.neighbour_items))]).astype(np.int64)
    user, item, like = log.user[keep], log.item[keep], log.like[keep]
    at = ptr[user] + back[keep]
    items, likes = np.empty(len(user), np.int32), np.empty(len(user), np.float32)
    items[at], likes[at] = item, like * power(popularity, config.item_exponent)[item]
    return {"item_ptr": ptr, "items": items, "likes": likes}
