"""Small logs that several tests start from."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from feedmill.core.clock import rng
from feedmill.core.events import EventBatch, Kind

DAY_MS = 86_400_000
START_MS = 1_700_000_000_000


def click(time_ms: int, user: str, item: str, kind: Kind = Kind.CLICK, **more: Any) -> dict[str, Any]:
    return {"time_ms": time_ms, "kind": kind, "user_id": user, "item_id": item, **more}


def catalogue(n_items: int, n_topics: int = 4) -> EventBatch:
    """Items i1…, item k of topic t(k mod n_topics) by author a(k mod 5); a title, a length, a birthday."""
    return EventBatch.of(
        {
            "time_ms": START_MS,
            "kind": int(Kind.ITEM),
            "item_id": [f"i{k}" for k in range(1, n_items + 1)],
            "payload": [
                json.dumps(
                    {
                        "title": f"Title {k}",
                        "topics": [f"t{k % n_topics}"],
                        "author_id": f"a{k % 5}",
                        "duration_s": 10.0 + k,
                        "publish_ms": START_MS - k * DAY_MS,
                    }
                )
                for k in range(1, n_items + 1)
            ],
        }
    )


def people(n_users: int) -> EventBatch:
    """Users u1…, half of them of each of two groups."""
    return EventBatch.of(
        {
            "time_ms": START_MS,
            "kind": int(Kind.USER),
            "user_id": [f"u{k}" for k in range(1, n_users + 1)],
            "payload": [json.dumps({"group": "even" if k % 2 == 0 else "odd"}) for k in range(1, n_users + 1)],
        }
    )


def tastes(n_users: int = 40, n_items: int = 60, n_each: int = 12, seed: int = 0) -> EventBatch:
    """A log in which even users click even items and odd users odd ones, in random order; every other click a like."""
    random = rng(seed, "tastes")
    rows = []
    for k in range(1, n_users + 1):
        own = np.arange(2 - k % 2, n_items + 1, 2)
        for j, item in enumerate(random.choice(own, n_each, replace=False)):
            at = START_MS + int(random.integers(0, 20 * DAY_MS))
            rows.append(click(at, f"u{k}", f"i{item}", value=4.0))
            if j % 2 == 0:
                rows.append(click(at, f"u{k}", f"i{item}", Kind.LIKE))
    rows.sort(key=lambda r: (r["time_ms"], r["user_id"], r["item_id"], int(r["kind"])))
    return EventBatch.concat([catalogue(n_items), people(n_users), EventBatch.rows(rows)])
