"""A planted audience: how much everybody likes everything is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audiences import START_MS
from feedmill.core.events import EventBatch, Kind
from feedmill.sim.views import Asks, Slates, Views

N_USERS, N_ITEMS, N_TOPICS = 60, 240, 6
HALF_MS = 1_800_000


def described(n_users: int = N_USERS, n_items: int = N_ITEMS, n_topics: int = N_TOPICS) -> EventBatch:
    """Item i is of topic i mod ``n_topics``, by author i // 4, 20 or 80 seconds long, and was published before."""
    rows = [{"kind": int(Kind.USER), "user_id": f"u{u}", "payload": '{"city": "Lyon"}'} for u in range(n_users)]
    for i in range(n_items):
        topics = f'["t{i % n_topics}"]' if n_topics else "[]"
        said = f'{{"topics": {topics}, "author_id": "a{i // 4}", "duration_s": {20 if i % 4 < 2 else 80}, '
        said += f'"publish_ms": {START_MS - 86_400_000 * (i % 5)}}}'
        rows.append({"kind": int(Kind.ITEM), "item_id": f"v{i}", "payload": said})
    return EventBatch.rows(rows)


def liking(seed: int) -> NDArray[np.float64]:
    """float64[N_USERS, N_ITEMS]: taste for the topic, plus the quality of the video."""
    random = np.random.default_rng(seed)
    taste, quality = random.normal(size=(N_USERS, N_TOPICS)) / 2, random.normal(0, 0.4, N_ITEMS)
    return taste[:, np.arange(N_ITEMS) % N_TOPICS] + quality


def watched(truth: NDArray[np.float64], seed: int, n: int, last_item: int = N_ITEMS) -> Views:
    """n views of chance, one for each ask, half an hour apart for a person: ln(1 + s) = 2 + liking + noise, and the
    longer ones 1 more."""
    random = np.random.default_rng(seed)
    user, item = random.integers(0, len(truth), n), random.integers(0, last_item, n)
    y = 2 + truth[user, item] + (item % 4 >= 2) + random.normal(0, 0.5, n)
    time_ms = START_MS + np.arange(n) * np.int64(HALF_MS // len(truth))
    columns = (x.astype(np.int32) for x in (np.arange(n), user, item, np.zeros(n)))
    return Views(*columns, time_ms, np.expm1(np.maximum(y, 0)).astype(np.float32), np.zeros(n, np.uint8))


def asks_of(user: list[int], time_ms: int = START_MS) -> Asks:
    """At one moment."""
    n = len(user)
    return Asks(np.array(user, np.int32), np.full(n, time_ms, np.int64), np.zeros(n, np.int32))


NOBODY, NO_SLATES = asks_of([]), Slates(np.zeros((0, 1), np.int32))
