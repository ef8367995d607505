"""The lists of several keys -> one answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta
from numba import njit
from numpy.typing import NDArray

from feedmill.core.batches import CandidateBatch, Floats, Interactions, Mask, Rows, Times
from feedmill.retrieval.keyed import KeyedItems, KeysOf, Lists, OrderOf, newest, scored
from feedmill.retrieval.popular import PopularChannel, PopularConfig
from feedmill.retrieval.topk import best_first, offer
from feedmill.state import State

DAY_MS = 86_400_000.0
SHARE, SCORE, TIER = 0, 1, 2

Order = Annotated[
    Literal["newest", "popular"], Meta(description="what stands first under a key: the latest, or the most liked")
]
Mix = Annotated[
    Literal["share", "score"],
    Meta(
        description="share: keys have places in proportion to their weights; score: items compete, by weight x "
        "1/(1 + days since publication), or x popularity"
    ),
]
Depth = Annotated[int, Meta(ge=1, le=10_000, description="items under each key that take part")]
HalfLife = Annotated[
    float, Meta(ge=0, description='order = "popular": days in which interest halves; 0 = it never fades')
]


def popularity(interactions: Interactions, order: str, half_life_days: float) -> dict[str, NDArray[Any]]:
    """The part of a keyed channel: ``score`` float32[N], decayed interest in each item, 1 for the most liked one;
    nothing where the order does not need it."""
    scores = np.zeros(interactions.n_items if order == "popular" else 0, np.float32)
    if len(scores):
        found = PopularChannel.build(interactions, None, PopularConfig(half_life_days=half_life_days), 0).arrays
        top = found["score"].max(initial=0.0)
        scores[found["item"]] = found["score"] / top if top > 0 else 0.0
    return {"score": scores}


class KeyedLookup:
    """Answers with the items under some keys, those that are to be had at the time.

    Args:
        name: the channel's name.
        state: whose catalogue is followed; it is asked for availability at every request.
        keys_of: an item's keys.
        order: see Order; or a number of the channel's own for each item, in the place of its popularity.
        scores: float32[N] or empty, see ``popularity``.
        depth: see Depth.
    """

    def __init__(
        self, name: str, state: State, keys_of: KeysOf, order: str | OrderOf, scores: Floats, depth: int
    ) -> None:
        self.name, self._state, self._depth = name, state, depth
        self._by_age = order == "newest"
        by_name = newest(state) if self._by_age else scored(scores)
        self._items = KeyedItems(state, keys_of, by_name if isinstance(order, str) else order)
        self.answer(np.zeros(0, np.int32), np.zeros(0), SCORE, 0, 0)  # compile

    def answer(self, keys: Rows, weights: NDArray[Any], mix: int, now_ms: int, limit: int) -> CandidateBatch:
        """The best ``limit``.

        Args:
            keys: int32[Q] distinct.
            weights: float[Q] above 0.
            mix: SHARE, SCORE or TIER: all under a key of higher weight before all under a lower.
            now_ms: what is published later is not to be had yet.
        """
        lists, catalogue = self._items.lists(keys), self._state.catalogue
        found = mixed(
            lists,
            weights.astype(np.float64),
            _read_only(catalogue.available),
            _read_only(catalogue.publish_ms),
            now_ms,
            self._depth,
            mix,
            self._by_age,
            max(limit, 0),
        )
        return CandidateBatch.of(self.name, *found)


@njit(cache=True, nogil=True)
def mixed(
    lists: Lists,
    weights: NDArray[np.float64],
    available: Mask,
    publish_ms: Times,
    now_ms: int,
    depth: int,
    mix: int,
    by_age: bool,
    limit: int,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Candidates with their scores, each once, the best ``limit``, best first, ties by row.

    With w the weight of a key and r = 0, 1, … the item's place among those under it that are to be had:
    SHARE w / (r + 1), the best over the item's keys, so that in any beginning of the answer each key has places in
    proportion to its weight; SCORE the sum over its keys of w / (1 + days of age) or w x popularity; TIER
    w + 1 / (r + 2), the best.
    """
    size = room(lists, depth)
    keys, sums, n_found = np.zeros(size, np.int32), np.zeros(size, np.float32), 0
    for q in range(len(weights)):
        old, new, place = lists.begin[q], lists.new_start[q], 0
        while place < depth:
            # The better head of the two lists.
            has_old, has_new = old < lists.end[q], new < lists.new_start[q + 1]
            if not has_old and not has_new:
                break
            if has_old and (
                not has_new
                or lists.order[old] > lists.new_order[new]
                or (lists.order[old] == lists.new_order[new] and lists.item[old] < lists.new_item[new])
            ):
                row, order, is_moved = lists.item[old], lists.order[old], lists.moved[lists.item[old]]
                old += 1
            else:
                row, order, is_moved = lists.new_item[new], lists.new_order[new], False
                new += 1
            if is_moved or row >= len(available) or not available[row] or publish_ms[row] > now_ms:
                continue
            n_found += enter(keys, sums, row, value(mix, by_age, weights[q], place, order, now_ms), mix == SCORE)
            place += 1
    rows, scores, n_kept = np.zeros(min(limit, n_found), np.int32), np.zeros(min(limit, n_found), np.float32), 0
    for slot in range(size):
        if keys[slot] != 0:
            n_kept = offer(rows, scores, n_kept, keys[slot], sums[slot])
    best_first(rows, scores, n_kept)
    return rows, scores


@njit(cache=True, nogil=True)
def room(lists: Lists, depth: int) -> int:
    """Slots of an open-addressing table, a power of 2, that the lists fill to half at most."""
    size, n_most = 16, 0
    for q in range(len(lists.begin)):
        n_listed = lists.end[q] - lists.begin[q] + lists.new_start[q + 1] - lists.new_start[q]
        n_most += min(depth, n_listed)
    while size < 2 * n_most:
        size *= 2
    return size


@njit(cache=True, nogil=True)
def value(mix: int, by_age: bool, weight: float, place: int, order: float, now_ms: int) -> float:
    """The score of one item under one key."""
    if mix == SHARE:
        return weight / (place + 1.0)
    if mix == TIER:
        return weight + 1.0 / (place + 2.0)
    if by_age:
        return weight / (1.0 + max(0.0, now_ms - order) / DAY_MS)
    return weight * order


@njit(cache=True, nogil=True)
def enter(keys: Rows, sums: Floats, row: int, score: float, is_sum: bool) -> int:
    """Add a score to an item's, or keep the better of the two; 1 if the item is new to the table."""
    slot = int(row) * 40503 & (len(keys) - 1)
    while keys[slot] != 0 and keys[slot] != row:
        slot = (slot + 1) & (len(keys) - 1)
    if keys[slot] == 0:
        keys[slot], sums[slot] = row, score
        return 1
    sums[slot] = sums[slot] + score if is_sum else max(sums[slot], np.float32(score))
    return 0


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view
