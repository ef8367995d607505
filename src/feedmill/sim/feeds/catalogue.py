"""What a feed has been told of: videos by world row, whether they may be shown, how long they are."""

from __future__ import annotations

import msgspec
import numpy as np
import pyarrow.compute as pc

from feedmill.core.batches import Floats, Mask, Rows
from feedmill.core.events import EventBatch, Kind


class _About(msgspec.Struct):
    """Of an ITEM event's attributes, what is needed here."""

    duration_s: float | None = None
    deleted: bool = False
    available: bool | None = None


_about = msgspec.json.Decoder(_About)


class Catalogue:
    """Videos in the order in which they were first described, which is that of the world's rows.

    Attributes:
        ids: of each video.
        duration_s: float32[M], NaN where unknown.
        is_on: bool[M] may be shown.
        on: int32[n] rows of those, ascending.
    """

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.duration_s: Floats = np.zeros(0, np.float32)
        self.is_on: Mask = np.zeros(0, np.bool_)
        self.on: Rows = np.zeros(0, np.int32)
        self._row: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, events: EventBatch) -> None:
        """ITEM events: a video never heard of gets the next row, one that is known changes."""
        table = events.table.filter(pc.equal(events.table.column("kind"), int(Kind.ITEM)))
        ids, payloads = table.column("item_id").to_pylist(), table.column("payload").to_pylist()
        if not ids:
            return
        rows = np.array([self._row.setdefault(i, len(self._row)) for i in ids], np.int32)
        about = [_about.decode(payload or "{}") for payload in payloads]
        self.ids = list(self._row)
        n_new = len(self.ids) - len(self.is_on)
        self.is_on = np.concatenate([self.is_on, np.ones(n_new, np.bool_)])
        self.duration_s = np.concatenate([self.duration_s, np.full(n_new, np.nan, np.float32)])
        for row, said in zip(rows.tolist(), about, strict=True):
            self.is_on[row] = not said.deleted and said.available is not False
            if said.duration_s is not None:
                self.duration_s[row] = said.duration_s
        self.on = np.flatnonzero(self.is_on).astype(np.int32)

    def long_views(self, item: Rows, seconds: Floats, long_s: float) -> Mask:
        """bool[n]: watched for ``long_s`` seconds, or to the end of what is shorter."""
        enough: Mask = seconds >= np.fmin(self.duration_s[item], np.float32(long_s))
        return enough
