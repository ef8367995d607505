"""Collaborative filtering at serving time: recent items of a user x their stored neighbours, or a user's neighbours x
their recent items, added up.

ItemCF, and every other channel whose index is "item -> its K most similar", differ only in how the lists
were built.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from msgspec import Meta, field
from numba import njit
from numpy.typing import NDArray

from feedmill.core.batches import ITEM_LANES, QUERY_LANES, CandidateBatch, Floats, Rows, UserColumns
from feedmill.core.config import Config, nearest
from feedmill.core.protocols import Arrays
from feedmill.retrieval.topk import best_first, offer


class LookupConfig(Config, frozen=True, kw_only=True):
    """How the recent items of a user are weighed."""

    last_n: Annotated[int, Meta(ge=1, le=1000, description="recent items of each lane that are looked up")] = 50
    lanes: Annotated[
        dict[str, Annotated[float, Meta(ge=0)]],
        Meta(min_length=1, description=f"weight of each recent history: {', '.join(ITEM_LANES)}"),
    ] = field(default_factory=lambda: {"clicked": 1.0})
    recency: Annotated[
        float,
        Meta(gt=0, le=1, description="the item n places back in its lane weighs recency^n; 1 = all alike"),
    ] = 1.0

    def __post_init__(self) -> None:
        for lane in self.lanes:
            if lane in QUERY_LANES:
                raise ValueError(f'the lane "{lane}" holds queries, not items; one of {list(ITEM_LANES)}')
            if lane not in ITEM_LANES:
                raise ValueError(f'no lane "{lane}", one of {list(ITEM_LANES)} {nearest(lane, ITEM_LANES)}'.rstrip())


class NeighbourLookup:
    """score(i) = sum over EVERY recent item j whose list holds i of weight(j) sim(j, i).

    Args:
        name: the channel's name.
        config: the weights.
        arrays: ``neighbours`` int32[N, K], padded with 0, and ``sims`` float32[N, K], padded with 0.
    """

    def __init__(self, name: str, config: LookupConfig, arrays: Arrays) -> None:
        self.name, self.config = name, config
        # Served arrays are memory-mapped and read-only: made so in any case, the kernel is compiled once.
        self._neighbours, self._sims = read_only(arrays["neighbours"]), read_only(arrays["sims"])
        add_up(np.zeros(0, np.int32), np.zeros(0, np.float32), self._neighbours, self._sims, 0)  # warm

    def answer(self, user: UserColumns, limit: int) -> CandidateBatch:
        """The best ``limit`` for request 0 of ``user``; empty for a user without history."""
        rows, weights = recent(user, self.config)
        return CandidateBatch.of(self.name, *add_up(rows, weights, self._neighbours, self._sims, limit))


def recent(user: UserColumns, config: LookupConfig) -> tuple[Rows, Floats]:
    """Items int32[n] to look up and their weights float32[n].

    Clicking, watching and finishing an item enter one lane three times: only the newest counts there. An
    item in two lanes (clicked, liked) counts in both, so its weights add up to like(u, j).
    """
    rows, weights = [np.zeros(0, np.int32)], [np.zeros(0, np.float32)]
    for lane, weight in config.lanes.items():
        found = list(dict.fromkeys(user.recent(lane).tolist()))[: config.last_n]
        rows.append(np.array(found, np.int32))
        weights.append((weight * config.recency ** np.arange(len(found))).astype(np.float32))
    return np.concatenate(rows), np.concatenate(weights)


@njit(cache=True, nogil=True)
def add_up(
    recent_rows: Rows, weights: Floats, neighbours: Rows, sims: Floats, limit: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Add weighted similarities by candidate; the best ``limit`` as (rows, scores), best first.

    Candidates are gathered in a small open-addressing table that lives for one call, not in an array over
    the catalogue: nothing to clear, nothing shared between threads, 100 k items cost what 1 k cost.
    """
    n_lists, width = neighbours.shape
    keys, sums = empty_sums(len(recent_rows) * width)
    for n in range(len(recent_rows)):
        item = recent_rows[n]
        if item >= n_lists:  # newer than the artifact
            continue
        for k in range(width):
            if neighbours[item, k] == 0:
                break
            add_to(keys, sums, neighbours[item, k], weights[n] * sims[item, k])
    return best_sums(keys, sums, limit)


@njit(cache=True, nogil=True)
def empty_sums(n: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """An open-addressing table for sums by row, with room for n rows."""
    size = 16
    while size < 2 * n:
        size *= 2
    return np.zeros(size, np.int32), np.zeros(size, np.float32)


@njit(cache=True, nogil=True)
def add_to(keys: Rows, sums: Floats, row: int, value: float) -> None:
    """Add to the sum of a row > 0."""
    slot = (row * 40503) & (len(keys) - 1)
    while keys[slot] != 0 and keys[slot] != row:
        slot = (slot + 1) & (len(keys) - 1)
    keys[slot] = row
    sums[slot] += value


@njit(cache=True, nogil=True)
def best_sums(keys: Rows, sums: Floats, limit: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The best ``limit`` sums above 0 as (rows, scores), best first."""
    rows, scores, n_kept = np.zeros(max(limit, 0), np.int32), np.zeros(max(limit, 0), np.float32), 0
    for slot in range(len(keys)):
        if keys[slot] != 0 and sums[slot] > 0:
            n_kept = offer(rows, scores, n_kept, keys[slot], sums[slot])
    best_first(rows, scores, n_kept)
    return rows[:n_kept], scores[:n_kept]


@njit(cache=True, nogil=True)
def users_of(
    keys: Rows,
    ptr: NDArray[np.int64],
    users: Rows,
    weights: Floats,
    norms: Floats,
    but: int,
    limit: int,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The users with most in common with some keys: the best ``limit`` by norms[v] sum_key weights[key], without
    ``but``; key k has the users ``users[ptr[k] : ptr[k + 1]]``."""
    n = 0
    for key in keys:
        n += ptr[key + 1] - ptr[key]
    table, sums = empty_sums(n)
    for key in keys:
        for p in range(ptr[key], ptr[key + 1]):
            if users[p] != but:
                add_to(table, sums, users[p], weights[key] * norms[users[p]])
    return best_sums(table, sums, limit)


@njit(cache=True, nogil=True)
def items_of(
    neighbours: Rows, sims: Floats, ptr: NDArray[np.int64], items: Rows, likes: Floats, limit: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The best ``limit`` items by sum_v sims[v] like(v, i) over users v, whose list ends at the first 0; v has the
    items ``items[ptr[v] : ptr[v + 1]]`` with ``likes``."""
    n = 0
    for v in neighbours:
        n += ptr[v + 1] - ptr[v]
    table, sums = empty_sums(n)
    for at in range(len(neighbours)):
        if neighbours[at] == 0:
            break
        for p in range(ptr[neighbours[at]], ptr[neighbours[at] + 1]):
            add_to(table, sums, items[p], sims[at] * likes[p])
    return best_sums(table, sums, limit)


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """The same array, which cannot be written to."""
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view
