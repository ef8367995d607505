"""What goes back and forth between an audience and a feed, as columns of world rows.

Rows count from 0 and are the world's own (``World.users.ids[row]`` is the id that everybody else knows).
Shapes: B slates asked for at one moment, K slots of a slate, n slots that people looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Rows, Times
from feedmill.core.events import Kind

NOTHING = -1  # in a slate: a slot without an item
REACTIONS = (Kind.LIKE, Kind.SHARE, Kind.COMMENT, Kind.FOLLOW, Kind.DISLIKE)
"""What people may do with a video beside watching it, in the order of the bits of ``Views.reactions``."""


@dataclass(frozen=True, slots=True, eq=False)
class Asks:
    """B people who want a slate now, in order of time.

    Attributes:
        user: int32[B] world rows, each at most once.
        time_ms: int64[B] ascending.
        page: int32[B] pages that the session has had before.
    """

    user: Rows
    time_ms: Times
    page: Rows

    def __len__(self) -> int:
        return len(self.user)

    def take(self, rows: NDArray[np.generic]) -> Asks:
        """Some of them, by rows or a mask."""
        return Asks(self.user[rows], self.time_ms[rows], self.page[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Slates:
    """What a feed answers to ``Asks``.

    Attributes:
        item: int32[B, K] world rows of different items, best first, then ``NOTHING``.
        request_id: of each slate; empty for a feed that keeps no log.
    """

    item: Rows
    request_id: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.item)


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """The n slots that people looked at, and what they did, in order of ask and then of slot. Nothing here is hidden
    from a real log: a feed may learn from all of it.

    Attributes:
        ask: int32[n] row of ``Asks`` and ``Slates``.
        user, item: int32[n] world rows.
        position: int32[n] slot, from 0.
        time_ms: int64[n] when the video began.
        seconds: float32[n] watched, replays counted.
        reactions: uint8[n] bit b = ``REACTIONS[b]``.
    """

    ask: Rows
    user: Rows
    item: Rows
    position: Rows
    time_ms: Times
    seconds: Floats
    reactions: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.user)

    def did(self, kind: Kind) -> NDArray[np.bool_]:
        """bool[n]: where people reacted so."""
        return (self.reactions >> REACTIONS.index(kind)) & 1 > 0
