"""What items are, as of each event: versions in log order, so that no event is read with what was said after it."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import polars as pl

from feedmill.metrics.rollup.columns import SCHEMAS, empty

_MAX_MS, _MAX_S = 2**53, 1e9  # beyond is no time and no length
_decode = msgspec.json.Decoder().decode


class Version(NamedTuple):
    """What is known of an item; None = unknown."""

    author_id: str | None = None
    topic: str | None = None  # the first
    duration_s: float | None = None
    publish_ms: int | None = None


def described(events: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """The versions that ITEM events make, in log order: one for the first and one for each that changes something.

    An event sets the keys it has and leaves the others, as in the state; what cannot be used is left too. An item
    that is taken down keeps what was known of it: what has happened to it has.

    Args:
        events: item_id, offset, payload of ITEM events.
        known: versions before them.
    """
    if events.is_empty():
        return empty("items")
    before = known.filter(pl.col("item_id").is_in(events["item_id"].unique().implode()))
    fields = Version._fields
    now = {row[0]: Version(*row[1:]) for row in before.select("item_id", *fields).iter_rows()}
    rows = []
    for item, offset, payload in events.select("item_id", "offset", "payload").iter_rows():
        old = now.get(item)
        new = _after(old or Version(), payload)
        if new != old:
            now[item] = new
            rows.append((item, offset, old is None, *new))
    return pl.DataFrame(rows, schema=SCHEMAS["items"], orient="row")


def as_of(events: pl.DataFrame, versions: pl.DataFrame) -> pl.DataFrame:
    """Events with what was known of their items; both in log order."""
    of = versions.drop("is_first")
    return events.join_asof(of, on="offset", by="item_id", strategy="backward", check_sortedness=False)


def _after(old: Version, payload: str) -> Version:
    try:
        keys: Any = _decode(payload) if payload else {}
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return old
    if not isinstance(keys, dict) or keys.get("deleted") is True:
        return old
    found = {name: read(keys[key]) for key, (name, read) in _READ.items() if key in keys}
    return old._replace(**{name: value for name, value in found.items() if value is not _BAD})


_BAD: Any = object()


def _text(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int | float | None):
        return _BAD
    return str(value) if value is not None and value != "" else None


def _topic(value: Any) -> Any:
    if value is None:
        return None
    texts = [_text(topic) for topic in value] if isinstance(value, list) else [_BAD]
    return next((text for text in texts if text is not None and text is not _BAD), None if not texts else texts[0])


def _number(value: Any) -> Any:
    if value is None:
        return None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else _BAD


def _duration(value: Any) -> Any:
    x = _number(value)
    return x if x is None or x is _BAD else float(x) if 0 < x < _MAX_S else None


def _publish(value: Any) -> Any:
    x = _number(value)
    return x if x is None or x is _BAD else int(x) if 0 < x < _MAX_MS else None


_READ = {
    "author_id": ("author_id", _text),
    "topics": ("topic", _topic),
    "duration_s": ("duration_s", _duration),
    "publish_ms": ("publish_ms", _publish),
}
