"""What given videos are worth to a person at this moment: the best slate that can be made of them, and any slate."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from feedmill.core.batches import Floats, Rows
from feedmill.sim.views import NOTHING
from feedmill.sim.watch import (
    _AUTHOR,
    _FATIGUE,
    _HOURS,
    _MEMORY,
    _TOPIC,
    Memory,
    Truth,
    mean_s,
    one_affinity,
    tiredness,
)  # fmt: skip


def best_slate(truth: Truth, memory: Memory, user: int, time_ms: int, page: int, items: Rows, k: int) -> Rows:
    """int32[<= k]: greedily the video that the person would watch longest next, of these alone.

    Args:
        items: int32[C] different world rows; what is not on is passed over.
        page: pages that the session has had before: on the first the person is not tired of the session.
    """
    rows: Rows = _walk(truth, memory, user, time_ms, page, np.ascontiguousarray(items, np.int32), k, True)[0]
    return rows


def worth_s(truth: Truth, memory: Memory, user: int, time_ms: int, page: int, slate: Rows) -> Floats:
    """float32[<= K] seconds to be expected of each slot of a slate that is looked at to its end; slots with nothing in
    them, or with a video that is not on, are passed over."""
    items = np.ascontiguousarray(slate, np.int32)
    seconds: Floats = _walk(truth, memory, user, time_ms, page, items, len(items), False)[1]
    return seconds


@njit(cache=True, nogil=True)
def _walk(truth: Any, memory: Any, u: Any, time_ms: Any, page: Any, items: Any, k: Any, is_free: Any) -> Any:
    """Rows and seconds of up to k slots: of all items the best each time, or the items in their order."""
    n, w = len(items), truth.weights
    fatigue = w[_FATIGUE] / truth.stay[u]
    a, topic, author, is_out = np.empty(n), np.zeros(n), np.zeros(n), np.zeros(n, np.bool_)
    rows, seconds, n_in = np.empty(k, np.int32), np.empty(k, np.float32), 0
    for c in range(n):
        i = items[c]
        is_out[c] = i == NOTHING or not truth.is_on[i]
        if is_out[c]:
            continue
        a[c] = one_affinity(truth, memory, u, i, time_ms) - tiredness(truth, memory, u, i, time_ms)
        if page == 0:
            a[c] += fatigue * memory.in_session[u]
        topic[c] = _worn(truth, memory, u, i, time_ms)
        a[c] += topic[c]  # kept apart, for it fades as others are seen
    for slot in range(k):
        top, most = -1, -1.0
        for c in range(n):
            if is_out[c]:
                continue
            s = mean_s(truth.curve, a[c] - topic[c] - author[c] - fatigue * slot, truth.duration_s[items[c]])
            if s > most:
                top, most = c, s
            if not is_free:
                break
        if top < 0:
            break
        is_out[top] = True
        rows[slot], seconds[slot], n_in = items[top], most, slot + 1
        for c in range(n):
            if not is_out[c]:
                same = np.float32(0)
                for t in range(truth.n_topics):
                    same += truth.vector[items[top], t] * truth.vector[items[c], t]
                topic[c] = topic[c] * w[_MEMORY] + w[_TOPIC] * (1.0 - w[_MEMORY]) * same
                author[c] += w[_AUTHOR] * (truth.author[items[top]] == truth.author[items[c]])
    return rows[:n_in], seconds[:n_in]


@njit(cache=True, nogil=True)
def _worn(truth: Any, memory: Any, u: Any, i: Any, time_ms: Any) -> Any:
    """The part of ``tiredness`` that is of topics."""
    w, same = truth.weights, np.float32(0)
    for k in range(truth.n_topics):
        same += memory.topics[u, k] * truth.vector[i, k]
    passed_ms = max(0.0, np.float64(time_ms - memory.last_ms[u]))
    return w[_TOPIC] * same * np.exp(np.log(0.5) * passed_ms / (w[_HOURS] * 3.6e6))
