"""The compiled part of the rules that trade value for variety: greedy picks against what was picked before.

C candidates in order of value, k slots, D width of vectors. ``vectors`` is float32[D, C] of length 1 (or 0), so that a
loop along the candidates takes several at a time; ``topics`` int32[T, C] and ``author`` int32[C] are 0 where unknown.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Mask, Rows

Doubles = NDArray[np.float64]
LEAST = 1e-12  # of what is new of a candidate, so that its logarithm is finite


@njit(cache=True, nogil=True)
def mmr(
    value: Floats, noise: Floats, vectors: Floats, topics: Rows, author: Rows,
    theta: float, topic_weight: float, author_weight: float, window: int, k: int,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:  # fmt: skip
    """int32[k] rows in order, and float32[k] the similarity of each to the nearest of its window.

    ``noise`` float32[k, C] is added to what a slot compares; none = nothing.

    ``near[slot mod window]`` takes the similarities of all candidates to the pick in a slot; see ``look_back``.
    """
    n = len(value)
    rows, alike = np.empty(k, np.int32), np.zeros(k, np.float32)
    near, front = np.zeros((min(window, max(k, 1)), n), np.float32), np.zeros(n, np.float32)
    most, n_topics = np.zeros(n, np.float32), distinct(topics, topic_weight)
    worth, score, taken = np.empty(n), np.empty(n), np.zeros(n, np.bool_)
    for i in range(n):
        worth[i] = theta * value[i]
    for slot in range(k):
        for i in range(n):
            score[i] = worth[i] - (1 - theta) * most[i]
        if len(noise):
            for i in range(n):
                score[i] += noise[slot, i]
        best = best_left(score, taken)
        rows[slot], alike[slot], taken[best] = best, most[best], True
        compare(near[slot % len(near)], vectors, topics, n_topics, author, topic_weight, author_weight, best)
        look_back(near, front, most, slot)
    return rows, alike


@njit(cache=True, nogil=True)
def best_left(score: Doubles, taken: Mask) -> int:
    """The first of the highest scores not taken; a loop that does nothing else costs a comparison per candidate."""
    best = 0
    while taken[best]:
        best += 1
    top = score[best]
    for i in range(best + 1, len(score)):
        if score[i] > top and not taken[i]:
            best, top = i, score[i]
    return best


@njit(cache=True, nogil=True)
def look_back(near: Floats, front: Floats, most: Floats, slot: int) -> None:
    """``most`` float32[C] the maximum over the last W lines, at the cost of three lines a slot whatever W is.

    ``near`` float32[W, C] has the line of this slot at slot mod W. Behind it stand lines of W slots ago and less, each
    already the maximum of itself and those after it; ``front`` is the maximum of the lines up to this one (van Herk
    1992).
    """
    window, place = len(near), slot % len(near)
    if place == 0:
        front[:] = near[0]
    else:
        larger(front, near[place], front)
    if place + 1 < window and slot >= window:
        larger(front, near[place + 1], most)
    else:
        most[:] = front
    if place + 1 == window:
        for behind in range(window - 2, -1, -1):
            larger(near[behind], near[behind + 1], near[behind])


@njit(cache=True, nogil=True)
def larger(a: Floats, b: Floats, out: Floats) -> None:
    """The larger of each two, without an array in between; array expressions also take seconds to compile."""
    for i in range(len(out)):
        out[i] = a[i] if a[i] > b[i] else b[i]


@njit(cache=True, nogil=True)
def compare(
    line: Floats, vectors: Floats, topics: Rows, n_topics: Rows, author: Rows,
    topic_weight: float, author_weight: float, j: int,
) -> None:  # fmt: skip
    """Fill ``line`` float32[C] with the similarity of every candidate to j; topics by Jaccard, both over either."""
    for i in range(len(line)):
        line[i] = author_weight if author_weight > 0 and author[i] == author[j] and author[i] > 0 else 0
    share = np.float32(1 - topic_weight - author_weight)
    if share > 0:
        products(line, vectors, float(share), j)
    if topic_weight > 0 and n_topics[j] > 0:
        both = np.zeros(len(line), np.int32)
        for s in range(len(topics)):
            if topics[s, j] > 0 and is_first(topics, s, j):
                add_those_with(topics, topics[s, j], both)
        for i in range(len(line)):
            line[i] += np.float32(topic_weight) * both[i] / max(n_topics[i] + n_topics[j] - both[i], 1)


@njit(cache=True, nogil=True, fastmath={"contract"})  # a x + y at once, rounded once
def products(line: Floats, vectors: Floats, share: float, j: int) -> None:
    """Add ``share`` of the product of every candidate's vector with j's.

    Eight numbers of the vectors at a time, so that ``line`` is read and written an eighth as often; along the
    candidates, so that the processor takes as many of those at once as it can.
    """
    width, n = vectors.shape
    x = np.empty(width, np.float32)
    for d in range(width):
        x[d] = np.float32(share) * vectors[d, j]
    whole = width // 8 * 8
    for d in range(0, whole, 8):
        a, b, c, e = vectors[d], vectors[d + 1], vectors[d + 2], vectors[d + 3]
        f, g, h, m = vectors[d + 4], vectors[d + 5], vectors[d + 6], vectors[d + 7]
        xa, xb, xc, xe, xf, xg, xh, xm = x[d], x[d + 1], x[d + 2], x[d + 3], x[d + 4], x[d + 5], x[d + 6], x[d + 7]
        for i in range(n):
            low = xa * a[i] + xb * b[i] + xc * c[i] + xe * e[i]
            line[i] += low + (xf * f[i] + xg * g[i] + xh * h[i] + xm * m[i])
    for d in range(whole, width):
        a, xa = vectors[d], x[d]
        for i in range(n):
            line[i] += xa * a[i]


@njit(cache=True, nogil=True)
def add_those_with(topics: Rows, topic: int, both: Rows) -> None:
    """One more for each candidate that has the topic, in whichever place."""
    has = np.zeros(len(both), np.int32)
    for s in range(len(topics)):
        row = topics[s]
        for i in range(len(both)):
            has[i] |= np.int32(row[i] == topic)
    for i in range(len(both)):
        both[i] += has[i]


@njit(cache=True, nogil=True)
def is_first(topics: Rows, s: int, i: int) -> bool:
    """Whether a candidate's topic in place s stands in no place before."""
    found = True
    for before in range(s):
        found &= topics[before, i] != topics[s, i]
    return found


