"""What a log says of some people: where their events are, and which of their words nobody else has used.

A word is a query, or a value of a user's attribute. Words have rows and codes in order of first appearance, and models
know them by these, so a word that such people used first must keep its place when they are forgotten.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from feedmill.core.events import FORGOTTEN, EventBatch, Kind
from feedmill.core.protocols import EventLog
from feedmill.state.attributes import as_text
from feedmill.state.prepare import query_texts

CHUNK = 262_144
QUERY, VALUE = "query", "user."  # tables of words: queries, and "user.NAME" the values of an attribute
Word = tuple[str, str]  # table, text


class Found:
    """Filled by reading a log once or twice.

    Attributes:
        first: offset of the first event of each person that has any.
        offsets: of all their events, ascending.
        event_ids: theirs.
        words: the words they used -> offset of their first use.
        shared: those of them that others use as well -> offset of the others' first use.
    """

    def __init__(self, user_ids: Collection[str]) -> None:
        self._ids = pa.array(sorted(user_ids), pa.string())
        self.first: dict[str, int] = {}
        self.offsets: list[int] = []
        self.event_ids: list[str] = []
        self.words: dict[Word, int] = {}
        self.shared: dict[Word, int] = {}

    def search(self, log: EventLog) -> None:
        """Read the whole log; twice if they used words.

        Raises:
            LogError: it cannot be read.
        """
        for offset, batch in _chunks(log):
            self._mine(offset, batch)
        if self.words:
            for offset, batch in _chunks(log):
                self._others(offset, batch)

    def _mine(self, offset: int, batch: EventBatch) -> None:
        mine = np.flatnonzero(self.is_theirs(batch))
        if not len(mine):
            return
        events = batch.take(mine)
        self.offsets += (offset + mine).tolist()
        self.event_ids += [i for i in events.table.column("event_id").to_pylist() if i]
        for k, user_id in zip(mine.tolist(), events.table.column("user_id").to_pylist(), strict=True):
            self.first.setdefault(user_id, offset + k)
        for k, word in words(events):
            self.words.setdefault(word, offset + int(mine[k]))

    def _others(self, offset: int, batch: EventBatch) -> None:
        kind = batch.numpy("kind")
        said = np.flatnonzero(((kind == Kind.USER) | (kind == Kind.SEARCH)) & ~self.is_theirs(batch))
        for k, word in words(batch.take(said)):
            if word in self.words:
                self.shared.setdefault(word, offset + int(said[k]))

    def is_theirs(self, batch: EventBatch) -> NDArray[np.bool_]:
        """bool[n]"""
        mask = pc.is_in(batch.table.column("user_id"), value_set=self._ids)
        return np.asarray(mask.to_numpy(zero_copy_only=False), np.bool_)


class Replaced:
    """Their events as they stand in the log from now on.

    Args:
        aliases: person -> who their first event is of; the others are nobody's.
        tombstones: word that nobody else has -> what stands in its place.
        token: a new random word.

    Attributes:
        requests: request ids that named somebody -> what stands in their place.
    """

    def __init__(
        self, found: Found, aliases: dict[str, str], tombstones: dict[Word, str], token: Callable[[], str]
    ) -> None:
        self._found, self._aliases, self._tombstones, self._token = found, aliases, tombstones, token
        self.requests: dict[str, str] = {}

    def __call__(self, batch: EventBatch, offsets: NDArray[np.int64]) -> EventBatch:
        """A whole micro-batch, and the offsets of its events."""
        mine = np.flatnonzero(self._found.is_theirs(batch))
        rows = batch.take(mine).table.to_pylist()
        new = [self._event(row, offset) for row, offset in zip(rows, offsets[mine].tolist(), strict=True)]
        order = np.arange(len(batch))
        order[mine] = len(batch) + np.arange(len(mine))
        both = EventBatch.concat([batch, EventBatch(pa.RecordBatch.from_pylist(new, batch.table.schema))])
        return both.take(order)

    def _event(self, event: dict[str, Any], offset: int) -> dict[str, Any]:
        user_id = event["user_id"]
        is_first = self._found.first[user_id] == offset
        new = {**event, "user_id": self._aliases[user_id] if is_first else "", "event_id": ""}
        if is_named(user_id, event["request_id"]):  # an id made of another
            new["request_id"] = self.requests.setdefault(event["request_id"], self._token())
        if event["kind"] == Kind.SEARCH:
            new["payload"] = self._word((QUERY, _query(event["payload"])), offset) or ""
        elif event["kind"] == Kind.USER:
            new["payload"] = self._described(event["payload"], offset)
        elif event["kind"] == Kind.IMPRESSION:  # what the feed itself said of the request: version, offset, arms
            new["payload"] = "" if is_named(user_id, event["payload"]) else event["payload"]
        elif event["kind"] != Kind.ITEM:  # which says what an item is, not who told
            new["payload"] = ""
        return new

    def _described(self, payload: str, offset: int) -> str:
        said = {name: self._word((VALUE + name, text), offset) for name, text in _values(payload)}
        return msgspec.json.encode(said).decode() if said else ""

    def _word(self, word: Word, offset: int) -> str | None:
        """What holds a word's place here; None if it has its place elsewhere."""
        if self._found.words.get(word) != offset or self._found.shared.get(word, offset + 1) < offset:
            return None
        return self._tombstones.get(word, word[1])


def words(events: EventBatch) -> Iterator[tuple[int, Word]]:
    """(position, word) of what USER and SEARCH events say."""
    kind, payload = events.numpy("kind"), events.table.column("payload")
    for k in np.flatnonzero(kind == Kind.SEARCH).tolist():
        if text := _query(payload[k].as_py()):
            yield k, (QUERY, text)
    for k in np.flatnonzero(kind == Kind.USER).tolist():
        yield from ((k, (VALUE + name, text)) for name, text in _values(payload[k].as_py()) if text)


def is_named(user_id: str, text: str) -> bool:
    """Whether a text has an id in it as a word of its own: "7" is in "u-7" and not in "17"."""
    return user_id in text and re.search(rf"(?<![^\W_]){re.escape(user_id)}(?![^\W_])", text) is not None


def is_replaced(event: EventBatch) -> bool:
    """Whether one event may be of somebody who was forgotten."""
    user_id: str = event.table.column("user_id")[0].as_py()
    return not user_id or user_id.startswith(FORGOTTEN)


def _query(payload: str) -> str:
    text: str = query_texts(pa.array([payload]))[0].as_py()
    return text


def _values(payload: str) -> Iterator[tuple[str, str]]:
    """Attribute and text, "" for null, of what the state takes for an attribute."""
    try:
        keys = msgspec.json.decode(payload) if payload else {}
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return
    for name, value in keys.items() if isinstance(keys, dict) else ():
        text = as_text(value)
        if name != "deleted" and (text is not None or value is None):
            yield name, text or ""


def _chunks(log: EventLog) -> Iterator[tuple[int, EventBatch]]:
    offset, end = log.start, log.end
    while offset < end:
        batch, after = log.read(offset, CHUNK)
        yield offset, batch
        offset = after
