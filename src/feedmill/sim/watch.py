"""What people do with what they are shown: the formulas, as kernels.

Affinity a of a person and a video (mean 0 and sd 1 over random pairs)::

    a = person · video + quality + fresh · 2^(−age / half-life) − language + city + followed
    tired a = a − topics just seen − authors just seen − seen before − fatigue of the session

Seconds watched W of a video of d seconds, with x = ln(d / 22.7)::

    leaves at once   p_skip: W = skip_s · U^skip_power          logits of p_skip and p_full against a part:
    watches a part   p_part: W = skip_s + (d − skip_s) · U^c    linear in a and x, quadratic in x;
    watches all      p_full: W = d                              so are ln c and the logit of p_again
    … and goes on    p_full · p_again: W = d · (1 + Exp(again_times))

    E[W] = p_skip · skip_s / (1 + skip_power) + p_part · (skip_s + (d − skip_s) / (1 + c))
         + p_full · d · (1 + p_again · again_times)

d is at most ``longest_s``: nothing is known of longer ones. Chance is a hash (SplitMix64: Steele, Lea and Flood, OOPSLA
2014) of the seed, the person, how many videos that person has seen, and what is drawn: other people, and how asks are
cut into calls, change nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Mask, Rows, Times

LN_MIDDLE = np.float64(np.log(22.7))  # of the durations of SegMM, the median
REFERENCE = 0.7  # mean tired affinity at the reference exposure (``watch_reference.py``): neither glad nor sorry
N_RECENT = 8  # authors just seen, and authors followed, that are remembered of each person
NOBODY = -1
_HALF = np.log(0.5)
_STEP, _USER, _KIND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1B54A32D192ED03), np.uint64(0xAEF17502108EF2D9)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31, _S11 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(11)


class Truth(NamedTuple):
    """What is so today, of N people and M videos, and nobody but the world knows. D = topics, then latent.

    ``weights`` are those of ``WEIGHTS``; ``curve`` and ``reacts`` are the rows of ``WatchConfig`` and ``ReactConfig``.
    """

    taste: Floats  # float32[N, D]
    language: NDArray[np.int8]  # [N]
    city: NDArray[np.int8]
    stay: Floats  # float32[N] videos of a session at the reference
    vector: Floats  # float32[M, D]: 1 / sqrt(n) in each of n topics, then latent
    quality: Floats  # float32[M]
    fresh_ms: Floats  # float32[M] half-life of what is added to a new-born
    born_ms: Times
    duration_s: Floats
    author: Rows
    video_language: NDArray[np.int8]
    video_city: NDArray[np.int8]
    is_on: Mask
    weights: NDArray[np.float64]
    curve: NDArray[np.float64]
    reacts: NDArray[np.float64]
    n_topics: int


class Memory(NamedTuple):
    """What people carry with them, changed in place by ``respond``."""

    n_views: Rows  # int32[N] ever: the counter of their chance
    in_session: Rows  # int32[N]
    topics: Floats  # float32[N, T] decayed mean of the topics of what was seen
    last_ms: Times  # int64[N] when that was
    authors: Rows  # int32[N, 8] of the last videos, a ring
    followed: Rows  # int32[N, 8] authors, a ring
    n_followed: Rows  # int32[N]
    seen: NDArray[np.uint8]  # [N, M / 8] bits
    pleasure: NDArray[np.float64]  # [N] of today's videos, summed
    n_today: Rows  # int32[N]
    satisfaction: Floats  # float32[N] of the last days


WEIGHTS = ("fresh", "other_language", "same_city", "followed", "topic", "memory", "hours", "author", "seen", "fatigue",
           "liking")  # fmt: skip
_FRESH, _LANGUAGE, _CITY, _FOLLOWED, _TOPIC, _MEMORY, _HOURS, _AUTHOR, _SEEN, _FATIGUE, _LIKING = range(11)


@njit(cache=True, nogil=True, inline="always")
def chance(seed: Any, user: Any, count: Any, kind: Any) -> Any:
    """A uniform number in [0, 1) that depends on these four alone."""
    z = np.uint64(seed) + np.uint64(user) * _USER + np.uint64(kind) * _KIND
    z = (z ^ (z >> _S30)) * _MIX_1
    z = (z ^ (z >> _S27)) * _MIX_2
    z = (z ^ (z >> _S31)) + np.uint64(count) * _STEP
    z = (z ^ (z >> _S30)) * _MIX_1
    z = (z ^ (z >> _S27)) * _MIX_2
    return np.float64((z ^ (z >> _S31)) >> _S11) * 1.1102230246251565e-16


@njit(cache=True, nogil=True, inline="always")
def _line(curve: Any, row: Any, a: Any, x: Any) -> Any:
    return curve[row, 0] + curve[row, 1] * a + (curve[row, 2] + curve[row, 3] * x) * x


@njit(cache=True, nogil=True, inline="always")
def _mixture(curve: Any, a: Any, x: Any) -> Any:
    """p_skip, p_full, c, p_again."""
    skip, full = np.exp(_line(curve, 0, a, x)), np.exp(_line(curve, 1, a, x))
    total = 1.0 + skip + full
    return skip / total, full / total, np.exp(_line(curve, 2, a, x)), 1.0 / (1.0 + np.exp(-_line(curve, 3, a, x)))


@njit(cache=True, nogil=True)
def mean_s(curve: Any, affinity: Any, duration_s: Any) -> Any:
    """E[W] of one view."""
    duration_s = min(duration_s, curve[4, 3])
    skip, full, c, again = _mixture(curve, affinity, np.log(duration_s) - LN_MIDDLE)
    first = min(curve[4, 1], duration_s)
    part = first + (duration_s - first) / (1.0 + c)
    whole = duration_s * (1.0 + again * curve[4, 0])
    return skip * first / (1.0 + curve[4, 2]) + (1.0 - skip - full) * part + full * whole


@njit(cache=True, nogil=True)
def draw_s(curve: Any, affinity: Any, duration_s: Any, which: Any, amount: Any, more: Any) -> Any:
    """W of one view, of three uniform numbers: with the same luck, whoever likes it more watches no less likely all."""
    duration_s = min(duration_s, curve[4, 3])
    skip, full, c, again = _mixture(curve, affinity, np.log(duration_s) - LN_MIDDLE)
    first = min(curve[4, 1], duration_s)
    if which < skip:
        return first * amount ** curve[4, 2]
    if which < 1.0 - full:
        return first + (duration_s - first) * amount**c
    if more < again:
        return duration_s * (1.0 - curve[4, 0] * np.log1p(-amount))
    return duration_s


@njit(cache=True, nogil=True)
def means_s(curve: Any, affinity: Any, duration_s: Any) -> Any:
    """float32[n] E[W] of n views."""
    out = np.empty(len(affinity), np.float32)
    for k in range(len(affinity)):
        out[k] = mean_s(curve, affinity[k], duration_s[k])
    return out


@njit(cache=True, nogil=True)
def draws_s(curve: Any, affinity: Any, duration_s: Any, seed: Any) -> Any:
    """float32[n] W of n views, for looking at the distribution."""
    out = np.empty(len(affinity), np.float32)
    for k in range(len(affinity)):
        u = (chance(seed, 0, k, 0), chance(seed, 0, k, 1), chance(seed, 0, k, 2))
        out[k] = draw_s(curve, affinity[k], duration_s[k], u[0], u[1], u[2])
    return out


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _dot(x: Any, k: Any, y: Any, j: Any, n: Any) -> Any:
    """Of the first n of row k of x and row j of y: in whatever order is fast."""
    out = np.float32(0)
    for d in range(n):
        out += x[k, d] * y[j, d]
    return out


@njit(cache=True, nogil=True)
def one_affinity(truth: Any, memory: Any, u: Any, i: Any, time_ms: Any) -> Any:
    """Of person u and video i, before what the person has just seen."""
    w, a = truth.weights, np.float64(truth.quality[i])
    age_ms = max(0.0, np.float64(time_ms - truth.born_ms[i]))
    a += _dot(truth.taste, u, truth.vector, i, truth.taste.shape[1])
    a += w[_FRESH] * np.exp(_HALF * age_ms / truth.fresh_ms[i])
    if truth.language[u] != truth.video_language[i]:
        a -= w[_LANGUAGE]
    if truth.city[u] == truth.video_city[i]:
        a += w[_CITY]
    for k in range(memory.followed.shape[1]):
        if memory.followed[u, k] == truth.author[i]:
            return a + w[_FOLLOWED]
    return a


@njit(cache=True, nogil=True)
def tiredness(truth: Any, memory: Any, u: Any, i: Any, time_ms: Any) -> Any:
    """What is taken off for video i by what person u has just seen, and by how long the session is already."""
    w, n_authors = truth.weights, 0
    same = _dot(memory.topics, u, truth.vector, i, truth.n_topics)
    for k in range(memory.authors.shape[1]):
        n_authors += memory.authors[u, k] == truth.author[i]
    rested = np.exp(_HALF * max(0.0, np.float64(time_ms - memory.last_ms[u])) / (w[_HOURS] * 3.6e6))
    out = w[_TOPIC] * same * rested + w[_AUTHOR] * n_authors * rested
    out += w[_FATIGUE] * memory.in_session[u] / truth.stay[u]
    if memory.seen[u, i >> 3] >> (i & 7) & 1:
        out += w[_SEEN]
    return out


@njit(cache=True, nogil=True)
def affinities(truth: Any, memory: Any, user: Any, item: Any, time_ms: Any, is_tired: Any) -> Any:
    """float32[n] affinities of n pairs, each as if it were what the person sees next."""
    out = np.empty(len(user), np.float32)
    for k in range(len(user)):
        a = one_affinity(truth, memory, user[k], item[k], time_ms[k])
        out[k] = a - tiredness(truth, memory, user[k], item[k], time_ms[k]) if is_tired else a
    return out


@njit(cache=True, nogil=True)
def _remember(truth: Any, memory: Any, u: Any, i: Any, time_ms: Any, pleasure: Any) -> Any:
    w = truth.weights
    keep = w[_MEMORY]
    rested = np.exp(_HALF * max(0.0, np.float64(time_ms - memory.last_ms[u])) / (w[_HOURS] * 3.6e6))
    old, new = np.float32(keep * rested), np.float32(1.0 - keep)
    for k in range(truth.n_topics):
        memory.topics[u, k] = memory.topics[u, k] * old + new * truth.vector[i, k]
    memory.last_ms[u] = time_ms
    memory.authors[u, memory.n_views[u] % memory.authors.shape[1]] = truth.author[i]
    memory.seen[u, i >> 3] |= np.uint8(1 << (i & 7))
    memory.n_views[u] += 1
    memory.in_session[u] += 1
    memory.n_today[u] += 1
    memory.pleasure[u] += pleasure


@njit(cache=True, nogil=True)
def _react(truth: Any, memory: Any, u: Any, i: Any, seed: Any, a: Any, is_left: Any) -> Any:
    """Bits of ``REACTIONS``: who leaves at once does nothing but perhaps dislike."""
    bits, n = 0, truth.reacts.shape[0]
    for b in range(n):
        logit = truth.reacts[b, 0] + truth.reacts[b, 1] * (a - REFERENCE)
        is_done = chance(seed, u, memory.n_views[u], 4 + b) * (1.0 + np.exp(-logit)) < 1.0
        if is_done and (b == n - 1 or not is_left):
            bits |= 1 << b
    if bits & 8:  # a follow: the author's next videos are liked better
        memory.followed[u, memory.n_followed[u] % memory.followed.shape[1]] = truth.author[i]
        memory.n_followed[u] += 1
    return bits


@njit(cache=True, nogil=True)
def watch_slates(
    truth: Any, memory: Any, seed: Any, user: Any, time_ms: Any, page: Any, slates: Any,
    ask: Any, place: Any, at_ms: Any, seconds: Any, expected: Any, reactions: Any, goes_on: Any, next_ms: Any,
) -> Any:  # fmt: skip
    """B people look at their slates slot by slot until they leave; the last eight arguments are filled.

    A slot with nothing in it, or with a video that is not on, is passed over; who is shown nothing at all leaves.

    Returns:
        n, how many slots were looked at.
    """
    n = 0
    for b in range(len(user)):
        u, now, first, stays = user[b], time_ms[b], n, True
        if page[b] == 0:
            memory.in_session[u] = 0
        for k in range(slates.shape[1]):
            i = slates[b, k]
            if i < 0 or not truth.is_on[i]:
                continue
            a = one_affinity(truth, memory, u, i, now) - tiredness(truth, memory, u, i, now)
            count = memory.n_views[u]
            which, amount, more = chance(seed, u, count, 0), chance(seed, u, count, 1), chance(seed, u, count, 2)
            watched = draw_s(truth.curve, a, truth.duration_s[i], which, amount, more)
            ask[n], place[n], at_ms[n], seconds[n] = b, k, now, watched
            expected[n] = mean_s(truth.curve, a, truth.duration_s[i])
            reactions[n] = _react(truth, memory, u, i, seed, a, watched < truth.curve[4, 1])
            liked = max(-2.0, min(2.0, a - REFERENCE))
            _remember(truth, memory, u, i, now, liked)
            n += 1
            now += np.int64(1000.0 * watched) + 1000
            if chance(seed, u, count, 3) * truth.stay[u] < np.exp(-truth.weights[_LIKING] * liked):
                stays = False
                break
        if n == first:
            stays = False
            memory.pleasure[u] -= 2.0
            memory.n_today[u] += 1
        goes_on[b], next_ms[b] = stays, now
    return n
