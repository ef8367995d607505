"""HashQueue, compiled: one pass over events that queues impressions, labels them, and closes their windows.

He et al. 2014, "Practical lessons from predicting clicks on ads at Facebook", section 4. All time is the log's. It is
told by impressions, which the service stamps, and never by feedback, which its clients stamp: the smallest time of the
last ``witnesses`` feeds, which never goes back. One that is stamped years ahead moves nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from feedmill.core.events import N_COUNTED, Kind
from feedmill.state.compiler import inner, jit

if TYPE_CHECKING:
    from feedmill.samples.joiner.arrays import Early, Events, Out, Queue, Rules, Tally

NEVER = -(2**62)  # the clock before there is any

# Rows of ``Out.side``, one for each event that labels no sample: why, and since when that is settled.
LATE, ORPHAN, STALE = 0, 1, 2
WHY = ("late", "orphan", "stale")
SIDE = ("why", "offset", "kind", "delay_ms", "impression", "closed_at")

# Columns of ``Tally.kinds``, a row for each kind of feedback.
SEEN, JOINED, GROWN, DUPLICATE, TOO_LATE, ORPHANED, ORGANIC, POSITIVE = range(8)
OF_KIND = ("seen", "joined", "grown", "duplicate", "late", "orphan", "organic", "positive")

# ``Tally.shown``, of impressions.
IN, TWICE, OUTDATED, UNKEYED, FORCED, REPAIRED = range(6)
OF_SHOWN = ("accepted", "duplicate", "stale", "organic", "forced", "repaired")

# ``Tally.now``: the clock and how far the queues have come.
CLOCK, TAIL, WITNESSED, LAST_MS, EARLY_HEAD, EARLY_TAIL, EARLY_LIVE, N_RUNS, N_SIDE = range(9)
WATCHED_MS, TICKED_MS, TICKED_IN, N_TICKS = range(9, 13)  # milliseconds joined; the last tick's clock and impressions
N_NOW = 13

# Columns of ``Out.ticks``, a row for each window of the stream that has passed: the offset after it, the clock there,
# milliseconds watched, and then ``shown`` and ``kinds`` as they were. TICK_LEAST impressions at least are a window.
TICK_LEAST, TICK_COUNTS = 64, 3

IMPRESSION, WATCH = int(Kind.IMPRESSION), int(Kind.WATCH)


@jit
def run(q: Queue, e: Early, t: Tally, rules: Rules, events: Events, out: Out) -> None:
    """Take n events. The queues must have room for all of them, whatever they are."""
    t.now[N_RUNS] = t.now[N_SIDE] = t.now[N_TICKS] = 0
    for i in range(len(events.kind)):
        kind = np.int64(events.kind[i])
        if kind == IMPRESSION:
            _show(q, e, t, rules, events, out, i)
        elif 0 < kind < N_COUNTED and rules.of_kind[kind] >= 0:
            _report(q, e, t, rules, events, out, i, kind)


@inner
def _show(q: Any, e: Any, t: Any, rules: Any, events: Any, out: Any, i: Any) -> None:
    first, second, time_ms = events.first[i], events.second[i], events.time_ms[i]
    horizon_ms = rules.window_ms[-1] + rules.skew_ms
    if not events.keyed[i]:
        t.shown[UNKEYED] += 1
        return
    if t.now[CLOCK] != NEVER and time_ms <= t.now[CLOCK] - horizon_ms:  # its last window has closed already
        t.shown[OUTDATED] += 1
        _aside(t, out, STALE, events.offset + i, IMPRESSION, t.now[CLOCK] - time_ms, -1, events.offset + i)
        return
    if find(q.table, q.first, q.second, first, second) >= 0:
        t.shown[TWICE] += 1
        return
    if t.now[TAIL] - t.heads[-1] >= rules.max_waiting:
        t.shown[FORCED] += 1
        for g in range(len(t.heads)):
            _close(q, t, rules, out, g, max(t.heads[g], t.heads[-1] + 1), events.offset + i)
    at = t.now[TAIL]
    slot = at & (len(q.first) - 1)
    q.first[slot], q.second[slot], q.time_ms[slot], q.at[slot] = first, second, time_ms, events.offset + i
    q.labels[slot], q.watch_s[slot] = 0, 0.0
    insert(q.table, first, at)
    t.now[TAIL] += 1
    t.shown[IN] += 1
    out.accepted[i] = True
    _apply_early(q, e, t, rules, out, first, second, at, events.offset + i)
    if time_ms != t.now[LAST_MS]:  # what one feed shows is one witness
        t.now[LAST_MS] = time_ms
        _witness(q, t, rules, time_ms, at)
        _close_due(q, t, rules, out, events.offset + i)
        _expire_early(e, t, rules, out, events.offset + i)
        _tick(t, rules, out, events.offset + i + 1)


@inner
def _tick(t: Any, rules: Any, out: Any, upto: Any) -> None:
    """When the clock has entered another window: what has been counted by now."""
    clock = t.now[CLOCK]
    if clock == NEVER:
        return
    if t.now[TICKED_MS] == NEVER:
        t.now[TICKED_MS] = clock
    n = t.shown[IN] - t.now[TICKED_IN]
    if n < TICK_LEAST or clock // rules.tick_ms == t.now[TICKED_MS] // rules.tick_ms:
        return
    row = out.ticks[t.now[N_TICKS]]
    row[0], row[1], row[2] = upto, clock, t.now[WATCHED_MS]
    n_shown, n_columns = len(t.shown), t.kinds.shape[1]
    for j in range(n_shown):
        row[TICK_COUNTS + j] = t.shown[j]
    for kind in range(t.kinds.shape[0]):
        for j in range(n_columns):
            row[TICK_COUNTS + n_shown + kind * n_columns + j] = t.kinds[kind, j]
    t.now[TICKED_MS], t.now[TICKED_IN] = clock, t.shown[IN]
    t.now[N_TICKS] += 1


@inner
def _witness(q: Any, t: Any, rules: Any, time_ms: Any, at: Any) -> None:
    """Let a feed say what time it is; the one that leaves the ring is by now past, or its time was wrong."""
    n, size = t.now[WITNESSED], len(t.witness_ms)
    place = n % size
    leaving, upto = t.witness_at[place], t.witness_at[(n + 1) % size] if size > 1 else at
    t.witness_ms[place], t.witness_at[place] = time_ms, at
    t.now[WITNESSED] = n + 1
    if n + 1 < size:
        return
    agreed = time_ms
    for j in range(size):
        agreed = min(agreed, t.witness_ms[j])
    t.now[CLOCK] = max(t.now[CLOCK], agreed)
    if n >= size:
        for number in range(max(leaving, t.heads[-1]), upto):
            slot = number & (len(q.first) - 1)
            if q.time_ms[slot] > t.now[CLOCK] + rules.skew_ms:
                q.time_ms[slot] = t.now[CLOCK]
                t.shown[REPAIRED] += 1


@inner
def _report(q: Any, e: Any, t: Any, rules: Any, events: Any, out: Any, i: Any, kind: Any) -> None:
    t.kinds[kind, SEEN] += 1
    if not events.keyed[i]:
        t.kinds[kind, ORGANIC] += 1
        return
    first, second = events.first[i], events.second[i]
    at = find(q.table, q.first, q.second, first, second)
    offset = events.offset + i
    if at >= 0:
        _label(q, t, rules, out, at, kind, events.time_ms[i], events.value[i], offset, offset)
        return
    while t.now[EARLY_LIVE] >= rules.max_waiting:
        _drop_early(e, t, out, offset)
    number = t.now[EARLY_TAIL]
    slot, size = number & (len(e.first) - 1), len(e.first) - 1
    e.first[slot], e.second[slot], e.since_ms[slot], e.time_ms[slot] = first, second, t.now[CLOCK], events.time_ms[i]
    e.at[slot], e.kind[slot], e.value[slot], e.after[slot], e.last[slot] = offset, kind, events.value[i], 0, number
    t.now[EARLY_TAIL] += 1
    t.now[EARLY_LIVE] += 1
    chain = find(e.table, e.first, e.second, first, second)
    if chain < 0:
        insert(e.table, first, number)
    else:
        e.after[e.last[chain & size] & size] = number + 1
        e.last[chain & size] = number


@inner
def _label(
    q: Any, t: Any, rules: Any, out: Any, at: Any, kind: Any, time_ms: Any, value: Any, offset: Any, now_at: Any
) -> None:
    """Let one report label one impression, or say why not."""
    slot, group, bit = at & (len(q.first) - 1), rules.of_kind[kind], np.uint16(1 << kind)
    is_known = (q.labels[slot] & bit) != 0
    if is_known and (kind != WATCH or not value > q.watch_s[slot]):
        t.kinds[kind, DUPLICATE] += 1
        return
    delay_ms = time_ms - q.time_ms[slot]
    if delay_ms > rules.window_ms[group] or at < t.heads[group]:
        t.kinds[kind, TOO_LATE] += 1
        _aside(t, out, LATE, offset, kind, delay_ms, q.at[slot], now_at)
        return
    t.kinds[kind, GROWN if is_known else JOINED] += 1
    q.labels[slot] |= bit
    if kind == WATCH and value > 0:
        t.now[WATCHED_MS] += np.int64(1000.0 * min(value - q.watch_s[slot], 1e9))
        q.watch_s[slot] = value


@inner
def _close_due(q: Any, t: Any, rules: Any, out: Any, offset: Any) -> None:
    for g in range(len(t.heads)):
        last_ms = t.now[CLOCK] - rules.window_ms[g] - rules.skew_ms
        upto = t.heads[g]
        while upto < t.now[TAIL] and q.time_ms[upto & (len(q.first) - 1)] <= last_ms:
            upto += 1
        _close(q, t, rules, out, g, upto, offset)


@inner
def _close(q: Any, t: Any, rules: Any, out: Any, g: Any, upto: Any, offset: Any) -> None:
    """Emit a group's samples up to a sequence number; the last group's leave the queue."""
    if upto == t.heads[g]:
        return
    mask = len(q.first) - 1
    for kind in range(N_COUNTED):
        if rules.of_kind[kind] == g:
            for number in range(t.heads[g], upto):
                t.kinds[kind, POSITIVE] += (q.labels[number & mask] >> kind) & 1
    if g == len(t.heads) - 1:
        for number in range(t.heads[g], upto):
            remove(q.table, q.first, q.second, number)
    t.heads[g] = upto
    row = t.now[N_RUNS]
    out.runs[row, 0], out.runs[row, 1], out.runs[row, 2], out.runs[row, 3] = g, upto, t.now[CLOCK], offset
    t.now[N_RUNS] += 1


@inner
def _apply_early(q: Any, e: Any, t: Any, rules: Any, out: Any, first: Any, second: Any, at: Any, offset: Any) -> None:
    """What was reported of an impression before it came, in the order in which it was reported."""
    number = find(e.table, e.first, e.second, first, second)
    if number < 0:
        return
    remove(e.table, e.first, e.second, number)
    while number >= 0:
        slot = number & (len(e.first) - 1)
        kind = np.int64(e.kind[slot])
        _label(q, t, rules, out, at, kind, e.time_ms[slot], e.value[slot], e.at[slot], offset)
        e.kind[slot] = -1
        t.now[EARLY_LIVE] -= 1
        number = e.after[slot] - 1


@inner
def _expire_early(e: Any, t: Any, rules: Any, out: Any, offset: Any) -> None:
    mask = len(e.first) - 1
    while t.now[EARLY_HEAD] < t.now[EARLY_TAIL]:
        slot = t.now[EARLY_HEAD] & mask
        if e.since_ms[slot] == NEVER:  # there was no clock yet
            e.since_ms[slot] = t.now[CLOCK]
        if e.kind[slot] >= 0 and t.now[CLOCK] <= e.since_ms[slot] + rules.early_ms:
            return
        _drop_early(e, t, out, offset)


@inner
def _drop_early(e: Any, t: Any, out: Any, offset: Any) -> None:
    """The oldest report leaves: joined before, or an orphan."""
    number, mask = t.now[EARLY_HEAD], len(e.first) - 1
    slot = number & mask
    t.now[EARLY_HEAD] += 1
    kind = np.int64(e.kind[slot])
    if kind < 0:
        return
    t.now[EARLY_LIVE] -= 1
    t.kinds[kind, ORPHANED] += 1
    _aside(t, out, ORPHAN, e.at[slot], kind, -1, -1, offset)
    remove(e.table, e.first, e.second, number)
    following = e.after[slot] - 1
    if following >= 0:
        e.last[following & mask] = e.last[slot]
        insert(e.table, e.first[slot], following)


@inner
def _aside(t: Any, out: Any, why: Any, offset: Any, kind: Any, delay_ms: Any, shown: Any, now_at: Any) -> None:
    row = t.now[N_SIDE]
    out.side[row, 0], out.side[row, 1], out.side[row, 2] = why, offset, kind
    out.side[row, 3], out.side[row, 4], out.side[row, 5] = delay_ms, shown, now_at
    t.now[N_SIDE] += 1


@inner
def find(table: Any, firsts: Any, seconds: Any, first: Any, second: Any) -> Any:
    """The sequence number of a key, -1 if it is not there."""
    mask, ring = len(table) - 1, len(firsts) - 1
    place = first & mask
    while table[place] != 0:
        slot = (table[place] - 1) & ring
        if firsts[slot] == first and seconds[slot] == second:
            return table[place] - 1
        place = (place + 1) & mask
    return np.int64(-1)


@inner
def insert(table: Any, first: Any, number: Any) -> None:
    """Note where a key that is not there stands."""
    mask = len(table) - 1
    place = first & mask
    while table[place] != 0:
        place = (place + 1) & mask
    table[place] = number + 1


@inner
def remove(table: Any, firsts: Any, seconds: Any, number: Any) -> None:
    """Forget a key that is there; those behind it move up, so that no gap hides them (Knuth, vol. 3, 6.4 R)."""
    mask, ring = len(table) - 1, len(firsts) - 1
    hole = firsts[number & ring] & mask
    while table[hole] != number + 1:
        hole = (hole + 1) & mask
    place = hole
    while True:
        place = (place + 1) & mask
        if table[place] == 0:
            break
        home = firsts[(table[place] - 1) & ring] & mask
        if ((place - home) & mask) >= ((place - hole) & mask):
            table[hole] = table[place]
            hole = place
    table[hole] = 0


@jit
def index(table: Any, firsts: Any, numbers: Any) -> None:
    """Note where n keys stand."""
    for number in numbers:
        insert(table, firsts[number & (len(firsts) - 1)], number)
