"""The sums of Swing, in compiled code and on all cores."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Rows
from feedmill.retrieval.cores import on_all_cores
from feedmill.retrieval.prefetch import prefetch
from feedmill.retrieval.table import Indices, Table, products
from feedmill.retrieval.topk import BUCKETS, keep_best, key_of, least

AHEAD, LINE, LONG = 6, 16, 512  # as in similarity.py
VECTOR = 64  # rows of pairs are this wide or a multiple: loops over them are loops over whole vectors
DENSE = 12  # going through the pairs of one user in 12 is as dear as going through all pairs, which are vectors


class Pairs(NamedTuple):
    """What is summed: users in pairs, and what each pair and each candidate counts.

    Attributes:
        ptr, users: the users of each place that are paired, ``ptr[a]:ptr[a+1]``, ascending; the table has the items
            of all users.
        weight: float32[n_users] w_u.
        alpha: np.float32.
        right: float32[n_items] by place: what a sum is multiplied by for the candidate's sake.
    """

    ptr: NDArray[np.int64]
    users: Indices
    weight: Floats
    alpha: np.float32
    right: Floats


class Scratch(NamedTuple):
    """What one thread writes on; ``n_of`` is 0 between rows."""

    n_of: Rows  # by place
    end: Rows  # by place
    met: Rows
    sums: Floats
    members: Rows
    pairs: Floats  # [most users of an item x width]
    line: Floats  # [width], the same rounded up to whole vectors
    keys: NDArray[np.uint64]
    counts: Rows

    @staticmethod
    def of(n_items: int, most_users: int, most_entries: int) -> Scratch:
        width = -(-most_users // VECTOR) * VECTOR
        return Scratch(
            n_of=np.zeros(n_items, np.int32),
            end=np.empty(n_items, np.int32),
            met=np.empty(n_items + 1, np.int32),
            sums=np.empty(n_items, np.float32),
            members=np.empty(most_entries, np.int32),
            pairs=np.empty(most_users * width, np.float32),
            line=np.empty(width, np.float32),
            keys=np.empty(n_items, np.uint64),
            counts=np.empty(BUCKETS, np.int32),
        )


def swing(table: Table, pairs: Pairs, top_k: int) -> tuple[Rows, Floats]:
    """Of each item a the ``top_k`` items b with the largest positive

        right[b] sum_{ {u,v} ⊂ Wa ∩ Wb } w_u w_v / (alpha + |I_u ∩ I_v|),

    Wa being the paired users of a, and I_u all items of u.

    Returns:
        int32[n_items, top_k] and float32[n_items, top_k] by item, best first, padded with 0; equal ones by item row.
    """
    n_items = len(table.items)
    neighbours, sims = np.zeros((n_items, top_k), np.int32), np.zeros((n_items, top_k), np.float32)
    entries, n_users = products(pairs.ptr, pairs.users, table.user_ptr), np.diff(pairs.ptr)
    most_entries, most_users = int(entries.max(initial=1)), int(n_users.max(initial=1))

    def rows(first: int, last: int) -> None:
        scratch = Scratch.of(n_items, most_users, most_entries)
        swing_rows(first, last, table, pairs, scratch, neighbours, sims)

    on_all_cores("swing", 2 * entries + n_users * (n_users - 1.0), rows)
    return neighbours, sims


@njit(cache=True, nogil=True)
def swing_rows(
    first: int, last: int, table: Table, pairs: Pairs, scratch: Scratch, neighbours: Rows, sims: Floats
) -> None:
    """Rows of the items at places first..last of ``swing``.

    The m users of a are numbered. Which of them have item b is listed for every b they have; going through the pairs
    of each list counts |I_u ∩ I_v| for all pairs at once, and going through them again adds up what they count. That
    costs as much as the users share, where intersecting two users at a time costs as much as they have.
    """
    n_of, end, met, values = scratch.n_of, scratch.end, scratch.met, scratch.sums
    for a in range(first, last):
        users = pairs.users[pairs.ptr[a] : pairs.ptr[a + 1]]
        m = len(users)
        if m < 2:
            continue
        n_met = members_of(users, table, scratch)
        line = scratch.line[: -(-m // VECTOR) * VECTOR]
        matrix = scratch.pairs[: m * len(line)]
        matrix[:] = pairs.alpha + np.float32(1)  # all of them have a
        for t in range(n_met):
            if met[t] != a and n_of[met[t]] > 1:
                count_pairs(scratch.members[end[met[t]] - n_of[met[t]] : end[met[t]]], matrix, line)
        weigh_pairs(users, pairs.weight, matrix, line)
        for t in range(n_met):
            b, values[t] = met[t], 0
            if b != a and n_of[b] > 1:
                values[t] = sum_pairs(scratch.members[end[b] - n_of[b] : end[b]], matrix, line) * pairs.right[b]
            n_of[b] = 0
        low, n = least(values, n_met, neighbours.shape[1], scratch.counts), 0
        for t in range(n_met):
            if values[t] >= low:
                scratch.keys[n] = key_of(table.items[met[t]], values[t])
                n += 1
        keep_best(scratch.keys, n, neighbours[table.items[a]], sims[table.items[a]])


@njit(cache=True, nogil=True)
def members_of(users: Indices, table: Table, scratch: Scratch) -> int:
    """List which of the users, as numbers from 0 on, have each item.

    Returns:
        how many items they have; ``met`` has the places. Of place b the list is ``members[end[b] - n_of[b] : end[b]]``,
        ascending.
    """
    ptr, places, n_of, end, met = table.user_ptr, table.user_places, scratch.n_of, scratch.end, scratch.met
    one, n_met, at = np.uint32(1), 0, 0
    for s in range(len(users)):
        ahead = users[min(s + AHEAD, len(users) - 1)]
        for q in range(ptr[ahead], min(ptr[ahead + one], ptr[ahead] + np.uint32(LONG)), LINE):
            prefetch(places, q)
        for q in range(ptr[users[s]], ptr[users[s] + one]):
            b = places[q]
            met[n_met] = b
            n_met += n_of[b] == 0  # no branch: whether it is new is a coin toss to the processor
            n_of[b] += 1
    for t in range(n_met):
        end[met[t]] = at
        at += n_of[met[t]]
    for s in range(len(users)):
        for q in range(ptr[users[s]], ptr[users[s] + one]):
            b = places[q]
            scratch.members[end[b]] = s
            end[b] += 1
    return n_met


@njit(cache=True, nogil=True)
def count_pairs(members: Rows, matrix: Floats, line: Floats) -> None:
    """Add 1 for each pair of an item's users, both ways.

    Args:
        matrix: float32[m * width].
        line: float32[width >= m] of scratch.
    """
    width = len(line)
    if len(members) * DENSE > width:
        line[:] = 0
        for s in members:
            line[s] = 1
        for s in members:
            row = matrix[s * width : s * width + width]
            for t in range(width):
                row[t] += line[t]
    else:
        for i in range(len(members) - 1):
            for j in range(i + 1, len(members)):
                matrix[members[i] * width + members[j]] += np.float32(1)
                matrix[members[j] * width + members[i]] += np.float32(1)


@njit(cache=True, nogil=True)
def weigh_pairs(users: Indices, weight: Floats, matrix: Floats, line: Floats) -> None:
    """alpha + |I_u ∩ I_v| -> w_u w_v / (alpha + |I_u ∩ I_v|), and 0 for a user with themselves."""
    width = len(line)
    line[:] = 0
    for t in range(len(users)):
        line[t] = weight[users[t]]
    for s in range(len(users)):
        row, of_s = matrix[s * width : s * width + width], weight[users[s]]
        for t in range(width):
            row[t] = of_s * line[t] / row[t]
        row[s] = 0


@njit(cache=True, nogil=True)
def sum_pairs(members: Rows, matrix: Floats, line: Floats) -> float:
    """float32: the entries of all pairs of an item's users, added up; arguments as in ``count_pairs``."""
    width = len(line)
    total: Any = np.float32(0)
    if len(members) * DENSE > width:
        line[:] = 0
        for s in members:
            row = matrix[s * width : s * width + width]
            for t in range(width):
                line[t] += row[t]
        for s in members:
            total += line[s]
        return total / np.float32(2)  # type: ignore[no-any-return]
    for i in range(len(members) - 1):
        for j in range(i + 1, len(members)):
            total += matrix[members[i] * width + members[j]]
    return total  # type: ignore[no-any-return]
