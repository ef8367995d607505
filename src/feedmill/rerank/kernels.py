"""The compiled part of the rules that trade value for variety: greedy picks against what was picked before.

C candidates in order of value, k slots, D width of vectors. ``vectors`` is float32[D, C] of length 1 (or 0), so that a
loop along the candidates takes several at a time; ``topics`` int32[T, C] and ``author`` int32[C] are 0 where unknown.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Rows

Doubles = NDArray[np.float64]
LEAST = 1e-12  # of what is new of a candidate, so that its logarithm is finite


@njit(cache=True, nogil=True)
def mmr(
    value: Floats, noise: Floats, vectors: Floats, topics: Rows, author: Rows,
    theta: float, topic_weight: float, author_weight: float, window: int, k: int,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:  # fmt: skip
    """int32[k] rows in order, and float32[k] the similarity of each to the nearest of its window.

    ``noise`` float32[k, C] is added to what a slot compares; none = nothing.

    ``near[s]`` has the similarities of all candidates to the pick in slot s mod window. While nothing has
    left the window their maximum is kept up as it goes; after that it is taken anew.
    """
    n = len(value)
    rows, alike = np.empty(k, np.int32), np.zeros(k, np.float32)
    near = np.zeros((min(window, max(k, 1)), n), np.float32)
    most, taken, n_topics = np.zeros(n, np.float32), np.zeros(n, np.bool_), distinct(topics)
    for slot in range(k):
        best, best_score = -1, 0.0
        for i in range(n):
            score = theta * value[i] - (1 - theta) * most[i] + (noise[slot, i] if len(noise) else 0)
            if not taken[i] and (best < 0 or score > best_score):
                best, best_score = i, score
        rows[slot], alike[slot], taken[best] = best, most[best], True
        line = near[slot % len(near)]
        compare(line, vectors, topics, n_topics, author, topic_weight, author_weight, best)
        if 0 < slot < len(near):
            maximum(most, line, most)
        else:
            maximum(near[0], near[0], most)
            for s in range(1, min(slot + 1, len(near))):
                maximum(most, near[s], most)
    return rows, alike


@njit(cache=True, nogil=True)
def maximum(a: Floats, b: Floats, out: Floats) -> None:
    """The larger of each two, without an array in between; array expressions also take seconds to compile."""
    for i in range(len(out)):
        out[i] = max(a[i], b[i])


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
        whole = len(vectors) // 4 * 4
        for d in range(0, whole, 4):  # four at a time: ``line`` is read and written a quarter as often
            a, b, c, e = vectors[d], vectors[d + 1], vectors[d + 2], vectors[d + 3]
            xa, xb, xc, xe = share * a[j], share * b[j], share * c[j], share * e[j]
            for i in range(len(line)):  # along the candidates: the processor takes eight at a time
                line[i] += xa * a[i] + xb * b[i] + xc * c[i] + xe * e[i]
        for d in range(whole, len(vectors)):
            a = vectors[d]
            xa = share * a[j]
            for i in range(len(line)):
                line[i] += xa * a[i]
    if topic_weight > 0 and n_topics[j] > 0:
        both = np.zeros(len(line), np.int32)
        for s in range(len(topics)):
            if topics[s, j] > 0 and is_first(topics, s, j):
                add_those_with(topics, topics[s, j], both)
        for i in range(len(line)):
            line[i] += np.float32(topic_weight) * both[i] / max(n_topics[i] + n_topics[j] - both[i], 1)


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
def distinct(topics: Rows) -> Rows:
    """int32[C] topics of each candidate."""
    n = np.zeros(topics.shape[1], np.int32)
    for s in range(len(topics)):
        for i in range(len(n)):
            n[i] += topics[s, i] > 0 and is_first(topics, s, i)
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
    near = np.zeros((min(window, max(k, 1)), n), np.float32)
    most, taken, n_topics = np.zeros(n, np.float32), np.zeros(n, np.bool_), distinct(topics)
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
        line = near[slot % len(near)]
        compare(line, vectors, topics, n_topics, author, topic_weight, author_weight, chosen)
        maximum(near[0], near[0], most)
        for s in range(1, min(slot + 1, len(near))):
            maximum(most, near[s], most)
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
    c, v = np.zeros((width, n)), np.zeros((width, width))
    own, left, n_topics = np.empty(n), np.empty(n), distinct(topics)
    scale = np.empty(n)  # without noise e^(gain / variety) x d has the same order, and costs no logarithms
    most = gain.max() if n else 0.0
    for i in range(n):
        scale[i] = np.exp((gain[i] - most) / max(variety, 1e-9))
    line, taken = np.zeros(n, np.float32), np.zeros(n, np.bool_)
    n_inside = 0
    for i in range(n):
        own[i] = length(vectors, n_topics, author, topic_weight, author_weight, i) + ridge
        left[i] = own[i]
    for slot in range(k):
        best, best_score = -1, 0.0
        for i in range(n):
            if not taken[i]:
                score = scale[i] * max(left[i], LEAST)
                if len(noise):
                    score = gain[i] + variety * np.log(max(left[i], LEAST)) + noise[slot, i]
                if best < 0 or score > best_score:
                    best, best_score = i, score
        rows[slot], taken[best] = best, True
        fresh[slot] = left[best] / own[best] if own[best] > 0 else 1.0
        if width == 0:
            continue
        if n_inside == width:
            forget_first(c, v, left, width)
            n_inside -= 1
        compare(line, vectors, topics, n_topics, author, topic_weight, author_weight, best)
        remember(c, v, left, line, own[best], best, n_inside)
        n_inside += 1
    return rows, fresh


@njit(cache=True, nogil=True)
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
    for j in range(n_inside):
        x, other = c[j, pick], c[j]
        for i in range(len(line)):
            row[i] -= x * other[i]
    for i in range(len(line)):
        row[i] /= root
        left[i] -= row[i] * row[i]


@njit(cache=True, nogil=True)
def forget_first(c: Doubles, v: Doubles, left: Doubles, width: int) -> None:
    """Take the oldest pick out: ``c`` float64[W, C] and ``v`` float64[W, W] move up by a row, ``left`` grows."""
    n = c.shape[1]
    for j in range(1, width):
        a, b = v[j, j], v[j, 0]
        r = np.sqrt(a * a + b * b)
        cos, sin = a / r, b / r
        for i in range(j, width):
            x, y = v[i, j], v[i, 0]
            v[i, j], v[i, 0] = cos * x + sin * y, cos * y - sin * x
        first, row = c[0], c[j]
        for i in range(n):
            x, y = row[i], first[i]
            row[i], first[i] = cos * x + sin * y, cos * y - sin * x
    for i in range(n):
        left[i] += c[0, i] * c[0, i]
    for j in range(1, width):
        for i in range(n):
            c[j - 1, i] = c[j, i]
        for i in range(1, width):
            v[j - 1, i - 1] = v[j, i]


@njit(cache=True, nogil=True)
def length(vectors: Floats, n_topics: Rows, author: Rows, topic_weight: float, author_weight: float, i: int) -> float:
    """How like itself a candidate is: what it has of a vector, of topics and of an author."""
    out = author_weight if author[i] > 0 else 0.0
    if n_topics[i] > 0:
        out += topic_weight
    share = 1 - topic_weight - author_weight
    if share > 0:
        for d in range(len(vectors)):
            out += share * vectors[d, i] * vectors[d, i]
    return out
