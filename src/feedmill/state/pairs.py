"""Counters of a user with a topic: a table of fixed size in which a pair is found, not searched for.

There may be as many pairs as users times topics, most of which are never met again. So the table is a set-associative
cache: a pair may stand in any of ``WAYS`` rows, which its hash names, and a new one takes the row that was written to
least lately. A row knows whose it is: what is read is of this pair alone, and what had to give way reads as nothing,
never as somebody else's. Which rows those are depends on the events and their order, on nothing else.
"""

from __future__ import annotations

import numpy as np

from feedmill.core.batches import Times
from feedmill.state.arrays import NEVER, WAYS, Doubles
from feedmill.state.compiler import Int, inner


@inner
def key_of(user: Int, topic: Int) -> Int:
    """A number of its own for every pair, never 0: users are from 1."""
    return (np.int64(user) << 32) | np.int64(topic)


@inner
def place_of(key: Int, n: Int) -> Int:
    """The first of the rows, of n, that a pair may stand in (the finaliser of splitmix64)."""
    mixed = np.uint64(key)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return np.int64(mixed % np.uint64(n // WAYS)) * WAYS


@inner
def find(keys: Times, user: Int, topic: Int) -> Int:
    """The row of a pair, -1 if it has none."""
    if user <= 0 or topic <= 0 or len(keys) == 0:
        return np.int64(-1)
    key = key_of(user, topic)
    first = place_of(key, len(keys))
    for row in range(first, first + WAYS):
        if keys[row] == key:
            return np.int64(row)
    return np.int64(-1)


@inner
def claim(keys: Times, newest_ms: Times, sums: Doubles, user: Int, topic: Int) -> Int:
    """The row of a pair, which is emptied for it if it has none; there are rows."""
    row = find(keys, user, topic)
    if row >= 0:
        return row
    key = key_of(user, topic)
    first = place_of(key, len(keys))
    row = first
    for other in range(first + 1, first + WAYS):
        if newest_ms[other] < newest_ms[row]:
            row = other
    keys[row], newest_ms[row] = key, NEVER
    for j in range(sums.shape[1]):
        sums[row, j] = 0.0
    return np.int64(row)