@njit(cache=True, nogil=True)
def distinct(topics: Rows, topic_weight: float) -> Rows:
    """int32[C] topics of each candidate; not counted where topics have no weight."""
    n = np.zeros(topics.shape[1], np.int32)
    if topic_weight == 0:
        return n
    new = np.empty(len(n), np.int32)
    for s in range(len(topics)):
        row = topics[s]
        for i in range(len(n)):
            new[i] = row[i] > 0
        for before in range(s):
            other = topics[before]
            for i in range(len(n)):
                new[i] &= np.int32(other[i] != row[i])
        for i in range(len(n)):
            n[i] += new[i]
    return n


@njit(cache=True, nogil=True)
def apart(
    vectors: Floats, topics: Rows, author: Rows,
    limit: float, topic_weight: float, author_weight: float, window: int, n: int, k: int,
) -> tuple[NDArray[np.int32], NDArray[np.bool_], NDArray[np.float32]]:  # fmt: skip
    """Slots in the given order, passing over what is at least ``limit`` like one of the last ``window`` picks.

    Returns:
        int32[k] rows; whether nothing left was less alike, bool[k]; float32[C] the most that each was like a pick that
        was in its way, 0 where none was.
    """
    rows, relaxed, in_the_way = np.empty(k, np.int32), np.zeros(k, np.bool_), np.zeros(n, np.float32)
    near, front = np.zeros((min(window, max(k, 1)), n), np.float32), np.zeros(n, np.float32)
    most, taken, n_topics = np.zeros(n, np.float32), np.zeros(n, np.bool_), distinct(topics, topic_weight)
    for slot in range(k):
        first, chosen = -1, -1
        for i in range(n):
            if taken[i]:
                continue
            first = i if first < 0 else first
            if most[i] < limit:
                chosen = i
                break
            in_the_way[i] = max(in_the_way[i], most[i])
        if chosen < 0:
            chosen, relaxed[slot] = first, True
        rows[slot], taken[chosen] = chosen, True
        compare(near[slot % len(near)], vectors, topics, n_topics, author, topic_weight, author_weight, chosen)
        look_back(near, front, most, slot)
    return rows, relaxed, in_the_way


