"""The top-K most similar rows of a sparse table, in compiled code and on all cores."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Rows
from feedmill.retrieval.cores import on_all_cores
from feedmill.retrieval.prefetch import prefetch
from feedmill.retrieval.topk import BUCKETS, keep_best, least

AHEAD = 6  # lists are asked for this many users early
LINE, LONG = 16, 512  # 32-bit numbers in a cache line, and how much of a list is asked for
LANES, DEEP = 256, 16  # places are read in chunks of DEEP x LANES; each lane is a group of DEEP places
CHUNK = LANES * DEEP
SPARSE = 20  # reading a sum on its own costs as much as this many in a row

Indices = NDArray[np.uint32]  # unsigned: compiled code asks of a signed index whether it counts from the end


class Table(NamedTuple):
    """A sparse matrix of users x items from both its sides; user u has ``user_ptr[u]:user_ptr[u+1]``.

    Items stand at places by falling popularity, so that the sums that are added to most share cache lines.
    """

    items: Rows  # int32[n_items] the item at each place
    user_ptr: Indices  # [n_users + 1]
    user_places: Indices  # [n], of each user ascending
    user_values: Floats  # [n], or empty where the values of each user are all alike
    item_ptr: NDArray[np.int64]  # [n_items + 1], by place
    item_users: Indices  # [n]
    item_values: Floats  # [n]

    @staticmethod
    def of(user: Rows, item: Rows, values: Floats, n_users: int, n_items: int) -> Table:
        """Fewer than 2^32 entries in any order; each (user, item) once."""
        counts = np.bincount(item, minlength=n_items)
        items = np.argsort(-counts, kind="stable").astype(np.int32)
        place = np.empty(n_items, np.int32)
        place[items] = np.arange(n_items, dtype=np.int32)
        item_ptr = np.concatenate([[0], np.cumsum(counts[items])]).astype(np.int64)
        user_ptr = np.concatenate([[0], np.cumsum(np.bincount(user, minlength=n_users))]).astype(np.uint32)
        # NumPy asks the system for large pages, which numba does not: a third of the time goes into them else.
        item_users, user_places = np.empty(len(user), np.uint32), np.empty(len(user), np.uint32)
        item_values = np.empty(len(user), np.float32)
        by_item(user, item, values, place, item_ptr, item_users, item_values)
        is_flat = alike(user, values, n_users)
        user_values = np.empty(0 if is_flat else len(user), np.float32)
        by_user(item_ptr, item_users, item_values, user_ptr, user_places, user_values)
        return Table(items, user_ptr, user_places, user_values, item_ptr, item_users, item_values)

    def norms(self) -> NDArray[np.float64]:
        """float64[n_items] by place: the sum of squares of each item's values."""
        return sums_of(self.item_ptr, np.square(self.item_values))

    def counts(self) -> NDArray[np.float64]:
        """float64[n_items] by place: the users of each item."""
        return np.diff(self.item_ptr).astype(np.float64)

    def work(self) -> NDArray[np.float64]:
        """float64[n_items] by place: products to add for each item's row."""
        return products(self.item_ptr, self.item_users, self.user_ptr)

    def hot(self) -> NDArray[np.int64]:
        """int64[n_items]: of each item's row, the places from the first on where so many sums are expected to be in
        use that looking through all of them costs less than noting which."""
        counts = np.diff(self.item_ptr)
        expected = len(self.item_users) / (SPARSE * np.maximum(self.work(), 1e-9))
        places = np.searchsorted(-counts, -expected, side="right")
        return np.minimum(-(-places // CHUNK), -(-len(counts) // CHUNK)) * CHUNK


def similar(table: Table, left: Floats, right: Floats, shrinkage: float, top: float, top_k: int) -> tuple[Rows, Floats]:
    """Of each item a the ``top_k`` items b with the largest positive

        n/(n + shrinkage) min(top, left[a] right[b] sum_u value(u,a) value(u,b)),   n = the users both have.

    Each product is added twice, for a and for b: the half that could be saved is saved in adding only, while every
    list would need what the rows of others found, from all threads.

    Args:
        left, right: float32[n_items] by place.

    Returns:
        int32[n_items, top_k] and float32[n_items, top_k] by item, best first, padded with 0; equal ones by item row.
    """
    n_items = len(table.items)
    neighbours, sims = np.zeros((n_items, top_k), np.int32), np.zeros((n_items, top_k), np.float32)
    work, hot = table.work(), table.hot()
    padded = np.zeros(-(-n_items // CHUNK) * CHUNK, np.float32)
    padded[:n_items] = right

    def rows(first: int, last: int) -> None:
        similar_rows(first, last, table, hot, left, padded, shrinkage, top, neighbours, sims)

    on_all_cores("similar items", work, rows)
    return neighbours, sims


@njit(cache=True, nogil=True)
def by_item(
    user: Rows, item: Rows, values: Floats, place: Rows, ptr: NDArray[Any], users: Indices, item_values: Floats
) -> None:
    """Entries grouped by the place of their item, in their order of arrival."""
    end = ptr[:-1].copy()
    for n in range(len(user)):
        p = place[item[n]]
        at = end[p]
        end[p] = at + 1
        users[at], item_values[at] = user[n], values[n]


@njit(cache=True, nogil=True)
def by_user(
    item_ptr: NDArray[Any], users: Indices, values: Floats, ptr: Indices, places: Indices, user_values: Floats
) -> None:
    """The same entries grouped by user, places ascending; values where there is room for them."""
    end = ptr[:-1].copy()
    for place in range(len(item_ptr) - 1):
        for p in range(item_ptr[place], item_ptr[place + 1]):
            at = end[users[p]]
            end[users[p]] = at + np.uint32(1)
            places[at] = place
            if len(user_values):
                user_values[at] = values[p]


@njit(cache=True, nogil=True)
def alike(user: Rows, values: Floats, n_users: int) -> bool:
    """Whether each user has one value only."""
    first = np.zeros(n_users, np.float32)
    for n in range(len(user)):
        if first[user[n]] == 0:
            first[user[n]] = values[n]
        elif first[user[n]] != values[n]:
            return False
    return True


@njit(cache=True, nogil=True)
def sums_of(ptr: NDArray[Any], values: Floats) -> NDArray[np.float64]:
    """The sum of each group."""
    out = np.zeros(len(ptr) - 1)
    for a in range(len(out)):
        for p in range(ptr[a], ptr[a + 1]):
            out[a] += values[p]
    return out


@njit(cache=True, nogil=True)
def products(item_ptr: NDArray[Any], item_users: Indices, user_ptr: Indices) -> NDArray[np.float64]:
    """Entries in the lists of each item's users, added up."""
    out = np.zeros(len(item_ptr) - 1)
    for a in range(len(out)):
        for p in range(item_ptr[a], item_ptr[a + 1]):
            out[a] += user_ptr[item_users[p] + np.uint32(1)] - user_ptr[item_users[p]]
    return out


@njit(cache=True, nogil=True)
def similar_rows(
    first: int,
    last: int,
    table: Table,
    hot: NDArray[np.int64],
    left: Floats,
    right: Floats,
    shrinkage: float,
    top: float,
    neighbours: Rows,
    sims: Floats,
) -> None:
    """Rows of the items at places first..last of ``similar``.

    Row a walks a's users and their items, adding into an array over the catalogue. The hot part of that, where most
    sums are in use, is then read as a whole; which others are in use is noted on the way. Scratch belongs to the
    call: threads share nothing.
    """
    n_places, shrink, ceiling = len(right), np.float32(shrinkage), np.float32(top)
    sums, met = np.zeros(n_places, np.float32), np.empty(n_places + 1, np.int32)
    n_shared = np.zeros(n_places if shrinkage > 0 else 0, np.float32)
    largest, chosen = np.empty(n_places, np.float32), np.empty(n_places, np.float32)
    counts = np.zeros(BUCKETS, np.int32)
    for a in range(first, last):
        n_met = add(a, table, hot[a], sums, n_shared, met)
        look(hot[a], n_met, met, sums, n_shared, shrink, left[a], right, ceiling, largest)
        n = choose(hot[a], n_met, met, sums, n_shared, shrink, left[a], right, ceiling, largest, chosen, neighbours, counts)
        keep_best(n, met, chosen, table.items, neighbours[table.items[a]], sims[table.items[a]], counts)


@njit(cache=True, nogil=True)
def add(a: int, table: Table, head: int, sums: Floats, n_shared: Floats, met: Rows) -> int:
    """Add the products of place a to ``sums``, and 1 for each to ``n_shared`` if that has any length.

    Returns:
        how many sums from ``head`` on are in use; ``met`` has their places. That of a itself is 0.
    """
    users, ptr, places, last = table.item_users, table.user_ptr, table.user_places, len(table.item_users) - 1
    one, n_met, is_flat = np.uint32(1), 0, len(table.user_values) == 0
    for p in range(np.uint64(table.item_ptr[a]), np.uint64(table.item_ptr[a + 1])):
        ahead = users[min(p + np.uint64(AHEAD), np.uint64(last))]
        begin, end = ptr[ahead], ptr[ahead + one]
        for q in range(begin, min(end, begin + np.uint32(LONG)), LINE):
            prefetch(places, q)
            if not is_flat:
                prefetch(table.user_values, q)
        user, value = users[p], table.item_values[p]
        begin, end = ptr[user], ptr[user + one]
        q = end
        while q > begin and places[q - one] >= head:
            q -= one
            met[n_met] = places[q]  # no branch: whether it is new is a coin toss to the processor
            n_met += sums[places[q]] == 0
        if is_flat:
            for q in range(begin, end):
                sums[places[q]] += value * value
        else:
            for q in range(begin, end):
                sums[places[q]] += value * table.user_values[q]
        if len(n_shared):
            for q in range(begin, end):
                n_shared[places[q]] += np.float32(1)
    sums[a] = 0
    return n_met


@njit(cache=True, nogil=True)
def similarity(b: int, sums: Floats, n_shared: Floats, shrinkage: float, left: float, right: Floats, top: float) -> Any:
    """float32; the product of norms comes first, so that two items may change places."""
    sim = sums[b] * (left * right[b])
    sim = sim if sim < top else top
    return sim * (n_shared[b] / (n_shared[b] + shrinkage)) if len(n_shared) else sim


@njit(cache=True, nogil=True)
def look(
    head: int,
    n_met: int,
    met: Rows,
    sums: Floats,
    n_shared: Floats,
    shrinkage: float,
    left: float,
    right: Floats,
    top: float,
    largest: Floats,
) -> None:
    """The largest similarity of each group of hot places, and behind them those of the sums that were noted.

    Group j of the chunk that begins at c has the places c + j, c + j + LANES, …: so that the loop over groups is one
    over vectors.
    """
    for start in range(0, head, CHUNK):
        group = largest[start // DEEP : start // DEEP + LANES]
        group[:] = 0
        for low in range(start, start + CHUNK, LANES):
            total, inverse = sums[low : low + LANES], right[low : low + LANES]
            if len(n_shared):
                shared = n_shared[low : low + LANES]
                for j in range(LANES):
                    sim = similarity(j, total, shared, shrinkage, left, inverse, top)
                    group[j] = sim if sim > group[j] else group[j]
            else:
                for j in range(LANES):
                    sim = total[j] * (left * inverse[j])
                    sim = sim if sim < top else top
                    group[j] = sim if sim > group[j] else group[j]
    for t in range(n_met):
        largest[head // DEEP + t] = similarity(met[t], sums, n_shared, shrinkage, left, right, top)


@njit(cache=True, nogil=True)
def choose(
    head: int,
    n_met: int,
    met: Rows,
    sums: Floats,
    n_shared: Floats,
    shrinkage: float,
    left: float,
    right: Floats,
    top: float,
    largest: Floats,
    chosen: Floats,
    neighbours: Rows,
    counts: Rows,
) -> int:
    """Put what may be among the k best, n places and similarities, into the front of ``met`` and ``chosen``, and
    clear the sums.

    Only those groups are opened whose largest is among the k largest of ``largest``.
    """
    n_groups, k, n = head // DEEP, neighbours.shape[1], 0
    low = least(largest.view(np.int32), n_groups + n_met, k, counts) if n_groups + n_met > 4 * k else 1
    low32 = np.array([low], np.int32).view(np.float32)[0]
    for t in range(n_met):
        b = met[t]
        sums[b] = 0
        if len(n_shared):
            n_shared[b] = 0
        if largest[n_groups + t] >= low32:
            met[n], chosen[n] = b, largest[n_groups + t]
            n += 1
    for group in range(n_groups):
        if largest[group] >= low32:
            first = group // LANES * CHUNK + group % LANES
            for b in range(first, first + CHUNK, LANES):
                sim = similarity(b, sums, n_shared, shrinkage, left, right, top)
                if sim >= low32:
                    met[n], chosen[n] = b, sim
                    n += 1
    sums[:head] = 0
    if len(n_shared):
        n_shared[:head] = 0
    return n
