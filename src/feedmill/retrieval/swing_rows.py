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

Counts = NDArray[np.uint16]


class Pairs(NamedTuple):
    """What is summed: users in pairs, and what each pair and each candidate counts.

    Attributes:
        ptr, users: the users of each place that are paired, ``ptr[a]:ptr[a+1]``, ascending; the table has the items
            of all users.
        weight: float32[n_users] w_u.
        right: float32[n_items] by place: what a sum is multiplied by for the candidate's sake.
    """

    ptr: NDArray[np.int64]
    users: Indices
    weight: Floats
    alpha: Any  # np.float32
    right: Floats


class Scratch(NamedTuple):
    """What one thread writes on; ``n_of`` is 0 between rows."""

    n_of: Rows  # by place
    met: Rows
    ends: Rows
    sums: Floats
    members: Rows
    shared: Counts  # [most users of an item x width]
    pairs: Floats  # a row more
    ones: Counts  # [width], most users rounded up to whole vectors
    line: Floats  # [width]
    keys: NDArray[np.uint64]
    counts: Rows

    @staticmethod
    def of(n_items: int, most_users: int, most_entries: int) -> Scratch:
        width = -(-most_users // VECTOR) * VECTOR
        return Scratch(
            n_of=np.zeros(n_items, np.int32),
            met=np.empty(n_items + 1, np.int32),
            ends=np.empty(n_items + 1, np.int32),
            sums=np.empty(n_items, np.float32),
            members=np.empty(most_entries + 1, np.int32),
            shared=np.empty(most_users * width, np.uint16),
            pairs=np.empty((most_users + 1) * width, np.float32),
            ones=np.empty(width, np.uint16),
            line=np.empty(width, np.float32),
            keys=np.empty(n_items, np.uint64),
            counts=np.empty(BUCKETS, np.int32),
        )


def swing(table: Table, pairs: Pairs, top_k: int) -> tuple[Rows, Floats]:
    """Of each item a the ``top_k`` items b with the largest positive

        right[b] sum_{ {u,v} ⊂ Wa ∩ Wb } w_u w_v / (alpha + |I_u ∩ I_v|),

    Wa being the paired users of a, and I_u all items of u, fewer than 65,536.

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
    met, ends, values, right = scratch.met, scratch.ends, scratch.sums, pairs.right
    for a in range(first, last):
        users = pairs.users[pairs.ptr[a] : pairs.ptr[a + 1]]
        if len(users) < 2:
            continue
        n_met = members_of(users, table, scratch)
        width = -(-len(users) // VECTOR) * VECTOR
        count_pairs(n_met, ends, scratch.members, len(users), scratch.shared, scratch.ones[:width])
        weigh_pairs(users, pairs.weight, pairs.alpha, scratch.shared, scratch.pairs, scratch.line[:width])
        sum_pairs(n_met, ends, scratch.members, len(users), scratch.pairs, scratch.line[:width], values)
        for t in range(n_met):
            values[t] = values[t] * right[met[t]] if met[t] != a else 0
        low, n = least(values, n_met, neighbours.shape[1], scratch.counts), 0
        for t in range(n_met):
            if values[t] >= low:
                scratch.keys[n] = key_of(table.items[met[t]], values[t])
                n += 1
        keep_best(scratch.keys, n, neighbours[table.items[a]], sims[table.items[a]])


@njit(cache=True, nogil=True)
def members_of(users: Indices, table: Table, scratch: Scratch) -> int:
    """List which of the users, as numbers from 0 on, have each item that two of them have.

    Returns:
        how many such items there are; ``met`` has their places, and of the t-th the list is
        ``members[ends[t] : ends[t + 1]]``, ascending.
    """
    ptr, places, n_of, met, ends = table.user_ptr, table.user_places, scratch.n_of, scratch.met, scratch.ends
    one, n_met = np.uint32(1), 0
    for s in range(len(users)):
        ahead = users[min(s + AHEAD, len(users) - 1)]
        for q in range(ptr[ahead], min(ptr[ahead + one], ptr[ahead] + np.uint32(LONG)), LINE):
            prefetch(places, q)
        for q in range(ptr[users[s]], ptr[users[s] + one]):
            b = places[q]
            met[n_met] = b
            n_met += n_of[b] == 1  # no branch: whether it is the second one is a coin toss to the processor
            n_of[b] += 1
    ends[0] = 1
    for t in range(n_met):
        ends[t + 1] = ends[t] + n_of[met[t]]
        n_of[met[t]] = -ends[t]  # from here on where the next member goes
    for s in range(len(users)):
        for q in range(ptr[users[s]], ptr[users[s] + one]):
            b = places[q]
            at = max(-n_of[b], 0)  # what one user has goes to 0, time and again
            scratch.members[at] = s
            n_of[b] -= 1
    for t in range(n_met):
        n_of[met[t]] = 0
    return n_met


@njit(cache=True, nogil=True)
def count_pairs(n_met: int, ends: Rows, members: Rows, m: int, shared: Counts, ones: Counts) -> None:
    """How many items each pair of users shares, both ways.

    Args:
        shared: uint16[m * width].
        ones: uint16[width >= m] of scratch.
    """
    width = np.uint64(len(ones))
    shared[: m * len(ones)] = 0
    for n in range(n_met):
        first, last = ends[n], ends[n + 1]
        if (last - first) * DENSE > len(ones):
            ones[:] = 0
            for i in range(first, last):
                ones[members[i]] = 1
            for i in range(first, last):
                row = np.uint64(members[i]) * width
                for t in range(width):
                    shared[row + t] += ones[t]
        else:
            for i in range(first, last - 1):
                mine = np.uint64(members[i])
                for j in range(i + 1, last):
                    shared[mine * width + np.uint64(members[j])] += np.uint16(1)
                    shared[np.uint64(members[j]) * width + mine] += np.uint16(1)


@njit(cache=True, nogil=True, error_model="numpy")  # padding may be 0/0: nobody reads it
def weigh_pairs(users: Indices, weight: Floats, alpha: float, shared: Counts, matrix: Floats, line: Floats) -> None:
    """Write w_u w_v / (alpha + |I_u ∩ I_v|) to ``matrix``, 0 for a user with themselves, and a row of 0."""
    width = np.uint64(len(line))
    line[:] = 0
    for t in range(len(users)):
        line[t] = weight[users[t]]
    for s in range(len(users)):
        row, of_s = np.uint64(s) * width, weight[users[s]]
        for t in range(width):
            matrix[row + t] = of_s * line[t] / (alpha + np.float32(shared[row + t]))
        matrix[row + np.uint64(s)] = 0
    last = np.uint64(len(users)) * width
    for t in range(width):
        matrix[last + t] = 0


@njit(cache=True, nogil=True)
def sum_pairs(n_met: int, ends: Rows, members: Rows, m: int, matrix: Floats, line: Floats, sums: Floats) -> None:
    """Write the sum over all pairs of each item's users to ``sums``.

    Args:
        matrix: float32[(m + 1) * width], of which the last row is 0.
        line: float32[width] of scratch.
    """
    width = np.uint64(len(line))
    zeros = np.uint64(m) * width
    for n in range(n_met):
        first, last, total = ends[n], ends[n + 1], np.float32(0)
        if (last - first) * DENSE > len(line):
            line[:] = 0
            for i in range(first, last, 4):  # four at a time: the line is read and written less often
                one, two = np.uint64(members[i]) * width, zeros if i + 1 >= last else np.uint64(members[i + 1]) * width
                three = zeros if i + 2 >= last else np.uint64(members[i + 2]) * width
                four = zeros if i + 3 >= last else np.uint64(members[i + 3]) * width
                for t in range(width):
                    line[t] += (matrix[one + t] + matrix[two + t]) + (matrix[three + t] + matrix[four + t])
            for i in range(first, last):
                total += line[members[i]]
            sums[n] = total * np.float32(0.5)
        else:
            for i in range(first, last - 1):
                row, part = np.uint64(members[i]) * width, np.float32(0)
                for j in range(i + 1, last):
                    part += matrix[row + np.uint64(members[j])]
                total += part
            sums[n] = total