@njit(cache=True, nogil=True)
def dpp(
    gain: Floats, noise: Floats, vectors: Floats, topics: Rows, author: Rows,
    variety: float, topic_weight: float, author_weight: float, ridge: float, window: int, k: int,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:  # fmt: skip
    """Greedy argmax gain_i + variety x log d_i, d_i what is new of i beside the last window - 1 picks.

    With S = V V^T over those picks, c_i = V^-1 s_i has a row per pick and d_i = S_ii + ridge - |c_i|^2 (Chen, Zhang and
    Zhou, NeurIPS 2018, algorithm 1). When a pick leaves the window, rotations take its row out of V and of all c_i
    (algorithm 2), so that a slot costs window x C, not window^2 x C.

    Returns:
        int32[k] rows in order, and float32[k] of each the share of it that the window did not have yet.
    """
    n, width = len(gain), max(min(window - 1, k), 0)
    rows, fresh = np.empty(k, np.int32), np.zeros(k, np.float32)
    c, v, n_topics = np.zeros((width, n)), np.zeros((width, width)), distinct(topics, topic_weight)
    own = lengths(vectors, n_topics, author, topic_weight, author_weight, ridge)
    left, score, line = own.copy(), np.empty(n), np.zeros(n, np.float32)
    is_drawn, most = len(noise) > 0, gain.max() if n else 0.0
    worth, taken = np.empty(n), np.zeros(n, np.bool_)
    for i in range(n):  # without noise e^(gain / variety) x d has the same order, and costs no logarithms
        worth[i] = gain[i] if is_drawn else np.exp((gain[i] - most) / max(variety, 1e-9))
    for slot in range(k):
        if is_drawn:
            for i in range(n):
                score[i] = worth[i] + variety * np.log(max(left[i], LEAST)) + noise[slot, i]
        else:
            for i in range(n):
                score[i] = worth[i] * max(left[i], LEAST)
        best = best_left(score, taken)
        rows[slot], taken[best] = best, True
        fresh[slot] = left[best] / own[best] if own[best] > 0 else 1.0
        if width == 0:
            continue
        if slot >= width:
            forget_first(c, v, left, width)
        compare(line, vectors, topics, n_topics, author, topic_weight, author_weight, best)
        remember(c, v, left, line, own[best], best, min(slot, width - 1))
    return rows, fresh


@njit(cache=True, nogil=True, fastmath={"contract"})
def remember(c: Doubles, v: Doubles, left: Doubles, line: Floats, own: float, pick: int, n_inside: int) -> None:
    """Put a pick behind the ``n_inside`` in the window: its row of ``v`` and of ``c``; what is ``left`` after it."""
    root = np.sqrt(max(left[pick], LEAST))
    for j in range(n_inside):
        v[n_inside, j] = c[j, pick]
    v[n_inside, n_inside] = root
    row = c[n_inside]
    for i in range(len(line)):
        row[i] = line[i]
    row[pick] = own  # a pick is like itself, ridge and all
    pairs = n_inside // 2 * 2
    for j in range(0, pairs, 2):  # two at a time: ``row`` is read and written half as often
        x, y, a, b = v[n_inside, j], v[n_inside, j + 1], c[j], c[j + 1]
        for i in range(len(line)):
            row[i] -= x * a[i] + y * b[i]
    for j in range(pairs, n_inside):
        x, a = v[n_inside, j], c[j]
        for i in range(len(line)):
            row[i] -= x * a[i]
    inverse = 1 / root
    for i in range(len(line)):
        row[i] *= inverse
        left[i] -= row[i] * row[i]


@njit(cache=True, nogil=True, fastmath={"contract"})
def forget_first(c: Doubles, v: Doubles, left: Doubles, width: int) -> None:
    """Take the oldest pick out: ``c`` float64[W, C] and ``v`` float64[W, W] move up by a row, ``left`` grows."""
    n, first = c.shape[1], c[0].copy()
    for j in range(1, width):
        a, b = v[j, j], v[j, 0]
        r = np.sqrt(a * a + b * b)
        cos, sin = a / r, b / r
        for i in range(j, width):
            x, y = v[i, j], v[i, 0]
            v[i, j], v[i, 0] = cos * x + sin * y, cos * y - sin * x
        row, above = c[j], c[j - 1]
        for i in range(n):
            x, y = row[i], first[i]
            above[i], first[i] = cos * x + sin * y, cos * y - sin * x
    for i in range(n):
        left[i] += first[i] * first[i]
    for j in range(1, width):
        for i in range(1, width):
            v[j - 1, i - 1] = v[j, i]


@njit(cache=True, nogil=True)
def lengths(
    vectors: Floats, n_topics: Rows, author: Rows, topic_weight: float, author_weight: float, ridge: float
) -> Doubles:
    """float64[C] how like itself each candidate is, by what it has of a vector, of topics and of an author, and the
    ridge."""
    n, share = len(author), 1 - topic_weight - author_weight
    out = np.empty(n)
    for i in range(n):
        out[i] = ridge + (author_weight if author[i] > 0 else 0.0) + (topic_weight if n_topics[i] > 0 else 0.0)
    if share > 0:
        for d in range(len(vectors)):
            row = vectors[d]
            for i in range(n):
                out[i] += share * np.float64(row[i]) * np.float64(row[i])
    return out
