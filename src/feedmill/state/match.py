"""What the state says at one moment: of a user, and of candidates for that user."""

from __future__ import annotations

import numpy as np

from feedmill.core.batches import Floats, Mask, Rows, Times
from feedmill.state.arrays import NEVER, RARE, Answers, Arrays, Bits, Doubles, Plan, Probes, Scratch
from feedmill.state.compiler import Int, inner, jit
from feedmill.state.pairs import find

CLICKED, LIKED, SHOWN, DISLIKED = 0, 1, 2, 3  # the first of core.batches.LANES, in its order; a test holds them equal


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
        if a.user_ms[user] != NEVER:
            out.first_ms[r], out.last_ms[r] = a.user_first_ms[user], a.user_ms[user]
        favourites(a.topics, x, out.liked_topics, r)
    while c < len(probes.item) and probes.request_of[c] == r:
        c += 1
    match(a, plan, user, t, probes.item[first:c], out, x, first)
    return c


@inner
def recall(a: Arrays, user: Int, x: Scratch) -> None:
    """Copy what is in the rings of a user, newest first, and how much that is."""
    for lane in range(len(x.length)):
        if lane < RARE:
            unroll(a.heads[user, lane], a.recent[user, lane], a.recent_ms[user, lane], lane, x)
        else:
            unroll(a.heads[user, lane], a.rare[user, lane - RARE], a.rare_ms[user, lane - RARE], lane, x)


@inner
def unroll(n: Int, ring: Rows, ring_ms: Times, lane: Int, x: Scratch) -> None:
    """Copy the newest of the n entries that a ring has ever had."""
    size = len(ring)
    x.length[lane] = min(n, size)
    for j in range(x.length[lane]):
        slot = (n - 1 - j) % size
        x.history[lane, j], x.history_ms[lane, j] = ring[slot], ring_ms[slot]


@jit
def match(a: Arrays, plan: Plan, user: Int, t: Int, items: Rows, out: Answers, x: Scratch, first: Int) -> None:
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
            pair = find(a.pair_keys, user, topic)
            if pair >= 0:
                read(a.pair_ms, a.pair_sums, pair, rate, epoch, since, decay, t, out.pair_counts, first + j, share)
        if len(out.author) > 0:
            note(a, item, out, first + j)
    compare(a.author, t, items, out.cross, x.history, x.history_ms, x.authors, x.length, first)
    toggle(a.topics, x.history, x.length, x.marks)
    shares(a.topics, items, out.cross, x.length, x.marks, first)
    toggle(a.topics, x.history, x.length, x.marks)
    for j in range(len(items)):
        item = known(items[j], len(a.author))
        out.cross[first + j, 8] = seconds(t, a.publish_ms[item], 0)
        out.cross[first + j, 9] = a.duration_s[item]


@inner
def note(a: Arrays, item: Int, out: Answers, row: Int) -> None:
    """What the catalogue says of an item at this point of the log."""
    out.author[row] = a.author[item]
    for s in range(a.topics.shape[1]):
        out.topics[row, s] = a.topics[item, s]
    for p in range(out.codes.shape[1]):
        out.codes[row, p] = a.item_codes[p, item]


@inner
def favourites(topics: Rows, x: Scratch, out: Rows, r: Int) -> None:
    """The topics of most liked items, as they are now, most first; of equally many the one met latest."""
    n = 0
    for j in range(x.length[LIKED]):
        for s in range(topics.shape[1]):
            topic = topics[x.history[LIKED, j], s]
            if topic == 0:
                break
            if x.tally[topic] == 0:
                x.met[n] = topic
                n += 1
            x.tally[topic] += 1
    for place in range(min(n, out.shape[1])):
        best = 0
        for i in range(1, n):
            if x.tally[x.met[i]] > x.tally[x.met[best]]:
                best = i
        out[r, place] = x.met[best]
        x.tally[x.met[best]] = 0
    for i in range(n):
        x.tally[x.met[i]] = 0


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
