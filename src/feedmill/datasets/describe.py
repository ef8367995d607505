"""Tables of items and users -> the payloads of ITEM and USER events."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import polars as pl

from feedmill.datasets.columns import Numbers, numbers, text, times
from feedmill.datasets.rows import LIST, Chunk, not_ids
from feedmill.datasets.tables import ItemsTable, UsersTable

_NO = ("0", "false", "no", "f", "n")

Described = tuple[list[str], list[str], dict[int, str]]  # ids, JSON payloads, and the reasons of rows refused


def payload(attributes: dict[str, Any]) -> str:
    """The JSON of an item's or user's attributes, without those that are not known."""
    return orjson.dumps({k: v for k, v in attributes.items() if v is not None and v != []}).decode()


def items_of(chunk: Chunk, table: ItemsTable) -> Described:
    """Ids, payloads and reasons of n rows of the table of items."""
    rows = chunk.columns
    ids = text(rows, table.item).fill_null("")
    refused = not_ids(chunk, {"item_id": table.item, "author": table.author})
    duration = numbers(text(rows, table.duration)) * (1e-3 if table.duration_unit == "ms" else 1.0)
    publish = times(chunk, table.publish, table.publish_unit)
    _refuse(
        refused,
        text(rows, table.duration),
        ~((duration >= 0) & np.isfinite(duration)),
        "duration is not a length",
    )
    _refuse(refused, text(rows, table.publish), ~np.isfinite(publish), "time of publication is not a time")
    columns = {
        "title": text(rows, table.title).to_list(),
        "author_id": text(rows, table.author).to_list(),
        "topics": [_split(t, table.topics_separator) for t in text(rows, table.topics)],
        "duration_s": _optional(duration),
        "publish_ms": [None if v is None else int(v) for v in _optional(publish)],
        "available": [None if v is None else v.lower() not in _NO for v in text(rows, table.available)],
        **{name: text(rows, name).to_list() for name in table.attributes},
    }
    return ids.to_list(), _payloads(columns, len(rows)), refused


def users_of(chunk: Chunk, table: UsersTable) -> Described:
    """Ids, payloads and reasons of n rows of the table of users."""
    rows = chunk.columns
    columns = {name: text(rows, name).to_list() for name in table.attributes}
    ids = text(rows, table.user).fill_null("").to_list()
    return ids, _payloads(columns, len(rows)), not_ids(chunk, {"user_id": table.user})


def item_columns(table: ItemsTable) -> dict[str, str]:
    """Mapping key -> column, of every column the mapping names."""
    keys = ("item", "title", "author", "topics", "duration", "publish", "available")
    named = {key: getattr(table, key) for key in keys if getattr(table, key)}
    return named | {f"attributes[{i}]": name for i, name in enumerate(table.attributes)}


def user_columns(table: UsersTable) -> dict[str, str]:
    """The same for users."""
    return {"user": table.user} | {f"attributes[{i}]": name for i, name in enumerate(table.attributes)}


def _payloads(columns: dict[str, list[Any]], n: int) -> list[str]:
    rows = zip(*columns.values(), strict=True) if columns else ((),) * n
    return [payload(dict(zip(columns, row, strict=True))) for row in rows]


def _refuse(refused: dict[int, str], texts: pl.Series, is_bad: Any, why: str) -> None:
    """What is not there is not known; what is there must make sense."""
    for row in np.flatnonzero(texts.is_not_null().to_numpy() & is_bad).tolist():
        refused.setdefault(row, f"{why}: {texts[row]!r}")


def _optional(values: Numbers) -> list[float | None]:
    return [float(v) if np.isfinite(v) else None for v in values.tolist()]


def _split(topics: str | None, separator: str) -> list[str]:
    if not topics:
        return []
    parts = topics.split(LIST)[1:] if topics.startswith(LIST) else topics.split(separator)
    return [part.strip() for part in parts if part.strip()]
