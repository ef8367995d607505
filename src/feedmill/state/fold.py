"""The fold of events into the state's arrays.

Counters are exponentially decayed: an event ``age`` old counts ``exp(-age / tau)``, tau being the window's time
constant ("all" never decays), so a key needs O(1) state. What is stored is the sum of ``exp((t - base) / tau)``
("forward decay", Cormode et al., ICDE 2009), where ``base`` is the start of the epoch (a fixed stretch of time) of
the key's newest event: then one event's weights serve its user, item, author and topics alike, a late event gets
exactly the weight it would have had in order, and a row is rescaled only when its epoch changes.
"""

from __future__ import annotations

import numpy as np

from feedmill.core.batches import Rows, Times
from feedmill.core.events import N_COUNTED, Kind
from feedmill.state.arrays import (
    AUTHOR,
    AVAILABLE,
    BLOCK_OF,
    DURATION,
    N_SEEN,
    NEVER,
    PUBLISH,
    RARE,
    TOPICS,
    Arrays,
    Changes,
    Columns,
    Doubles,
    Plan,
    Scratch,
)
from feedmill.state.compiler import Int, inner, jit
from feedmill.state.pairs import claim

AHEAD = 32  # events whose rows are read ahead
IMPRESSION, WATCH, ITEM, USER = int(Kind.IMPRESSION), int(Kind.WATCH), int(Kind.ITEM), int(Kind.USER)
SEARCH = int(Kind.SEARCH)


@inner
def fold(
    a: Arrays, plan: Plan, events: Columns, changes: Changes, start: Int, stop: Int, changed: Int, x: Scratch
) -> Int:
    """Fold events [start, stop); ``changed`` counts the changes of the catalogue before and, returned, after."""
    # Out of their tuples first: handing a whole tuple to a function costs more than the work on one event.
    kinds, users, items, times, values = events.kind, events.user, events.item, events.time_ms, events.value
    lane_start, lanes, kind_start = plan.lane_start, plan.lanes, plan.kind_start
    rate, epoch, step = plan.rate, plan.epoch_ms[0], x.step
    heads, recent, recent_ms, seen, n_blocks = a.heads, a.recent, a.recent_ms, a.seen, a.n_blocks
    rare, rare_ms = a.rare, a.rare_ms
    user_ms, user_sums, item_ms, item_sums = a.user_ms, a.user_sums, a.item_ms, a.item_sums
    author_ms, author_sums, topic_ms, topic_sums = a.author_ms, a.author_sums, a.topic_ms, a.topic_sums
    pair_keys, pair_ms, pair_sums, first_ms = a.pair_keys, a.pair_ms, a.pair_sums, a.user_first_ms
    authors, topics = a.author, a.topics
    for i in range(start, stop):
        if (i - start) % AHEAD == 0:
            x.sink[0] = fetch_counters(i, min(i + AHEAD, stop), plan, events, a)
            x.sink[1] = fetch_histories(i, min(i + AHEAD, stop), plan, events, a)
        kind, user, item, t = kinds[i], users[i], items[i], times[i]
        if kind < 0 or kind >= len(kind_start) - 1:
            if kind in (ITEM, USER):
                change(a, changes, changed, kind == USER, user, item)
                changed += 1
            continue
        first, last = kind_start[kind], kind_start[kind + 1]
        if first < last:
            amount = 1.0
            if kind == WATCH:
                amount = np.float64(values[i]) if 0.0 < values[i] < np.inf else 0.0
            base = t - t % epoch
            for j in range(first, last):
                step[j] = amount * np.exp((t - base) * rate[j]) if rate[j] > 0.0 else amount
            if user > 0:
                if user_ms[user] == NEVER:
                    first_ms[user] = t
                add(user_ms, user_sums, user, rate, epoch, t, base, first, last, step)
            if item > 0:
                add(item_ms, item_sums, item, rate, epoch, t, base, first, last, step)
                if authors[item] > 0:
                    add(author_ms, author_sums, authors[item], rate, epoch, t, base, first, last, step)
                for s in range(topics.shape[1]):
                    if topics[item, s] == 0:
                        break
                    add(topic_ms, topic_sums, topics[item, s], rate, epoch, t, base, first, last, step)
                    if user > 0 and len(pair_keys) > 0:
                        pair = claim(pair_keys, pair_ms, pair_sums, user, topics[item, s])
                        add(pair_ms, pair_sums, pair, rate, epoch, t, base, first, last, step)
        if user > 0 and item > 0:
            for j in range(lane_start[kind], lane_start[kind + 1]):
                if lanes[j] < RARE:
                    remember(heads, recent, recent_ms, user, lanes[j], lanes[j], item, t)
                else:
                    remember(heads, rare, rare_ms, user, lanes[j], lanes[j] - RARE, item, t)
            if kind != IMPRESSION and kind != SEARCH:
                see(heads, seen, n_blocks, user, item)
    return changed


