"""Buckets of a layer as ranges: which are free, and which an arm gets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from feedmill.experiments.assignment import buckets
from feedmill.experiments.definition import Range

Mask = NDArray[np.bool_]
GRAIN = 1000  # blocks that a draw shuffles: the log keeps ranges, not a hundred thousand buckets


def mask_of(ranges: Iterable[Range], n: int) -> Mask:
    """bool[n]: which buckets lie in any of the ranges."""
    mask = np.zeros(n, np.bool_)
    for first, end in ranges:
        mask[first:end] = True
    return mask


def ranges_of(mask: Mask) -> tuple[Range, ...]:
    """The opposite, in order and as long as they can be."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    return tuple((int(a), int(b)) for a, b in edges.reshape(-1, 2))


def size(ranges: Iterable[Range]) -> int:
    """How many buckets those are, if none is in two of them."""
    return sum(end - first for first, end in ranges)


def draw(free: Mask, counts: Mapping[str, int], salt: str) -> dict[str, tuple[Range, ...]]:
    """Free buckets for each arm, in an order of the salt's own.

    Whoever was in a treatment before is spread over all arms of the next experiment: what it left behind in its
    users then weighs the same in each.

    Args:
        free: bool[n], at least as many as ``counts`` add up to.
    """
    n = len(free)
    block = np.arange(n, dtype=np.uint64) // np.uint64(max(1, n // GRAIN))
    order = np.lexsort((block, buckets(block, salt, 1 << 31)))  # whole blocks, in the salt's order
    order = order[free[order]]
    out, at = {}, 0
    for arm, count in counts.items():
        mask = np.zeros(n, np.bool_)
        mask[order[at : at + count]] = True
        out[arm], at = ranges_of(mask), at + count
    return out


def words(ranges: Sequence[Range], most: int = 5) -> str:
    """For people: ``0-99, 200-299 and 3 more``."""
    shown = ", ".join(f"{a}-{b - 1}" if b - a > 1 else str(a) for a, b in ranges[:most])
    return shown + (f" and {len(ranges) - most} more" if len(ranges) > most else "") or "none"
