"""The arrays that the joiner's kernel works on: two queues with hash tables, a clock, counts and what comes out."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedmill.samples.joiner.kernel import CLOCK, LAST_MS, N_NOW, NEVER, OF_KIND, OF_SHOWN, TICKED_MS

Longs = NDArray[np.int64]


class Queue(NamedTuple):
    """Impressions that wait, at ``number & (capacity - 1)``; ``table`` finds them by key (number + 1, 0 = free)."""

    first: Longs
    second: Longs
    time_ms: Longs
    at: Longs  # offset in the log
    labels: NDArray[np.uint16]  # a bit for each kind
    watch_s: NDArray[np.float32]
    table: Longs


class Early(NamedTuple):
    """Feedback that waits for its impression; reports of one key are a chain, ``table`` finds its first."""

    first: Longs
    second: Longs
    since_ms: Longs  # the clock when it came
    time_ms: Longs
    at: Longs
    kind: NDArray[np.int8]  # -1 = its impression has come
    value: NDArray[np.float32]
    after: Longs  # the next of the chain + 1, 0 = none
    last: Longs  # in the first of a chain: its last
    table: Longs


class Tally(NamedTuple):
    """Counters, the clock, and the last witnesses: int64 all."""

    kinds: Longs  # [N_COUNTED, len(OF_KIND)]
    shown: Longs  # [len(OF_SHOWN)]
    heads: Longs  # [G] the next sequence number that each group will emit
    now: Longs  # see CLOCK …
    witness_ms: Longs  # [witnesses] times, a ring
    witness_at: Longs  # [witnesses] the sequence number of the first impression of each


class Rules(NamedTuple):
    """What the config says, for the kernel."""

    window_ms: Longs  # [G]
    of_kind: NDArray[np.int8]  # [N_COUNTED]
    skew_ms: int
    early_ms: int
    max_waiting: int
    tick_ms: int  # of the guard's windows


class Events(NamedTuple):
    """n events as the kernel reads them."""

    kind: NDArray[np.int8]
    time_ms: Longs
    value: NDArray[np.float32]
    first: Longs
    second: Longs
    keyed: NDArray[np.bool_]  # has a request id
    offset: int  # of the first, in the log


class Out(NamedTuple):
    """What the kernel says happened; ``now[N_RUNS]``, ``now[N_SIDE]`` and ``now[N_TICKS]`` rows of it."""

    accepted: NDArray[np.bool_]  # [n] impressions that entered the queue
    runs: Longs  # [*, 4] group, the sequence number it has now emitted up to, the clock, the offset that moved it
    side: Longs  # [*, len(SIDE)]
    ticks: Longs  # [*, …] counts where a window of the stream ended, see kernel


def queue(capacity: int) -> Queue:
    """An empty queue; ``capacity`` is a power of two."""
    first, second, time_ms, at = (np.zeros(capacity, np.int64) for _ in range(4))
    labels, watch_s = np.zeros(capacity, np.uint16), np.zeros(capacity, np.float32)
    return Queue(first, second, time_ms, at, labels, watch_s, np.zeros(2 * capacity, np.int64))


def early(capacity: int) -> Early:
    """An empty queue of feedback; ``capacity`` is a power of two."""
    a, b, c, d, e, f, g = (np.zeros(capacity, np.int64) for _ in range(7))
    kind, value, table = (
        np.full(capacity, -1, np.int8),
        np.zeros(capacity, np.float32),
        np.zeros(2 * capacity, np.int64),
    )
    return Early(a, b, c, d, e, kind, value, f, g, table)


def tally(n_groups: int, n_kinds: int, witnesses: int) -> Tally:
    """Nothing seen yet."""
    now = np.zeros(N_NOW, np.int64)
    now[CLOCK] = now[LAST_MS] = now[TICKED_MS] = NEVER
    return Tally(
        np.zeros((n_kinds, len(OF_KIND)), np.int64),
        np.zeros(len(OF_SHOWN), np.int64),
        np.zeros(n_groups, np.int64),
        now,
        np.zeros(witnesses, np.int64),
        np.zeros(witnesses, np.int64),
    )


def power(at_least: int) -> int:
    """The smallest power of two that is not less."""
    return 1 << max(4, int(at_least - 1).bit_length())


def live(ring: Any, head: int, tail: int) -> dict[str, NDArray[Any]]:
    """What stands between two sequence numbers of a queue, in order, by column; the table is made again from it."""
    at = np.arange(head, tail) & (len(ring.first) - 1)
    return {name: getattr(ring, name)[at] for name in ring._fields if name != "table"}


def put(ring: Any, head: int, columns: dict[str, NDArray[Any]]) -> None:
    """The opposite of ``live``, into a queue that is empty and large enough."""
    at = np.arange(head, head + len(columns["first"])) & (len(ring.first) - 1)
    for name, column in columns.items():
        getattr(ring, name)[at] = column
