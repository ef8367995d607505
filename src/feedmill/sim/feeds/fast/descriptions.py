"""What ITEM and USER events say of people and videos, as columns that models can read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import numpy as np
import orjson
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Rows, Times
from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch, Kind

T = TypeVar("T", bound=np.generic)
N_TOPICS, N_LABELS = 3, 8  # of a video; further topics and attributes are not read
NOTHING = 0  # label of no topic or attribute
NONE = -1  # no author
TEXTS = ("title", "title_zh")  # words, not attributes
APART = ("author_id", "topics", "duration_s", "publish_ms", "available", "deleted", *TEXTS)


def grown(array: NDArray[T], n: int, fill: Any = 0) -> NDArray[T]:
    """The array if it has n rows, else a copy with room for more, new rows filled."""
    if len(array) >= n:
        return array
    new = np.full((max(n, 2 * len(array), 16), *array.shape[1:]), fill, array.dtype)
    new[: len(array)] = array
    return new


class Described:
    """Rows of one kind of entity in the order in which events first name them, and the codes of what they are.

    A code stands for "field = value" (``city = Lyon``, ``topic = cats``); codes count from 0 as they are met.

    Attributes:
        row_of: id -> row.
        codes: of each row.
    """

    def __init__(self) -> None:
        self.row_of: dict[str, int] = {}
        self.codes: list[list[int]] = []
        self._code_of: dict[tuple[str, str], int] = {}

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def n_codes(self) -> int:
        """Codes met so far."""
        return len(self._code_of)

    def row(self, name: str) -> int:
        """The row of an id, a new one if need be."""
        row = self.row_of.setdefault(name, len(self.codes))
        if row == len(self.codes):
            self.codes.append([])
        return row

    def code(self, field: str, value: str) -> int:
        """The code of "field = value"."""
        return self._code_of.setdefault((field, value), len(self._code_of))

    def columns(self, is_used: bool = True) -> tuple[Rows, Rows]:
        """int32[N + 1] and int32[n]: row r is ``codes[start[r]:start[r + 1]]``; nobody is anything if not used."""
        lists = self.codes if is_used else [[]] * len(self.codes)
        start = np.zeros(len(lists) + 1, np.int32)
        np.cumsum([len(codes) for codes in lists], out=start[1:])
        return start, np.array([code for codes in lists for code in codes], np.int32)


class Descriptions:
    """People and videos as they were last described. An id's row is its place in the order of first description, which
    is the world's order; describing again changes what is known and never the row.

    Two ways to say what a video is. ``items.codes`` has everything, the author and the duration among it: what it
    shares with others. ``labels`` are its topics and plain attributes (language, city), few enough that each
    person may have a taste for each.

    Attributes:
        users, items: their attributes as codes.
        duration_s: float32[room], NaN = unknown.
        author: int32[room], ``NONE`` = unknown.
        labels: int32[room, 8], topics first (3) and then a column for each attribute; ``NOTHING`` = none.
        publish_ms: int64[room], 0 = unknown.
        is_on: bool[room], False = taken down.
        n_labels: labels met so far, ``NOTHING`` among them.
    """

    def __init__(self) -> None:
        self.users, self.items = Described(), Described()
        self.duration_s: Floats = np.full(16, np.nan, np.float32)
        self.author: Rows = np.full(16, NONE, np.int32)
        self.labels: Rows = np.full((16, N_LABELS), NOTHING, np.int32)
        self.publish_ms: Times = np.zeros(16, np.int64)
        self.is_on: NDArray[np.bool_] = np.zeros(16, np.bool_)
        self._label_of: dict[int, int] = {}
        self._column_of: dict[str, int] = {}

    @property
    def n_labels(self) -> int:
        """Labels met so far, ``NOTHING`` among them."""
        return len(self._label_of) + 1

    def describe(self, events: EventBatch) -> None:
        """Read USER and ITEM events; others are passed over.

        Raises:
            DataError: a payload that is no JSON object.
        """
        kinds, payloads = events.numpy("kind"), events.table.column("payload").to_pylist()
        users, items = events.table.column("user_id").to_pylist(), events.table.column("item_id").to_pylist()
        for kind, user, item, payload in zip(kinds.tolist(), users, items, payloads, strict=True):
            if kind == Kind.USER:
                row, what = self.users.row(user), attributes(user, payload)
                self.users.codes[row] = [self.users.code(field, value) for field, value in plain(what)]
            elif kind == Kind.ITEM:
                self._item(self.items.row(item), attributes(item, payload))

    def _item(self, row: int, what: Mapping[str, Any]) -> None:
        n = row + 1
        self.duration_s, self.author = grown(self.duration_s, n, np.nan), grown(self.author, n, NONE)
        self.labels, self.publish_ms = grown(self.labels, n, NOTHING), grown(self.publish_ms, n)
        self.is_on = grown(self.is_on, n)
        self.is_on[row] = what.get("available") is not False and what.get("deleted") is not True
        if what.get("deleted") is not True:
            self._attributes(row, what)

    def _attributes(self, row: int, what: Mapping[str, Any]) -> None:
        code = self.items.code
        topics = [code("topic", str(topic)) for topic in (what.get("topics") or ())[:N_TOPICS]]
        others = {field: code(field, value) for field, value in plain(what)}
        self.items.codes[row] = [*topics, *others.values()]
        self.labels[row] = NOTHING
        self.labels[row, : len(topics)] = [self._label(topic) for topic in topics]
        for field, other in others.items():
            column = self._column_of.setdefault(field, N_TOPICS + len(self._column_of))
            if column < N_LABELS:
                self.labels[row, column] = self._label(other)
        seconds, author = what.get("duration_s"), what.get("author_id")
        self.duration_s[row] = np.nan if seconds is None else seconds
        self.author[row] = NONE if author is None else code("author", str(author))
        if author is not None:
            self.items.codes[row].append(int(self.author[row]))
        if seconds is not None and seconds > 0:
            self.items.codes[row].append(code("duration", str(round(2 * float(np.log2(seconds))))))
        self.publish_ms[row] = what.get("publish_ms") or 0

    def _label(self, code: int) -> int:
        return self._label_of.setdefault(code, len(self._label_of) + 1)


def attributes(name: str, payload: str) -> Mapping[str, Any]:
    """The payload of a describing event.

    Raises:
        DataError: it is no JSON object.
    """
    try:
        what = orjson.loads(payload or "{}")
    except orjson.JSONDecodeError:
        what = None
    if not isinstance(what, dict):
        raise DataError(
            f"{name} is described by {payload!r}", "a JSON object of attributes", "see docs of USER and ITEM"
        )
    return what


def plain(what: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """The attributes that are words (language, city, …) with their values; numbers are no categories."""
    return ((field, value) for field, value in what.items() if field not in APART and isinstance(value, str))
