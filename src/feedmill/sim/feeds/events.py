"""What people did with a slate, as the events that a client of the service would send."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from feedmill.core.batches import Rows
from feedmill.core.events import EventBatch, Kind
from feedmill.sim.feeds.catalogue import Catalogue
from feedmill.sim.views import REACTIONS, Asks, Slates, Views

CLICK_S = 3.0  # who watches less has swiped past: that the video was shown is all there is to report
_REACTED = np.array([int(kind) for kind in REACTIONS], np.int8)


class Known:
    """Who a service has been told of: the ids behind a world's rows, which count in order of first description.

    Attributes:
        users: ids by world row.
        videos: the same of videos, and how long they are.
    """

    def __init__(self) -> None:
        self.users: list[str] = []
        self.videos = Catalogue()
        self._users: dict[str, int] = {}
        self._videos: dict[str, int] = {}
        self._asked = 0

    def take(self, events: EventBatch) -> None:
        """Remember USER and ITEM events."""
        self.videos.take(events)
        self._videos = {item: row for row, item in enumerate(self.videos.ids)}
        of_users = events.table.filter(pc.equal(events.table.column("kind"), int(Kind.USER)))
        for user in of_users.column("user_id").to_pylist():
            self._users.setdefault(user, len(self._users))
        self.users = list(self._users)

    def rows(self, item_ids: Sequence[str]) -> list[int]:
        """World rows of items, -1 for those that nobody described."""
        return [self._videos.get(item, -1) for item in item_ids]

    def request_ids(self, n: int, seed: int) -> list[str]:
        """Ids for n more requests: the same in every run with the same seed, and what chance there is in serving."""
        first, self._asked = self._asked, self._asked + n
        numbered = (f"{seed}:{first + i}".encode() for i in range(n))
        return [hashlib.blake2b(number, digest_size=10, person=b"sim request").hexdigest() for number in numbered]


def feedback(asks: Asks, slates: Slates, views: Views, known: Known) -> EventBatch:
    """CLICK and WATCH with its seconds where a view lasted, FINISH where it reached the end, and the reactions, each
    when it happened and in order of time.

    Args:
        slates: with their request ids.
    """
    if not len(views):
        return EventBatch.empty()
    ends_ms = views.time_ms + (views.seconds * 1e3).astype(np.int64)
    lasted = views.seconds >= CLICK_S
    groups = [
        _group(Kind.CLICK, np.flatnonzero(lasted), views.time_ms + int(CLICK_S * 1e3)),
        _group(Kind.WATCH, np.flatnonzero(lasted), ends_ms),
        _group(Kind.FINISH, np.flatnonzero(views.seconds >= known.videos.duration_s[views.item]), ends_ms),
        *(_group(kind, np.flatnonzero(views.did(kind)), ends_ms) for kind in REACTIONS),
    ]
    row, kind, time_ms = (np.concatenate(column) for column in zip(*groups, strict=True))
    order = np.argsort(time_ms, kind="stable")
    row, kind, time_ms = row[order], kind[order], time_ms[order]
    users, items = np.array(known.users, object), np.array(known.videos.ids, object)
    requests = np.array(slates.request_id or [""] * len(asks), object)
    return EventBatch.of(
        {
            "time_ms": time_ms,
            "kind": kind,
            "user_id": users[views.user[row]],
            "item_id": items[views.item[row]],
            "value": np.where(kind == Kind.WATCH, views.seconds[row], np.float32(1)).astype(np.float32),
            "request_id": requests[views.ask[row]],
            "position": views.position[row].astype(np.int16),
        }
    )


def _group(
    kind: Kind, rows: NDArray[np.intp], time_ms: NDArray[np.int64]
) -> tuple[NDArray[np.intp], NDArray[np.int8], NDArray[np.int64]]:
    return rows, np.full(len(rows), int(kind), np.int8), time_ms[rows]


def padded(rows: Sequence[Rows | Sequence[int]], width: int) -> Rows:
    """int32[B, width], each row filled up with -1."""
    out = np.full((len(rows), width), -1, np.int32)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row[:width]
    return out
