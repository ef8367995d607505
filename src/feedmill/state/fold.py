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

from feedmill.core.batches import Floats, Mask, Rows, Times
from feedmill.core.events import Kind
from feedmill.state.arrays import (
    AUTHOR,
    AVAILABLE,
    DURATION,
    NEVER,
    PUBLISH,
    TOPICS,
    Answers,
    Arrays,
    Changes,
    Columns,
    Doubles,
    Plan,
    Probes,
    Scratch,
)

F = TypeVar("F", bound=Callable[..., Any])
OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy", "_nrt": False}
jit = cast(Callable[[F], F], njit(**OPTIONS))
inner = cast(Callable[[F], F], njit(**OPTIONS, no_cpython_wrapper=True, no_cfunc_wrapper=True))

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
        changed = fold(a, plan, events, changes, start, probes.at[r], changed, x.step)
        start = probes.at[r]
        candidate = answer(a, plan, probes, wanted, out, x, r, candidate)
    fold(a, plan, events, changes, start, np.int64(len(events.kind)), changed, x.step)


@inner
def fold(
    a: Arrays, plan: Plan, events: Columns, changes: Changes, start: int, stop: int, changed: int, step: Doubles
) -> int:
    """Fold events [start, stop); ``changed`` counts the changes of the catalogue before and, returned, after.

    The arrays are taken out of their tuples first: in the loop each access would count a reference.
    """
    kinds, users, items, times, values = events.kind, events.user, events.item, events.time_ms, events.value
    lane_of, kind_start, rate, epoch = plan.lane_of, plan.kind_start, plan.rate, plan.epoch_ms[0]
    recent, recent_ms, n_recent = a.recent, a.recent_ms, a.n_recent
    seen, seen_block, n_seen, n_blocks = a.seen, a.seen_block, a.n_seen, a.n_blocks
    user_ms, user_sums, item_ms, item_sums = a.user_ms, a.user_sums, a.item_ms, a.item_sums
    author_ms, author_sums, topic_ms, topic_sums = a.author_ms, a.author_sums, a.topic_ms, a.topic_sums
    authors, topics = a.author, a.topics
    for i in range(start, stop):
        kind, user, item, t = kinds[i], users[i], items[i], times[i]
        if kind < 0 or kind >= len(lane_of):
            if kind == ITEM or kind == USER:
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
                remember(recent, recent_ms, n_recent, user, lane_of[kind], item, t)
            if kind != IMPRESSION:
                see(seen, seen_block, n_seen, n_blocks, user, item)
    return changed


@inner
def change(a: Arrays, changes: Changes, k: int, of_user: bool, user: int, item: int) -> None:
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
    key: int,
    rate: Doubles,
    epoch: int,
    t: int,
    base: int,
    first: int,
    last: int,
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
            shift = 0.0
        for j in range(first, last):  # a late event is brought to the row's epoch
            sums[key, j] += step[j] * np.exp(shift * rate[j])
    if t > newest:
        newest_ms[key] = t


@inner
def remember(recent: Rows, recent_ms: Times, n_recent: Rows, user: int, lane: int, item: int, t: int) -> None:
    """Enter a visit in a history; if the item is the newest already, it is the same visit at a later time."""
    size, n = recent.shape[2], n_recent[user, lane]
    slot = (n - 1) % size
    if n > 0 and recent[user, lane, slot] == item:
        recent_ms[user, lane, slot] = max(t, recent_ms[user, lane, slot])
        return
    slot = n % size
    recent[user, lane, slot] = item
    recent_ms[user, lane, slot] = t
    n_recent[user, lane] = n + 1


@inner
def see(seen: Rows, seen_block: Rows, n_seen: Rows, n_blocks: Times, user: int, item: int) -> None:
    """Append to what the user has ever acted on, unless it is what was appended last."""
    n, size, block = n_seen[user], seen.shape[1] - 1, np.int64(seen_block[user])
    if n > 0 and seen[block, 1 + (n - 1) % size] == item:
        return
    if n % size == 0:
        seen[n_blocks[0], 0] = block
        block = n_blocks[0]
        seen_block[user] = block
        n_blocks[0] += 1
    seen[block, 1 + n % size] = item
    n_seen[user] = n + 1


@jit
def actions(seen: Rows, block: int, rows: Rows) -> None:
    """Fill ``rows`` with all that ``see`` has appended for a user whose newest block is given."""
    n, size = len(rows), seen.shape[1] - 1
    while n > 0:
        first = (n - 1) // size * size
        for i in range(first, n):
            rows[i] = seen[block, 1 + i - first]
        n, block = first, seen[block, 0]


@inner
def answer(
    a: Arrays, plan: Plan, probes: Probes, wanted: Mask, out: Answers, x: Scratch, r: int, c: int
) -> int:
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
        read(a.user_ms, a.user_sums, user, plan, x.decay, t, out.counts, r, 1.0)
        for p in range(out.profile.shape[1]):
            out.profile[r, p] = a.user_codes[p, user]
    while c < len(probes.item) and probes.request_of[c] == r:
        c += 1
    match(a, plan, t, probes.item[first:c], out, x, first)
    return c


@inner
def recall(a: Arrays, user: int, x: Scratch) -> None:
    """Copy the rings of a user, newest first, padded with 0."""
    size = a.recent.shape[2]
    for lane in range(a.recent.shape[1]):
        n = a.n_recent[user, lane]
        x.length[lane] = min(n, size)
        for j in range(size):
            slot = (n - 1 - j) % size
            x.history[lane, j] = a.recent[user, lane, slot] if j < n else 0
            x.history_ms[lane, j] = a.recent_ms[user, lane, slot] if j < n else 0


