"""What items and users are: a fold of ITEM and USER events."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal

import msgspec

from feedmill.core.batches import Floats, Mask, Rows, Times
from feedmill.core.events import Kind
from feedmill.state.arrays import TOPIC_WIDTH, Changes
from feedmill.state.attributes import Attributes, as_text
from feedmill.state.described import Described
from feedmill.state.draft import Draft
from feedmill.state.ids import IdMap
from feedmill.state.tables import Tables

MAX_MS, MAX_S = 2**53, 1e9  # beyond is no time and no duration


class Catalogue:
    """Attributes by row as of the newest event; what nobody has described, row 0 included, is unknown.

    An ITEM event sets the keys it has and leaves the others; ``null`` makes a key unknown again. Keys with a
    meaning are title, author_id, topics (the first ``TOPIC_WIDTH`` distinct ones are kept), duration_s,
    publish_ms, available and deleted; every other key whose value is text, a number or a bool is a categorical
    attribute, and so is every key of a USER event but deleted. ``{"deleted": true}`` takes an item down and
    clears all that was known of it (of a user: clears the attributes); ``{"available": true}`` puts it back.
    What cannot be used never raises: it is ignored and counted.

    Attributes:
        authors: ids of authors by row.
        topic_ids: ids of topics by row.
        titles: by item row; shorter than the items if the last ones have none.
        described: item rows in the order of their ITEM events, for whoever follows the catalogue.
        n_malformed: payloads and values that were ignored.
    """

    def __init__(self, tables: Tables, items: Attributes, users: Attributes) -> None:
        self._tables, self._of_items, self._of_users = tables, items, users
        self.authors, self.topic_ids = IdMap(), IdMap()
        self.titles, self.described = [""], Described()
        self.n_malformed = 0
        self._setters: dict[str, Callable[[Draft, int, Any], bool]] = {
            "title": self._title, "author_id": self._author, "topics": self._topics, "publish_ms": _publish,
            "duration_s": _duration, "available": _available, "deleted": lambda _, __, value: value is False,
        }  # fmt: skip

    def title(self, row: int) -> str:
        """The title of an item row, "" if unknown."""
        return self.titles[row] if 0 <= row < len(self.titles) else ""

    @property
    def author(self) -> Rows:
        """int32[n_items] author rows, 0 = unknown."""
        return self._tables.arrays.author[: self._tables.sizes.items]

    @property
    def last_author(self) -> Rows:
        """int32[n_items] author rows as they were last known: who followed an author through an item goes on to when
        the item is taken down."""
        return self._tables.arrays.last_author[: self._tables.sizes.items]

    @property
    def topics(self) -> Rows:
        """int32[n_items, TOPIC_WIDTH] topic rows, padded with 0."""
        return self._tables.arrays.topics[: self._tables.sizes.items]

    @property
    def publish_ms(self) -> Times:
        """int64[n_items], 0 = unknown."""
        return self._tables.arrays.publish_ms[: self._tables.sizes.items]

    @property
    def duration_s(self) -> Floats:
        """float32[n_items], NaN = unknown."""
        return self._tables.arrays.duration_s[: self._tables.sizes.items]

    @property
    def available(self) -> Mask:
        """bool[n_items]: not taken down. True for items nobody has described, False for row 0."""
        return self._tables.arrays.available[: self._tables.sizes.items]

    @property
    def item_attributes(self) -> tuple[str, ...]:
        """Names of the items' categorical attributes, in order of first appearance."""
        return self._of_items.names

    @property
    def user_attributes(self) -> tuple[str, ...]:
        """Names of the users' attributes: the columns of ``UserColumns.profile``."""
        return self._of_users.names

    def item_codes(self, name: str) -> Rows:
        """int32[n_items] codes of an attribute, 0 = unknown. Raises NotFoundError: no item has it."""
        return self._tables.arrays.item_codes[self._of_items.row(name), : self._tables.sizes.items]

    def item_code(self, name: str, text: str) -> int:
        """The code of a text of an items' attribute; 0 if none has had it."""
        return next((code for _, code in self._of_items.codes({name: text})), 0)

    def user_codes(self, name: str) -> Rows:
        """int32[n_users] codes of an attribute, 0 = unknown. Raises NotFoundError: no user has it."""
        return self._tables.arrays.user_codes[self._of_users.row(name), : self._tables.sizes.users]

    def values(self, name: str, of: Literal["item", "user"] = "item", since: int = 0) -> list[str]:
        """Texts by code of an attribute, from code ``since`` on; code 0 is "". Raises NotFoundError: nothing has it."""
        return (self._of_items if of == "item" else self._of_users).values(name, since)

    def user_text(self, name: str, codes: Rows) -> str:
        """What a user, whose ``UserColumns.profile`` has these codes int32[P], has of an attribute; "" = unknown."""
        if name not in self._of_users.names or (at := self._of_users.row(name)) >= len(codes):
            return ""
        return self._of_users.text(name, int(codes[at]))

    def numbers(self, name: str, of: Literal["item", "user"] = "item") -> Floats:
        """float32 by code of an attribute: ``values`` as numbers, NaN where the text is none. A new code is parsed
        once. Raises NotFoundError: nothing has it."""
        return (self._of_items if of == "item" else self._of_users).numbers(name)

    def decode(
        self, kinds: Iterable[int], items: Iterable[int], users: Iterable[int], payloads: Iterable[str]
    ) -> Changes:
        """What the ITEM and USER events of a batch set, for the kernel to apply in their turn.

        New authors, topics, attributes and values get their rows and codes here, titles are set at once.
        """
        draft, items, kinds = Draft(), list(items), list(kinds)
        self.described.note([item for kind, item in zip(kinds, items, strict=True) if kind == Kind.ITEM and item])
        for kind, item, user, payload in zip(kinds, items, users, payloads, strict=True):
            keys = self._parse(payload)
            draft.begin()
            if kind == Kind.USER:
                self._user(draft, user, keys)
            else:
                self._item(draft, item, keys)
        return draft.changes()

    def _parse(self, payload: str) -> dict[str, Any]:
        try:
            keys = _decode(payload) if payload else {}
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            keys = None
        if isinstance(keys, dict):
            return keys
        self.n_malformed += 1
        return {}

    def _item(self, draft: Draft, row: int, keys: dict[str, Any]) -> None:
        if not row:
            self.n_malformed += 1
        elif keys.get("deleted") is True:
            self._title(draft, row, None)
            draft.take_down()
            draft.codes(self._of_items.clear())
        else:
            for key, value in keys.items():
                setter = self._setters.get(key)
                is_used = setter(draft, row, value) if setter else self._code(draft, self._of_items, key, value)
                self.n_malformed += not is_used

    def _user(self, draft: Draft, row: int, keys: dict[str, Any]) -> None:
        if not row:  # of a forgotten user: what is left are names and values that others have, or that hold a place
            self.n_malformed += 1
            for key, value in keys.items():
                if key != "deleted":
                    self._of_users.write(key, value)
        elif keys.get("deleted") is True:
            draft.codes(self._of_users.clear())
        else:
            for key, value in keys.items():
                self.n_malformed += not (
                    value is False if key == "deleted" else self._code(draft, self._of_users, key, value)
                )

    def _code(self, draft: Draft, of: Attributes, name: str, value: Any) -> bool:
        write = of.write(name, value)
        if write is not None:
            draft.codes((write,))
        return write is not None

    def _title(self, draft: Draft, row: int, value: Any) -> bool:
        text = "" if value is None else as_text(value)
        if text is None:
            return False
        if row >= len(self.titles):
            self.titles.extend([""] * (row + 1 - len(self.titles)))
        self.titles[row] = text
        return True

    def _author(self, draft: Draft, row: int, value: Any) -> bool:
        text = "" if value is None else as_text(value)
        if text is not None:
            draft.author(self.authors.add(text))
        return text is not None

    def _topics(self, draft: Draft, row: int, value: Any) -> bool:
        if value is not None and not isinstance(value, list):
            return False
        texts = [as_text(topic) for topic in value or ()]
        kept = list(dict.fromkeys(text for text in texts if text))[:TOPIC_WIDTH]
        draft.topics([self.topic_ids.add(text) for text in kept])
        return None not in texts


def _publish(draft: Draft, row: int, value: Any) -> bool:
    if value is not None and not (_is_number(value) and abs(value) < MAX_MS):
        return False
    draft.publish_ms(int(value or 0))
    return True


def _duration(draft: Draft, row: int, value: Any) -> bool:
    if value is not None and not (_is_number(value) and 0 <= value < MAX_S):
        return False
    draft.duration_s(math.nan if value is None else float(value))
    return True


def _available(draft: Draft, row: int, value: Any) -> bool:
    if value is not None and not isinstance(value, bool):
        return False
    draft.available(value is not False)
    return True


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_decode = msgspec.json.Decoder().decode
