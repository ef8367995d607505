"""Ridge: every item is explained by its neighbours together (SLIM, Ning & Karypis 2011; EASE, Steck 2019)."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta
from numba import njit
from numpy.typing import NDArray

from feedmill.core.batches import CandidateBatch, Floats, Interactions, Part, Rows, UserColumns
from feedmill.core.request import FeedRequest
from feedmill.retrieval.cores import on_all_cores
from feedmill.retrieval.lists import Exponent, power
from feedmill.retrieval.neighbours import NeighbourLookup
from feedmill.retrieval.similarity import similar
from feedmill.retrieval.table import Table
from feedmill.retrieval.weighed import WeighedConfig, weigh


class RidgeConfig(WeighedConfig, frozen=True, kw_only=True):
    """How many items explain one, and how far they may go."""

    n_regressors: Annotated[
        int, Meta(ge=1, le=2000, description="nearest items, by cosine, that explain an item; the cost is its cube")
    ] = 100
    l2: Annotated[
        float, Meta(gt=0, description="added to the diagonal, in weighed likes: larger, nearer to ItemCF")
    ] = 20.0
    item_exponent: Annotated[Exponent, Meta(description="power of the candidate's users to divide by; EASE: 0")] = 0.0


class RidgeChannel:
    """Last-n items of the user x the items that they speak for; weights of every recent item are added.

    ItemCF counts what two neighbours of an item have in common twice. Here the weights of all neighbours of an item i
    are fitted together, so that likes of them say best who likes i:

        w_i = argmin |x_i - X_N w|² + l2 |w|² = (X_N' X_N + l2)^-1 X_N' x_i,   N the nearest items of i

    Weights may be negative. With all that share a user with i as N it is EASE exactly
    (but for pairs without one, whose weight is 0 here); EASE inverts the whole catalogue, this grows as the items do.

    Args:
        name: the channel's name.
        config: see RidgeConfig.
        part: ``neighbours`` int32[N, K] and ``sims`` float32[N, K], largest magnitude first, padded with 0;
            ``n_capped`` int64[2], the interactions that the caps on items per user and on users per item left out.
        state: not needed.
    """

    Config = RidgeConfig

    def __init__(self, name: str, config: RidgeConfig, part: Part, state: Any) -> None:
        self.name = name
        self._lookup = NeighbourLookup(name, config, part.arrays)

    @classmethod
    def build(cls, interactions: Interactions, state: Any, config: RidgeConfig, seed: int) -> Part:
        """All lists, on all cores; the result does not depend on their number.

        Raises:
            DataError: rows beyond the tables.
        """
        table, n_capped = weigh(interactions, config, seed)
        cosine = power(table.norms(), 0.5)
        nearest, _ = similar(table, cosine, cosine, 0.0, 1.0, min(config.n_regressors, len(table.items)))
        weights = explain(table, nearest, config.l2)
        popularity = np.bincount(interactions.item, minlength=interactions.n_items).astype(np.float64)
        weights *= power(popularity, config.item_exponent)[:, None]
        neighbours, sims = turn(nearest, weights, config.top_k)
        if config.scale_rows:
            total = np.abs(sims).sum(1, keepdims=True)
            np.divide(sims, total, out=sims, where=total > 0)
        arrays: dict[str, NDArray[Any]] = {"neighbours": neighbours, "sims": sims, "n_capped": n_capped}
        return Part("ridge", msgspec.to_builtins(config), arrays)

    def fetch(self, request: FeedRequest, user: UserColumns, limit: int) -> CandidateBatch:
        """The best ``limit`` by added weights; an empty answer for a user without history."""
        return self._lookup.answer(user, limit)


class Scratch(NamedTuple):
    """What one thread writes on: of each user a chain of the regressors that it likes; empty between items."""

    head: Rows  # int32[n_users], the newest link, -1 = none
    below: Rows  # int32[n], the link before
    place: Rows  # int32[n], which regressor
    value: Floats  # float32[n]
    gram: NDArray[np.float64]  # [K + 1, K + 1], the last row belongs to the item to be explained


def explain(table: Table, nearest: Rows, l2: float) -> Floats:
    """float32[n_items, K]: by how much each of the ``nearest`` int32[n_items, K] of an item speaks for it."""
    n, k = nearest.shape
    place_of = np.empty(n, np.int32)
    place_of[table.items] = np.arange(n, dtype=np.int32)
    counts = np.diff(table.item_ptr)
    n_links = counts[place_of] + (counts[place_of[nearest]] * (nearest > 0)).sum(1)
    weights = np.zeros(nearest.shape, np.float32)

    def rows(first: int, last: int) -> None:
        longest = int(n_links[first:last].max(initial=0))
        scratch = Scratch(
            head=np.full(len(table.user_ptr) - 1, -1, np.int32),
            below=np.empty(longest, np.int32),
            place=np.empty(longest, np.int32),
            value=np.empty(longest, np.float32),
            gram=np.empty((k + 1, k + 1)),
        )
        explain_rows(first, last, table, place_of, nearest, l2, scratch, weights)

    on_all_cores("ridge", n_links + k**3 / 10 + 1.0, rows)
    return weights


@njit(cache=True, nogil=True)
def explain_rows(
    first: int, last: int, table: Table, place_of: Rows, nearest: Rows, l2: float, scratch: Scratch, weights: Floats
) -> None:
    """Rows first..last of ``explain``."""
    gram = scratch.gram
    for item in range(first, last):
        k = 0
        while k < nearest.shape[1] and nearest[item, k] > 0:
            k += 1
        gram[: k + 1, : k + 1] = 0
        n_links = 0
        for a in range(k):
            gram[a, a] = l2
            n_links = add_products(a, place_of[nearest[item, a]], n_links, table, scratch)
        add_products(k, place_of[item], n_links, table, scratch)
        for a in range(k + 1):
            at = place_of[nearest[item, a]] if a < k else place_of[item]
            for p in range(table.item_ptr[at], table.item_ptr[at + 1]):
                scratch.head[table.item_users[p]] = -1
        solve(gram, k, weights[item])


@njit(cache=True, nogil=True)
def add_products(a: int, at: int, n_links: int, table: Table, scratch: Scratch) -> int:
    """Row a of the lower triangle: products with the regressors before it, found along the chains of its users.

    Returns:
        how many links there are now.
    """
    head, below, place, value, gram = scratch
    for p in range(table.item_ptr[at], table.item_ptr[at + 1]):
        user, v = table.item_users[p], table.item_values[p]
        gram[a, a] += v * v
        link = head[user]
        while link >= 0:
            gram[a, place[link]] += v * value[link]
            link = below[link]
        below[n_links], place[n_links], value[n_links] = head[user], a, v
        head[user] = n_links
        n_links += 1
    return n_links


@njit(cache=True, nogil=True)
def solve(gram: NDArray[np.float64], k: int, out: Floats) -> None:
    """out[:k] = A^-1 b, A the lower triangle of gram[:k, :k] and b its row k, by A = L D L'; both are overwritten.

    The inner loop runs along a row, so that it is one over vectors.
    """
    column = np.empty(k)
    for c in range(k):
        column[c + 1 : k] = gram[c + 1 : k, c]
        for r in range(c + 1, k + 1):
            share = gram[r, c] / gram[c, c]
            end = min(r + 1, k)
            for j in range(c + 1, end):
                gram[r, j] -= share * column[j]
            gram[r, c] = share
    for r in range(k - 1, -1, -1):  # row k now holds D^-1 L^-1 b
        total = gram[k, r]
        for below in range(r + 1, k):
            total -= gram[below, r] * out[below]
        out[r] = total


def turn(nearest: Rows, weights: Floats, top_k: int) -> tuple[Rows, Floats]:
    """Weights by the item that is explained -> int32[N, top_k] and float32[N, top_k] by the item that explains."""
    n = len(nearest)
    target, source = np.repeat(np.arange(n, dtype=np.int32), nearest.shape[1]), nearest.ravel()
    used = np.flatnonzero((source > 0) & (weights.ravel() != 0))
    used = used[np.lexsort((target[used], -np.abs(weights.ravel()[used]), source[used]))]
    place = np.arange(len(used)) - np.searchsorted(source[used], source[used])
    used, place = used[place < top_k], place[place < top_k]
    neighbours, sims = np.zeros((n, top_k), np.int32), np.zeros((n, top_k), np.float32)
    neighbours[source[used], place], sims[source[used], place] = target[used], weights.ravel()[used]
    return neighbours, sims