@jit
def match(a: Arrays, plan: Plan, t: int, items: Rows, out: Answers, x: Scratch, first: int) -> None:
    """Fill the rows of one request's candidates, from row ``first`` on; ``x`` has the request's histories."""
    if len(items) == 0:
        return
    toggle(a, x)
    for lane in (CLICKED, SHOWN):
        for j in range(x.length[lane]):
            x.authors[lane, j] = a.author[x.history[lane, j]]
    for j in range(len(items)):
        item = items[j] if 0 < items[j] < len(a.author) else 0
        look_up(a, plan, x.decay, t, item, out, first + j)
        compare(a, t, item, out.cross, x, first + j)
    toggle(a, x)


@inner
def toggle(a: Arrays, x: Scratch) -> None:
    """Set for each topic the bits of the history entries that have it, lane by lane; a second call clears them."""
    words = x.marks.shape[1] // 3
    for k, lane in enumerate((CLICKED, LIKED, DISLIKED)):
        for j in range(x.length[lane]):
            word, bit = k * words + j // 64, np.uint64(1) << np.uint64(j % 64)
            for s in range(a.topics.shape[1]):
                topic = a.topics[x.history[lane, j], s]
                if topic == 0:
                    break
                x.marks[topic, word] ^= bit


@inner
def look_up(a: Arrays, plan: Plan, decay: Doubles, t: int, item: int, out: Answers, c: int) -> None:
    """The counters of one candidate, of its author, and the mean over its topics."""
    read(a.item_ms, a.item_sums, item, plan, decay, t, out.item_counts, c, 1.0)
    read(a.author_ms, a.author_sums, a.author[item], plan, decay, t, out.author_counts, c, 1.0)
    n_topics = 0
    while n_topics < a.topics.shape[1] and a.topics[item, n_topics] > 0:
        n_topics += 1
    for s in range(n_topics):
        read(a.topic_ms, a.topic_sums, a.topics[item, s], plan, decay, t, out.topic_counts, c, 1.0 / n_topics)


@inner
def read(
    newest_ms: Times, sums: Doubles, key: int, plan: Plan, decay: Doubles, t: int, out: Floats, row: int, share: float
) -> None:
    """Add ``share`` of a key's counters, decayed to t or to its newest event if that is later, to a row of out."""
    newest = newest_ms[key]
    if newest == NEVER:
        return
    since = np.float64(max(t, newest)) - np.float64(newest - newest % plan.epoch_ms[0])
    for w in range(len(decay)):
        decay[w] = np.exp(-since * plan.window_rate[w]) if plan.window_rate[w] > 0.0 else 1.0
    for j in range(sums.shape[1]):
        out[row, plan.column[j]] += np.float32(share * sums[key, j] * decay[plan.window[j]])


@inner
def compare(a: Arrays, t: int, item: int, cross: Floats, x: Scratch, c: int) -> None:
    """The features of one candidate against the histories, in the order of probed.CROSS."""
    author, by_author, of_item = a.author[item], np.int64(NEVER), np.int64(NEVER)
    n_shown = n_shown_author = n_clicked_author = 0
    for j in range(x.length[SHOWN]):
        if x.history[SHOWN, j] == item:
            n_shown += 1
            of_item = max(of_item, x.history_ms[SHOWN, j])
        n_shown_author += x.authors[SHOWN, j] == author
    for j in range(x.length[CLICKED]):
        if x.history[CLICKED, j] == item:
            of_item = max(of_item, x.history_ms[CLICKED, j])
        if x.authors[CLICKED, j] == author:
            n_clicked_author += 1
            by_author = max(by_author, x.history_ms[CLICKED, j])
    cross[c, 0] = n_shown
    cross[c, 1] = n_shown_author if author > 0 else 0
    cross[c, 2] = n_clicked_author if author > 0 else 0
    cross[c, 3] = seconds(t, by_author if author > 0 else NEVER, NEVER)
    cross[c, 4] = seconds(t, of_item, NEVER)
    shares(a, item, cross, x, c)
    cross[c, 8] = seconds(t, a.publish_ms[item], 0)
    cross[c, 9] = a.duration_s[item]


@inner
def seconds(t: int, since_ms: int, unknown: int) -> float:
    """Seconds from ``since_ms`` to t, at least 0; NaN if ``since_ms`` is the mark for unknown."""
    return np.nan if since_ms == unknown else max(0.0, (t - since_ms) / 1000.0)


@inner
def shares(a: Arrays, item: int, cross: Floats, x: Scratch, c: int) -> None:
    """The share of each of three histories that has a topic in common with the item."""
    words = x.marks.shape[1] // 3
    for k, lane in enumerate((CLICKED, LIKED, DISLIKED)):
        n = 0
        for word in range(k * words, (k + 1) * words):
            bits = np.uint64(0)
            for s in range(a.topics.shape[1]):
                topic = a.topics[item, s]
                if topic == 0:
                    break
                bits |= x.marks[topic, word]
            n += ones(bits)
        cross[c, 5 + k] = n / x.length[lane] if n > 0 else 0.0


@inner
def ones(bits: np.uint64) -> int:
    """How many bits are set (the loop compiles to one instruction)."""
    n = 0
    while bits:
        bits &= bits - np.uint64(1)
        n += 1
    return n
