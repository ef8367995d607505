"""The best slate of given videos for a person at this moment; ``regret.slate_seconds`` says what it is worth."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from feedmill.core.batches import Rows
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
    rows: Rows = _walk(truth, memory, user, time_ms, page, np.ascontiguousarray(items, np.int32), k)
    return rows


@njit(cache=True, nogil=True)
def _walk(truth: Any, memory: Any, u: Any, time_ms: Any, page: Any, items: Any, k: Any) -> Any:
    """Rows of up to k slots: of all that are left the best each time."""
    n, w = len(items), truth.weights
    fatigue = w[_FATIGUE] / truth.stay[u]
    a, topic, author, is_out = np.empty(n), np.zeros(n), np.zeros(n), np.zeros(n, np.bool_)
    rows, n_in = np.empty(k, np.int32), 0
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
        if top < 0:
            break
        is_out[top] = True
        rows[slot], n_in = items[top], slot + 1
        for c in range(n):
            if not is_out[c]:
                same = np.float32(0)
                for t in range(truth.n_topics):
                    same += truth.vector[items[top], t] * truth.vector[items[c], t]
                topic[c] = topic[c] * w[_MEMORY] + w[_TOPIC] * (1.0 - w[_MEMORY]) * same
                author[c] += w[_AUTHOR] * (truth.author[items[top]] == truth.author[items[c]])
    return rows[:n_in]


@njit(cache=True, nogil=True)
def _worn(truth: Any, memory: Any, u: Any, i: Any, time_ms: Any) -> Any:
    """The part of ``tiredness`` that is of topics."""
    w, same = truth.weights, np.float32(0)
    for k in range(truth.n_topics):
        same += memory.topics[u, k] * truth.vector[i, k]
    passed_ms = max(0.0, np.float64(time_ms - memory.last_ms[u]))
    return w[_TOPIC] * same * np.exp(np.log(0.5) * passed_ms / (w[_HOURS] * 3.6e6))