@inner
def fetch_counters(start: Int, stop: Int, plan: Plan, events: Columns, a: Arrays) -> float:
    """Read what the next events will touch, all at once: the waits for memory overlap (1.4 times as fast).

    The sum only keeps the compiler from leaving the reads out.
    """
    total = 0.0
    for i in range(start, stop):
        kind, user, item = events.kind[i], events.user[i], events.item[i]
        total += a.heads[user, 0]
        if 0 <= kind < N_COUNTED:
            total += a.author[item] + a.topics[item, 0]
            first = plan.kind_start[kind]
            if first < plan.kind_start[kind + 1]:
                total += a.user_ms[user] + a.user_sums[user, first] + a.item_ms[item] + a.item_sums[item, first]
    return total


@inner
def fetch_histories(start: Int, stop: Int, plan: Plan, events: Columns, a: Arrays) -> float:
    """The same for what ``heads`` points to."""
    total, size = 0.0, a.recent.shape[2]
    for i in range(start, stop):
        kind, user = events.kind[i], events.user[i]
        if 0 <= kind < N_COUNTED and plan.lane_start[kind] < plan.lane_start[kind + 1]:
            lane = plan.lanes[plan.lane_start[kind]]
            slot = a.heads[user, lane] % size
            if lane < RARE:
                total += a.recent[user, lane, slot] + a.recent_ms[user, lane, slot]
            if kind != IMPRESSION:
                total += a.seen[a.heads[user, BLOCK_OF], 0]
    return total


@inner
def change(a: Arrays, changes: Changes, k: Int, of_user: bool, user: Int, item: Int) -> None:
    """Apply the k-th change of the catalogue."""
    row = user if of_user else item
    if row <= 0:
        return
    for c in range(changes.code_start[k], changes.code_start[k + 1]):
        if of_user:
            a.user_codes[changes.attribute[c], row] = changes.code[c]
        else:
            a.item_codes[changes.attribute[c], row] = changes.code[c]
    given = changes.given[k]
    if given & AUTHOR:
        a.author[row] = changes.author[k]
        if changes.author[k] > 0:
            a.last_author[row] = changes.author[k]
    if given & TOPICS:
        for s in range(a.topics.shape[1]):
            a.topics[row, s] = changes.topics[k, s]
    if given & PUBLISH:
        a.publish_ms[row] = changes.publish_ms[k]
    if given & DURATION:
        a.duration_s[row] = changes.duration_s[k]
    if given & AVAILABLE:
        a.available[row] = changes.available[k]


@inner
def add(
    newest_ms: Times,
    sums: Doubles,
    key: Int,
    rate: Doubles,
    epoch: Int,
    t: Int,
    base: Int,
    first: Int,
    last: Int,
    step: Doubles,
) -> None:
    """Add ``step`` to columns [first, last) of one key; it is weighed for the epoch that begins at ``base``."""
    newest = newest_ms[key]
    if base <= newest < base + epoch:
        for j in range(first, last):
            sums[key, j] += step[j]
    else:
        shift = np.float64(base) - np.float64(newest - newest % epoch)
        if shift > 0.0:  # the row counts from an earlier epoch: bring it to this one
            for j in range(sums.shape[1]):
                sums[key, j] *= np.exp(-shift * rate[j])
            shift = np.float64(0.0)
        for j in range(first, last):  # a late event is brought to the row's epoch
            sums[key, j] += step[j] * np.exp(shift * rate[j])
    if t > newest:
        newest_ms[key] = t


@inner
def remember(heads: Rows, recent: Rows, recent_ms: Times, user: Int, lane: Int, at: Int, item: Int, t: Int) -> None:
    """Enter a visit in a history, the rings of which stand at ``at``; if the item is the newest there already, it is
    the same visit at a later time."""
    size, n = recent.shape[2], heads[user, lane]
    slot = (n - 1) % size
    if n > 0 and recent[user, at, slot] == item:
        recent_ms[user, at, slot] = max(t, recent_ms[user, at, slot])
        return
    slot = n % size
    recent[user, at, slot] = item
    recent_ms[user, at, slot] = t
    heads[user, lane] = n + 1


@inner
def see(heads: Rows, seen: Rows, n_blocks: Times, user: Int, item: Int) -> None:
    """Append to what the user has ever acted on, unless it is what was appended last."""
    n, size, block = heads[user, N_SEEN], seen.shape[1] - 1, np.int64(heads[user, BLOCK_OF])
    if n > 0 and seen[block, 1 + (n - 1) % size] == item:
        return
    if n % size == 0:
        seen[n_blocks[0], 0] = block
        block = n_blocks[0]
        heads[user, BLOCK_OF] = block
        n_blocks[0] += 1
    seen[block, 1 + n % size] = item
    heads[user, N_SEEN] = n + 1


@jit
def actions(seen: Rows, block: Int, rows: Rows) -> None:
    """Fill ``rows`` with all that ``see`` has appended for a user whose newest block is given."""
    n, size = len(rows), seen.shape[1] - 1
    while n > 0:
        first = (n - 1) // size * size
        for i in range(first, n):
            rows[i] = seen[block, 1 + i - first]
        n, block = first, seen[block, 0]
