"""What happened to an audience: by day and person, by day and video, and view by view where that is kept."""

from __future__ import annotations

from dataclasses import dataclass, fields
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Rows, Times
from feedmill.core.events import Kind
from feedmill.sim.config import DAY_MS
from feedmill.sim.views import REACTIONS

ENOUGH = 100  # views after which a new video counts as having had its chance


@dataclass(frozen=True, slots=True, eq=False)
class PersonDays:
    """A row for each person and day on which that person came; sorted by day, then person.

    Attributes:
        day: int32[n] from 0.
        user: int32[n] world rows.
        sessions, pages, views: int32[n].
        seconds: float64[n] watched.
        expected: float64[n] seconds that the world's truth expected of the same views.
        reactions: int32[n, 5] by kind, in the order of ``REACTIONS``.
    """

    day: Rows
    user: Rows
    sessions: Rows
    pages: Rows
    views: Rows
    seconds: NDArray[np.float64]
    expected: NDArray[np.float64]
    reactions: Rows

    def __len__(self) -> int:
        return len(self.day)

    def did(self, kind: Kind) -> Rows:
        """int32[n]: how often each reacted so."""
        return self.reactions[:, REACTIONS.index(kind)]


@dataclass(frozen=True, slots=True, eq=False)
class VideoDays:
    """A row for each video and day on which anybody looked at it; sorted by day, then video.

    Attributes:
        day, item: int32[n].
        views: int32[n].
        seconds, expected: float64[n] as of ``PersonDays``.
    """

    day: Rows
    item: Rows
    views: Rows
    seconds: NDArray[np.float64]
    expected: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.day)


@dataclass(frozen=True, slots=True, eq=False)
class ViewRows:
    """Every view, in the order in which slates were answered; 28 bytes each.

    Attributes:
        day: int16[n].
        ask: int32[n] number of the slate, from 0.
        user, item: int32[n].
        position: uint8[n] slot of the slate.
        time_s: int32[n] since the diary's first midnight.
        seconds, expected: float32[n].
        reactions: uint8[n] bits, as of ``Views``.
    """

    day: NDArray[np.int16]
    ask: Rows
    user: Rows
    item: Rows
    position: NDArray[np.uint8]
    time_s: Rows
    seconds: Floats
    expected: Floats
    reactions: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.day)


@dataclass(frozen=True, slots=True, eq=False)
class Diary:
    """An audience's days with one feed.

    Attributes:
        n_days: how many.
        start_ms: midnight of day 0.
        people, videos: what was added up.
        views: every view, None where that was not kept.
        joined_day: int32[N] the morning on which each person was new, -1 = was there before.
        arrived_day: int32[M] the same of videos.
        born_ms: int64[M] when each video was published.
        enough_ms: int64[M] when each video was looked at for the ``ENOUGH``-th time, -1 = not yet.
    """

    n_days: int
    start_ms: int
    people: PersonDays
    videos: VideoDays
    views: ViewRows | None
    joined_day: Rows
    arrived_day: Rows
    born_ms: Times
    enough_ms: Times

    def age_days(self, item: Rows, day: Rows) -> Rows:
        """int32[n] whole days of age that videos have at midnight of a day."""
        age = (self.start_ms + day.astype(np.int64) * DAY_MS - self.born_ms[item]) // DAY_MS
        whole: Rows = np.maximum(age, 0).astype(np.int32)
        return whole

    def digest(self) -> str:
        """The same for two runs exactly if all their columns are."""
        out = blake2b(f"{self.n_days} {self.start_ms}".encode(), digest_size=16)
        for part in (self.people, self.videos, self.views, self):
            for name, column in columns(part).items():
                out.update(name.encode())
                out.update(np.ascontiguousarray(column).tobytes())
        return out.hexdigest()


def columns(rows: Any) -> dict[str, NDArray[Any]]:
    """Name -> column of a table above; nothing for None."""
    found = {f.name: getattr(rows, f.name) for f in fields(rows)} if rows is not None else {}
    return {name: column for name, column in found.items() if isinstance(column, np.ndarray)}
