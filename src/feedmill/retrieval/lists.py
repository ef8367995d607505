"""What channels of "row -> its K most similar" share while they are built: parameters, caps, scaling."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
from msgspec import Meta
from numba import njit
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Interactions, Mask, Rows
from feedmill.core.errors import DataError
from feedmill.retrieval.neighbours import LookupConfig

Exponent = Annotated[float, Meta(ge=0, le=1)]
TopK = Annotated[int, Meta(ge=1, le=10_000, description="neighbours kept of each row")]
Cap = Annotated[int, Meta(ge=0)]


class ListsConfig(LookupConfig, frozen=True, kw_only=True):
    """How long lists are and what they are made from."""

    top_k: TopK = 100
    scale_rows: Annotated[bool, Meta(description="scale the similarities of each list to a sum of 1")] = False
    max_users_per_item: Annotated[Cap, Meta(description="sample the users of an item down to this; 0 = all")] = 0
    max_items_per_user: Annotated[
        Cap, Meta(description="sample the items of a user down to this, the cost is its square; 0 = all")
    ] = 1000


def liked(interactions: Interactions) -> Interactions:
    """Those of somebody, of something, with a like above 0.

    Raises:
        DataError: a row below 0 or beyond its table, which compiled code would follow out of its arrays.
    """
    for name, rows, n in (
        ("user", interactions.user, interactions.n_users),
        ("item", interactions.item, interactions.n_items),
    ):
        if len(rows) and not 0 <= rows.min() <= rows.max() < n:
            raise DataError(f"interactions: {name} rows {rows.min()} to {rows.max()}", f"rows 0 to {n - 1}")
    return take(interactions, (interactions.like > 0) & (interactions.item > 0) & (interactions.user > 0))


def take(interactions: Interactions, keep: Mask) -> Interactions:
    """The given ones; the very same object if those are all."""
    if keep.all():
        return interactions
    return replace(
        interactions,
        user=interactions.user[keep],
        item=interactions.item[keep],
        like=interactions.like[keep],
        time_ms=interactions.time_ms[keep],
    )


def sample(key: Rows, most: int, draw: np.random.Generator) -> Mask:
    """bool[n]: of each key ``most`` entries, any of them as likely as another; 0 = all."""
    left = np.bincount(key)
    if most == 0 or left.max(initial=0) <= most:
        return np.ones(len(key), bool)
    keep: Mask = select(key, left, np.minimum(left, most), draw.random(len(key)))
    return keep


@njit(cache=True, nogil=True)
def select(
    key: Rows, left: NDArray[np.int64], wanted: NDArray[np.int64], draws: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Selection sampling (Knuth 3.4.2, algorithm S) of every key in one pass."""
    keep = np.empty(len(key), np.bool_)
    for n in range(len(key)):
        k = key[n]
        keep[n] = draws[n] * left[k] < wanted[k]
        wanted[k] -= keep[n]
        left[k] -= 1
    return keep


def lowest(key: Rows, most: int, order: NDArray[np.float64]) -> Mask:
    """bool[n]: of each key the ``most`` entries with the lowest ``order``; 0 = all."""
    counts = np.bincount(key)
    if most == 0 or counts.max(initial=0) <= most:
        return np.ones(len(key), bool)
    keep = (counts <= most)[key]
    many = np.flatnonzero(~keep)
    many = many[np.lexsort((order[many], key[many]))]
    place = np.arange(len(many)) - np.searchsorted(key[many], key[many])
    keep[many[place < most]] = True
    return keep


def scale(sims: Floats) -> None:
    """Each row, in place, to a sum of 1."""
    sums = sims.sum(1, keepdims=True)
    np.divide(sims, sums, out=sims, where=sums > 0)


def power(norms: NDArray[np.float64], exponent: float) -> Floats:
    """float32[N]: norms^-exponent, 0 where there is no norm."""
    powers = np.zeros(len(norms))
    np.power(norms, -exponent, out=powers, where=norms > 0)
    return powers.astype(np.float32)
