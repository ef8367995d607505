"""The fold: one compiled kernel that reads events in order and answers, between any two of them, what was known.

Offline it is one call on ten million events with a hundred thousand probes; in serving it is the same call on
no events and one probe, and after a click on one event and no probe. All of it stands in one file because the
compiler's cache only notices changes of the file that a kernel is in.

Counters are exponentially decayed: an event ``age`` old counts ``exp(-age / tau)``, tau being the window's time
constant ("all" never decays), so a key needs O(1) state. What is stored is the sum of ``exp((t - base) / tau)``
("forward decay", Cormode et al., ICDE 2009), where ``base`` is the start of the epoch (a fixed stretch of time)
of the key's newest event: then one event's weights serve its user, item, author and topics alike, a late event
gets exactly the weight it would have had in order, and a row is rescaled only when its epoch changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numba.core.options import DefaultOptions

from feedmill.core.batches import Floats, Mask, Rows, Times
from feedmill.core.events import Kind
from feedmill.state.arrays import (
    AUTHOR,
    AVAILABLE,
    BLOCK_OF,
    DURATION,
    N_SEEN,
    NEVER,
    PUBLISH,
    TOPICS,
    Answers,
    Arrays,
    Bits,
    Changes,
    Columns,
    Doubles,
    Plan,
    Probes,
    Scratch,
)

F = TypeVar("F", bound=Callable[..., Any])
Int = Any  # an int to Python, an int32 or int64 to the compiler

# The kernel allocates nothing, so it can do without reference counts: twice as fast, and faster compiled.
FAST: dict[str, Any] = {name: value for name, value in (("_nrt", False),) if hasattr(DefaultOptions, name)}
LEAN: dict[str, Any] = {
    name: True for name in ("no_cpython_wrapper", "no_cfunc_wrapper") if hasattr(DefaultOptions, name)
}
OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", **FAST}
jit = cast(Callable[[F], F], njit(**OPTIONS))
inner = cast(Callable[[F], F], njit(**OPTIONS, **LEAN))  # what only the kernel calls

AHEAD = 32  # events whose rows are read ahead
IMPRESSION, WATCH, ITEM, USER = int(Kind.IMPRESSION), int(Kind.WATCH), int(Kind.ITEM), int(Kind.USER)
CLICKED, LIKED, SHOWN, DISLIKED = 0, 1, 2, 3  # core.batches.LANES, in its order; a test holds them equal


@jit
def run(
    a: Arrays, plan: Plan, events: Columns, changes: Changes, probes: Probes, wanted: Mask, out: Answers, x: Scratch
) -> None:
    """Fold the events into ``a`` and fill ``out``: request r sees the first ``probes.at[r]`` events.

    ``wanted``: bool[L] lanes whose histories are handed out. Probes change nothing in ``a``.
    """
    start = changed = candidate = np.int64(0)
    for r in range(len(probes.user)):
        changed = fold(a, plan, events, changes, start, probes.at[r], changed, x)
        start = probes.at[r]
        candidate = answer(a, plan, probes, wanted, out, x, r, candidate)
    fold(a, plan, events, changes, start, np.int64(len(events.kind)), changed, x)


@inner
def fold(
    a: Arrays, plan: Plan, events: Columns, changes: Changes, start: Int, stop: Int, changed: Int, x: Scratch
) -> Int:
    """Fold events [start, stop); ``changed`` counts the changes of the catalogue before and, returned, after."""
    # Out of their tuples first: handing a whole tuple to a function costs more than the work on one event.
    kinds, users, items, times, values = events.kind, events.user, events.item, events.time_ms, events.value
    lane_of, kind_start, rate, epoch, step = (plan.lane_of, plan.kind_start, plan.rate, plan.epoch_ms[0], x.step)
    heads, recent, recent_ms, seen, n_blocks = a.heads, a.recent, a.recent_ms, a.seen, a.n_blocks
    user_ms, user_sums, item_ms, item_sums = a.user_ms, a.user_sums, a.item_ms, a.item_sums
    author_ms, author_sums, topic_ms, topic_sums = a.author_ms, a.author_sums, a.topic_ms, a.topic_sums
    authors, topics = a.author, a.topics
    for i in range(start, stop):
        if (i - start) % AHEAD == 0:
            x.sink[0] = fetch_counters(i, min(i + AHEAD, stop), plan, events, a)
            x.sink[1] = fetch_histories(i, min(i + AHEAD, stop), plan, events, a)
        kind, user, item, t = kinds[i], users[i], items[i], times[i]
        if kind < 0 or kind >= len(lane_of):
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
                add(user_ms, user_sums, user, rate, epoch, t, base, first, last, step)
            if item > 0:
                add(item_ms, item_sums, item, rate, epoch, t, base, first, last, step)
                if authors[item] > 0:
                    add(author_ms, author_sums, authors[item], rate, epoch, t, base, first, last, step)
                for s in range(topics.shape[1]):
                    if topics[item, s] == 0:
                        break
                    add(topic_ms, topic_sums, topics[item, s], rate, epoch, t, base, first, last, step)
        if user > 0 and item > 0:
            if lane_of[kind] >= 0:
                remember(heads, recent, recent_ms, user, lane_of[kind], item, t)
            if kind != IMPRESSION:
                see(heads, seen, n_blocks, user, item)
    return changed


@inner
def fetch_counters(start: Int, stop: Int, plan: Plan, events: Columns, a: Arrays) -> float:
    """Read what the next events will touch, all at once: the waits for memory overlap (1.4 times as fast).

    The sum only keeps the compiler from leaving the reads out.
    """
    total, n_kinds = 0.0, len(plan.lane_of)
    for i in range(start, stop):
        kind, user, item = events.kind[i], events.user[i], events.item[i]
        total += a.heads[user, 0] + a.author[item] + a.topics[item, 0]
        if 0 <= kind < n_kinds and plan.kind_start[kind] < plan.kind_start[kind + 1]:
            first = plan.kind_start[kind]
            total += a.user_ms[user] + a.user_sums[user, first] + a.item_ms[item] + a.item_sums[item, first]
    return total


@inner
def fetch_histories(start: Int, stop: Int, plan: Plan, events: Columns, a: Arrays) -> float:
    """The same for what ``heads`` points to."""
    total, n_kinds, size = 0.0, len(plan.lane_of), a.recent.shape[2]
    for i in range(start, stop):
        kind, user = events.kind[i], events.user[i]
        if 0 <= kind < n_kinds and plan.lane_of[kind] >= 0:
            lane = plan.lane_of[kind]
            slot = a.heads[user, lane] % size
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
def remember(heads: Rows, recent: Rows, recent_ms: Times, user: Int, lane: Int, item: Int, t: Int) -> None:
    """Enter a visit in a history; if the item is the newest already, it is the same visit at a later time."""
    size, n = recent.shape[2], heads[user, lane]
    slot = (n - 1) % size
    if n > 0 and recent[user, lane, slot] == item:
        recent_ms[user, lane, slot] = max(t, recent_ms[user, lane, slot])
        return
    slot = n % size
    recent[user, lane, slot] = item
    recent_ms[user, lane, slot] = t
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


@inner
def answer(a: Arrays, plan: Plan, probes: Probes, wanted: Mask, out: Answers, x: Scratch, r: Int, c: Int) -> Int:
    """Fill the rows of request r and of its candidates, of which c is the first; returns the first of the next."""
    t, user, first = probes.time_ms[r], probes.user[r], c
    for lane in range(len(x.length)):
        x.length[lane] = 0
    if 0 < user < len(a.user_ms):
        recall(a, user, x)
        for lane in range(len(wanted)):
            if wanted[lane]:
                for j in range(x.length[lane]):
                    out.history[lane, r, j] = x.history[lane, j]
                    out.history_ms[lane, r, j] = x.history_ms[lane, j]
        x.since[0] = -1.0
        key, epoch = np.int64(user), plan.epoch_ms[0]
        read(a.user_ms, a.user_sums, key, plan.rate, epoch, x.since, x.decay, t, out.counts, r, 1.0)
        for p in range(out.profile.shape[1]):
            out.profile[r, p] = a.user_codes[p, user]
    while c < len(probes.item) and probes.request_of[c] == r:
        c += 1
    match(a, plan, t, probes.item[first:c], out, x, first)
    return c


@inner
def recall(a: Arrays, user: Int, x: Scratch) -> None:
    """Copy the rings of a user, newest first, padded with 0."""
    size = a.recent.shape[2]
    for lane in range(a.recent.shape[1]):
        n = a.heads[user, lane]
        x.length[lane] = min(n, size)
        for j in range(size):
            slot = (n - 1 - j) % size
            x.history[lane, j] = a.recent[user, lane, slot] if j < n else 0
            x.history_ms[lane, j] = a.recent_ms[user, lane, slot] if j < n else 0


@jit
def match(a: Arrays, plan: Plan, t: Int, items: Rows, out: Answers, x: Scratch, first: Int) -> None:
    """Fill the rows of one request's candidates, from row ``first`` on; ``x`` has the request's histories."""
    if len(items) == 0:
        return
    x.sink[0] = fetch_items(a, items)
    for lane in (CLICKED, SHOWN):
        for j in range(x.length[lane]):
            x.authors[lane, j] = a.author[x.history[lane, j]]
    rate, epoch, since, decay = plan.rate, plan.epoch_ms[0], x.since, x.decay
    since[0] = -1.0
    for j in range(len(items)):
        item = known(items[j], len(a.author))
        author = np.int64(a.author[item])
        read(a.item_ms, a.item_sums, item, rate, epoch, since, decay, t, out.item_counts, first + j, 1.0)
        read(a.author_ms, a.author_sums, author, rate, epoch, since, decay, t, out.author_counts, first + j, 1.0)
        n_topics = 0
        while n_topics < a.topics.shape[1] and a.topics[item, n_topics] > 0:
            n_topics += 1
        for s in range(n_topics):
            topic, share = np.int64(a.topics[item, s]), 1.0 / n_topics
            read(a.topic_ms, a.topic_sums, topic, rate, epoch, since, decay, t, out.topic_counts, first + j, share)
    compare(a.author, t, items, out.cross, x.history, x.history_ms, x.authors, x.length, first)
    toggle(a.topics, x.history, x.length, x.marks)
    shares(a.topics, items, out.cross, x.length, x.marks, first)
    toggle(a.topics, x.history, x.length, x.marks)
    for j in range(len(items)):
        item = known(items[j], len(a.author))
        out.cross[first + j, 8] = seconds(t, a.publish_ms[item], 0)
        out.cross[first + j, 9] = a.duration_s[item]


@inner
def fetch_items(a: Arrays, items: Rows) -> float:
    """Read what the candidates will need, all at once, as ``fetch_counters`` does."""
    total, n_columns = 0.0, a.item_sums.shape[1]
    for j in range(len(items)):
        item = known(items[j], len(a.author))
        total += a.item_ms[item] + a.author[item] + a.topics[item, 0] + a.publish_ms[item] + a.duration_s[item]
        for s in range(0, n_columns, 8):  # a cache line holds 8
            total += a.item_sums[item, s]
    return total


@inner
def known(row: Int, n: Int) -> Int:
    """A row that has not appeared yet is nothing."""
    return np.int64(row) if 0 < row < n else np.int64(0)


@inner
def read(
    newest_ms: Times,
    sums: Doubles,
    key: Int,
    rate: Doubles,
    epoch: Int,
    since: Doubles,
    decay: Doubles,
    t: Int,
    out: Floats,
    row: Int,
    share: float,
) -> None:
    """Add ``share`` of a key's counters, decayed to t or to its newest event if that is later, to a row of out."""
    newest = newest_ms[key]
    if newest == NEVER:
        return
    passed = np.float64(max(t, newest)) - np.float64(newest - newest % epoch)
    if passed != since[0]:  # the same for all keys whose newest event is of this epoch
        since[0] = passed
        for j in range(len(decay)):
            decay[j] = np.exp(-passed * rate[j]) if rate[j] > 0.0 else 1.0
    for j in range(sums.shape[1]):
        out[row, j] += np.float32(share * sums[key, j] * decay[j])


