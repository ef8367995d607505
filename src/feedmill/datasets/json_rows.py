"""JSON lines: an object a line."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl

from feedmill.datasets.rows import CHUNK_ROWS, LIST, Chunk, Malformed, Was

_WAS: dict[type, Was] = {list: "a list", dict: "an object", bool: "true or false"}


def read(path: Path, malformed: Malformed) -> Iterator[Chunk]:
    """The objects of a file; a chunk has the columns that its objects have. Other lines are malformed."""
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        numbered = enumerate(file, start=1)
        while some := list(islice(numbered, CHUNK_ROWS)):
            lines, rows = [], []
            for line, text in some:
                row, problem = _row(text)
                if problem:
                    malformed(line, problem, text.decode("utf-8", "backslashreplace").rstrip("\r\n"))
                elif row is not None:
                    lines.append(line)
                    rows.append(row)
            if rows:
                yield _chunk(rows, lines)


def as_text(value: Any) -> str | None:
    """A JSON value as a CSV would have it; a whole number without ".0", a list with ``LIST`` before each value."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, list):
        return "".join(LIST + (as_text(v) or "") for v in value)
    return orjson.dumps(value, default=str).decode()


def _row(line: bytes) -> tuple[dict[str, Any] | None, str]:
    if not line.strip():
        return None, ""
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as e:
        return None, f"not JSON: {e}"
    return (row, "") if isinstance(row, dict) else (None, "not a JSON object")


def _chunk(rows: list[dict[str, Any]], lines: list[int]) -> Chunk:
    texts, was = list[pl.Series](), dict[str, pl.Series]()
    for name in {name: None for row in rows for name in row}:
        values = [row.get(name) for row in rows]
        texts.append(pl.Series(name, [as_text(v) for v in values], pl.String))
        if not _WAS.keys().isdisjoint(map(type, values)):
            was[name] = pl.Series(name, [_WAS.get(type(v)) for v in values], pl.String)
    return Chunk(pl.DataFrame(texts), np.array(lines, np.int64), was)
