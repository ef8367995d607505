"""Many channels' answers -> one list of candidates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from feedmill.core.batches import CandidateBatch


def merge(batches: Sequence[CandidateBatch], limit: int) -> CandidateBatch:
    """The union of the channels' answers, each item once, at most ``limit`` of them.

    Channels' scores have different scales, so the order goes by rank: an item stands at its best rank in any
    channel; of the same rank, what more channels found is first, then the lower row. So a limit cuts every
    channel's tail alike. Found scores of all channels are kept, NaN where a channel did not bring the item.

    Args:
        batches: answers, best first; a column of ``found`` per channel, in the order given.
        limit: most candidates to return.
    """
    channels = tuple(name for b in batches for name in b.channels)
    items = np.concatenate([np.zeros(0, np.int32), *(b.item for b in batches)])
    item, place = np.unique(items, return_inverse=True)
    found = np.full((len(item), len(channels)), np.nan, np.float32)
    best = np.full(len(item), np.iinfo(np.int32).max, np.int32)
    start = column = 0
    for b in batches:
        at = place[start : start + len(b)]
        best[at] = np.minimum(best[at], np.arange(len(b), dtype=np.int32))
        found[at, column : column + len(b.channels)] = b.found
        start, column = start + len(b), column + len(b.channels)
    n_channels = np.count_nonzero(~np.isnan(found), axis=1)
    order = np.lexsort((item, -n_channels, best))[: max(limit, 0)]
    n = len(order)
    none = np.zeros((n, 0), np.float32)
    return CandidateBatch(item[order], found[order], channels, none, (), np.zeros(n, np.float32))