@inner
def compare(
    author_of: Rows,
    t: Int,
    items: Rows,
    cross: Floats,
    history: Rows,
    history_ms: Times,
    authors: Rows,
    length: Times,
    first: Int,
) -> None:
    """Columns 0 to 4 of probed.CROSS: the candidates and their authors among the shown and the clicked."""
    for c in range(len(items)):
        item = known(items[c], len(author_of))
        author, by_author, of_item = np.int64(author_of[item]), np.int64(NEVER), np.int64(NEVER)
        n_shown = n_clicked = n_shown_author = n_clicked_author = 0
        for j in range(length[SHOWN]):
            n_shown += history[SHOWN, j] == item
            n_shown_author += authors[SHOWN, j] == author
        for j in range(length[CLICKED]):
            n_clicked += history[CLICKED, j] == item
            n_clicked_author += authors[CLICKED, j] == author
        if n_shown > 0:
            of_item = latest(history, history_ms, SHOWN, length[SHOWN], item, of_item)
        if n_clicked > 0:
            of_item = latest(history, history_ms, CLICKED, length[CLICKED], item, of_item)
        if n_clicked_author > 0 and author > 0:
            by_author = latest(authors, history_ms, CLICKED, length[CLICKED], author, by_author)
        cross[first + c, 0] = n_shown
        cross[first + c, 1] = n_shown_author if author > 0 else 0
        cross[first + c, 2] = n_clicked_author if author > 0 else 0
        cross[first + c, 3] = seconds(t, by_author, NEVER)
        cross[first + c, 4] = seconds(t, of_item, NEVER)


