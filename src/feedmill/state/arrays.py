"""The columns the kernel reads and writes, as named tuples of arrays.

Lengths: U users, I items, A authors, G topics, P pairs of user and topic, L lanes, T history, R requests, C candidates.
The lanes from ``RARE`` on are kept apart: few users enter them, and memory that nobody has touched is not taken.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import LANES, Floats, Mask, Rows, Times
from feedmill.core.events import N_COUNTED, Kind

Doubles = NDArray[np.float64]
Bits = NDArray[np.uint64]


class Arrays(NamedTuple):
    """The state, at capacity: rows past the live ones hold what row 0 holds, which is nothing."""

    heads: Rows  # int32[U, L + 2] entries ever in each ring, in ``seen``, and the newest block of ``seen`` (0 = none)
    recent: Rows  # int32[U, RARE, T] rings of item rows by lane, the j-th entry ever at slot j % T
    recent_ms: Times  # int64[U, RARE, T]
    rare: Rows  # int32[U, L - RARE, T] the same of the lanes from RARE on
    rare_ms: Times  # int64[U, L - RARE, T]
    seen: Rows  # int32[blocks, BLOCK] the row of the user's block before this one, then item rows
    n_blocks: Times  # int64[1] blocks in use; block 0 is none
    user_ms: Times  # int64[U] time of the newest counted event
    user_sums: Doubles  # float64[U, n_selected] forward-decayed sums, see fold.py
    user_first_ms: Times  # int64[U] time of the first counted event in the log
    item_ms: Times
    item_sums: Doubles
    author_ms: Times
    author_sums: Doubles
    topic_ms: Times
    topic_sums: Doubles
    pair_keys: Times  # int64[P] user << 32 | topic, 0 = free; see pairs.py
    pair_ms: Times
    pair_sums: Doubles
    author: Rows  # int32[I]
    last_author: Rows  # int32[I] the same, but not cleared
    topics: Rows  # int32[I, TOPIC_WIDTH] 0-padded
    publish_ms: Times  # int64[I], 0 = unknown
    duration_s: Floats  # float32[I], NaN = unknown
    available: Mask  # bool[I]
    item_codes: Rows  # int32[attributes, I], 0 = unknown
    user_codes: Rows  # int32[attributes, U]


class Plan(NamedTuple):
    """A StateConfig as arrays."""

    lane_start: Rows  # int32[N_ENTERING + 1] into ``lanes``
    lanes: Rows  # int32[n] the lanes that each kind enters
    kind_start: Rows  # int32[N_ENTERING + 1] the columns of each kind, which stand side by side
    rate: Doubles  # float64[n_selected] 1 / time constant in ms, 0 = never decays
    epoch_ms: Times  # int64[1]


class Columns(NamedTuple):
    """n events."""

    time_ms: Times
    kind: NDArray[np.int8]
    user: Rows
    item: Rows  # of a SEARCH the row of its query, which is no item
    value: Floats


class Changes(NamedTuple):
    """What the k-th ITEM or USER event of a batch sets."""

    given: NDArray[np.uint8]  # uint8[k] bits AUTHOR, TOPICS, PUBLISH, DURATION, AVAILABLE
    author: Rows  # int32[k]
    topics: Rows  # int32[k, TOPIC_WIDTH]
    publish_ms: Times
    duration_s: Floats
    available: Mask
    code_start: Rows  # int32[k + 1] into ``attribute`` and ``code``
    attribute: Rows
    code: Rows


class Probes(NamedTuple):
    """R requests, C candidates; see core.batches.ProbeBatch."""

    user: Rows
    time_ms: Times
    at: Times
    item: Rows
    request_of: Rows


class Answers(NamedTuple):
    """What the kernel fills, all 0 before; see core.batches.UserColumns and probed.Probed."""

    history: Rows  # int32[L, R, T]: lane first, so that the pages of a lane that is not wanted are never touched
    history_ms: Times  # int64[L, R, T]
    counts: Floats
    profile: Rows
    first_ms: Times  # int64[R]
    last_ms: Times  # int64[R]
    liked_topics: Rows  # int32[R, TOPIC_WIDTH]
    item_counts: Floats
    author_counts: Floats
    topic_counts: Floats
    pair_counts: Floats  # float32[C, n_selected], or [C, 0] where no pairs are counted
    cross: Floats
    author: Rows  # int32[C], or [0] where the catalogue of now will do; so are the next two
    topics: Rows  # int32[C, TOPIC_WIDTH]
    codes: Rows  # int32[C, attributes]


class Scratch(NamedTuple):
    """The request that is being answered."""

    history: Rows  # int32[L, T]
    history_ms: Times  # int64[L, T]
    authors: Rows  # int32[L, T] of the items in ``history``
    length: Times  # int64[L] entries in use
    tally: Rows  # int32[G] how often a topic was met; all 0 between requests
    met: Rows  # int32[T * TOPIC_WIDTH] which were
    marks: Bits  # uint64[G, 3 * ceil(T / 64)] which entries have the topic; all 0 between requests
    since: Doubles  # float64[1] the milliseconds that ``decay`` is for
    decay: Doubles  # float64[n_selected]
    step: Doubles  # float64[n_selected] what an event adds
    sink: Doubles  # float64[2] what nobody reads


RARE = 4  # lanes from here on are in ``rare``
N_ENTERING = max(N_COUNTED, Kind.SEARCH + 1)  # kinds below may enter a lane or be counted
TOPIC_WIDTH = 8  # topics kept of an item
WAYS = 4  # rows that a pair may stand in
BLOCK = 16  # int32 of a block of ``seen``: 64 bytes, one cache line
N_SEEN, BLOCK_OF = len(LANES), len(LANES) + 1  # columns of ``heads``
NEVER = -(2**62)  # the newest event of a key that has none
AUTHOR, TOPICS, PUBLISH, DURATION, AVAILABLE = 1, 2, 4, 8, 16  # bits of Changes.given
