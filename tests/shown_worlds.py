"""A log of impressions with known chances: what was shown at random, and what came of it."""

from __future__ import annotations

import json

import numpy as np

from feedmill.core.clock import rng
from feedmill.core.events import EventBatch, Kind
from worlds import START_MS

HOUR_MS = 3_600_000
SMALL_RANKER = """
[rank]
kind = "gbdt_lr"
[rank.trees]
n_trees = 4
n_leaves = 4
n_threads = 1
[train]
n_threads = 1
[evaluate]
split = "none"
"""


def impressions(
    n: int = 6000,
    n_users: int = 60,
    n_items: int = 40,
    rate: float = 0.1,
    seed: int = 0,
    like: float = 0.4,
    keyed: bool = False,
) -> tuple[EventBatch, np.ndarray]:
    """Items of two topics, people of two groups; a click is likelier by 3 in logits where they match, a like follows a
    click the oftener the higher the item's number, a finish the oftener the shorter it is, and a watch is the length of
    what was finished, else a fifth of it. With ``keyed`` each impression is a request of its own, which feedback names.

    Returns:
        the log, and float64[n] the chance of a click of each impression, in order.
    """
    random = rng(seed, "impressions")
    user, item = random.integers(0, n_users, n), random.integers(0, n_items, n)
    match = (user % 2) == (item % 2)
    shift = np.log(rate / (1 - rate))
    chance = 1 / (1 + np.exp(-(shift - 1.5 + 3.0 * match)))
    clicked = random.random(n) < chance
    liked = clicked & (random.random(n) < 2 * like * (item + 1) / n_items)
    length = 10.0 + 5 * np.arange(n_items)
    finished = clicked & (random.random(n) < 8.0 / length[item])
    watched = np.where(finished, length[item], length[item] / 5)
    time_ms = START_MS + np.arange(n) * 60_000
    kinds = ((Kind.IMPRESSION, clicked | True, 0), (Kind.CLICK, clicked, 1), (Kind.LIKE, liked, 2),
             (Kind.FINISH, finished, 3), (Kind.WATCH, clicked, 4))  # fmt: skip
    rows = [(time_ms[at] + 1000 * late, np.full(at.sum(), int(kind)), user[at], item[at], watched[at], at.nonzero()[0])
            for kind, at, late in kinds]  # fmt: skip
    t, kind, u, i, w, r = (np.concatenate(c) for c in zip(*rows, strict=True))
    by = np.argsort(t, kind="stable")
    behaviour = EventBatch.of(
        {
            "time_ms": t[by],
            "kind": kind[by].astype(np.int8),
            "user_id": [f"u{k}" for k in u[by]],
            "item_id": [f"i{k}" for k in i[by]],
            "value": np.where(kind == Kind.WATCH, w, 1.0)[by].astype(np.float32),
            "request_id": [f"r{k}" for k in r[by]] if keyed else "",
        }
    )
    return EventBatch.concat([_items(n_items, length), _people(n_users), behaviour]), chance


def _items(n: int, length: np.ndarray) -> EventBatch:
    payload = [json.dumps({"topics": [f"t{k % 2}"], "duration_s": float(length[k])}) for k in range(n)]
    return EventBatch.of(
        {"time_ms": START_MS, "kind": int(Kind.ITEM), "item_id": [f"i{k}" for k in range(n)], "payload": payload}
    )


def _people(n: int) -> EventBatch:
    payload = [json.dumps({"group": f"g{k % 2}"}) for k in range(n)]
    return EventBatch.of(
        {"time_ms": START_MS, "kind": int(Kind.USER), "user_id": [f"u{k}" for k in range(n)], "payload": payload}
    )