@inner
def latest(rows: Rows, times: Times, lane: Int, n: Int, row: Int, than: Int) -> Int:
    """The latest time of a row in a lane, or ``than`` if that is later."""
    for j in range(n):
        if rows[lane, j] == row:
            than = max(than, times[lane, j])
    return than


@inner
def seconds(t: Int, since_ms: Int, unknown: Int) -> float:
    """Seconds from ``since_ms`` to t, at least 0; NaN if ``since_ms`` is the mark for unknown."""
    return np.nan if since_ms == unknown else max(0.0, (t - since_ms) / 1000.0)


@inner
def toggle(topics: Rows, history: Rows, length: Times, marks: Bits) -> None:
    """Set for each topic the bits of the history entries that have it, lane by lane; a second call clears them."""
    words = marks.shape[1] // 3
    for k, lane in enumerate((CLICKED, LIKED, DISLIKED)):
        for j in range(length[lane]):
            word, bit = k * words + j // 64, np.uint64(1) << np.uint64(j % 64)
            for s in range(topics.shape[1]):
                topic = topics[history[lane, j], s]
                if topic == 0:
                    break
                marks[topic, word] ^= bit


@inner
def shares(topics: Rows, items: Rows, cross: Floats, length: Times, marks: Bits, first: Int) -> None:
    """Columns 5 to 7: the share of each of three histories that has a topic in common with the candidate."""
    words = marks.shape[1] // 3
    for c in range(len(items)):
        item = known(items[c], len(topics))
        for k, lane in enumerate((CLICKED, LIKED, DISLIKED)):
            n = 0
            for word in range(k * words, (k + 1) * words):
                bits = np.uint64(0)
                for s in range(topics.shape[1]):
                    topic = topics[item, s]
                    if topic == 0:
                        break
                    bits |= marks[topic, word]
                n += ones(bits)
            cross[first + c, 5 + k] = n / length[lane] if n > 0 else 0.0


@inner
def ones(bits: np.uint64) -> Int:
    """How many bits are set (the loop compiles to one instruction)."""
    n = 0
    while bits:
        bits &= bits - np.uint64(1)
        n += 1
    return n
