"""A log with planted tastes: enough items that 2,000 candidates are a choice among them."""

from __future__ import annotations

import json

import numpy as np

from feedmill.core.clock import rng
from feedmill.core.events import EventBatch, Kind

N_TOPICS, N_AUTHORS, N_LATENT = 40, 1500, 8
START_MS, DAY_MS, N_DAYS = 1_700_000_000_000, 86_400_000, 30


def world(n_users: int, n_items: int, n_each: int, seed: int = 0) -> EventBatch:
    """Users click by their taste in topics, in authors, in something nobody sees, and by an item's quality.

    A click is the choice of a user at a moment (Gumbel noise on what they think of every item); the better half of
    what they click they like. Items have topics, an author, a length and a birthday; users an age group, which says
    something of their taste.
    """
    random = rng(seed, "ranking world")
    topic = random.integers(0, N_TOPICS, (n_items, 2))
    author = random.integers(0, N_AUTHORS, n_items)
    quality = random.normal(size=n_items)
    hidden = random.normal(size=(n_items, N_LATENT)) / np.sqrt(N_LATENT)
    group = random.integers(0, 5, n_users)
    by_group = random.normal(size=(5, N_TOPICS))
    taste = random.normal(size=(n_users, N_TOPICS)) + by_group[group]
    wish = 1.5 * random.normal(size=(n_users, N_LATENT))
    chosen, liked = np.zeros((n_users, n_each), np.int64), np.zeros((n_users, n_each), bool)
    for u in range(n_users):
        value = 1.2 * taste[u, topic].mean(axis=1) + hidden @ wish[u] + 0.8 * quality
        noisy = value + random.gumbel(size=n_items)
        best = np.argpartition(-noisy, n_each)[:n_each]
        chosen[u] = best[random.permutation(n_each)]
        liked[u] = value[chosen[u]] > np.median(value[chosen[u]])
    described = EventBatch.of(
        {
            "kind": int(Kind.ITEM), "time_ms": START_MS, "item_id": [f"i{i}" for i in range(n_items)],
            "payload": [
                json.dumps({"topics": [f"t{t}" for t in dict.fromkeys(pair)], "author_id": f"a{a}", "duration_s": d,
                            "publish_ms": START_MS - day * DAY_MS})
                for pair, a, d, day in zip(topic.tolist(), author.tolist(), random.integers(5, 300, n_items).tolist(),
                                           random.integers(0, 300, n_items).tolist(), strict=True)
            ],
        }
    )  # fmt: skip
    people = EventBatch.of(
        {
            "kind": int(Kind.USER), "time_ms": START_MS, "user_id": [f"u{u}" for u in range(n_users)],
            "payload": [json.dumps({"group": f"g{g}"}) for g in group.tolist()],
        }
    )  # fmt: skip
    return EventBatch.concat([described, people, _feedback(chosen, liked, random)])


def _feedback(chosen: np.ndarray, liked: np.ndarray, random: np.random.Generator) -> EventBatch:
    """Clicks spread over the days, and a like right after those that are liked."""
    n_users, n_each = chosen.shape
    time_ms = START_MS + random.integers(0, N_DAYS * DAY_MS, chosen.size)
    user = np.repeat(np.arange(n_users), n_each)
    kind = np.full(chosen.size, int(Kind.CLICK))
    columns = [(time_ms, user, chosen.ravel(), kind)]
    at = np.flatnonzero(liked.ravel())
    columns.append((time_ms[at] + 1000, user[at], chosen.ravel()[at], np.full(len(at), int(Kind.LIKE))))
    t, u, i, k = (np.concatenate(c) for c in zip(*columns, strict=True))
    order = np.lexsort((k, t))
    return EventBatch.of(
        {
            "kind": k[order], "time_ms": t[order], "user_id": [f"u{x}" for x in u[order].tolist()],
            "item_id": [f"i{x}" for x in i[order].tolist()],
        }
    )  # fmt: skip
