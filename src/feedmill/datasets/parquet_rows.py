"""Parquet: every row is well-formed, only its types have to become text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from feedmill.datasets.json_rows import as_text
from feedmill.datasets.rows import CHUNK_ROWS, Chunk, Was, refuse_twice


def read(path: Path) -> Iterator[Chunk]:
    """The rows of a file; its row groups are read one after the other.

    Raises:
        DataError: a column is named twice.
    """
    n_done = 0
    with pa.parquet.ParquetFile(path) as file:
        refuse_twice(file.schema_arrow.names, path)
        for batch in file.iter_batches(CHUNK_ROWS):
            texts = pa.table([_text(c) for c in batch.columns], names=batch.schema.names)
            named = zip(batch.schema.names, map(_was, batch.columns), strict=True)
            was = {name: found for name, found in named if found is not None}
            lines = np.arange(n_done + 1, n_done + 1 + len(texts))
            yield Chunk(cast(pl.DataFrame, pl.from_arrow(texts)), lines, was)
            n_done += len(texts)


def _kind(kind: pa.DataType) -> Was | None:
    """What the values of a column are, if they are neither text nor numbers."""
    if pa.types.is_dictionary(kind):
        return _kind(kind.value_type)
    if pa.types.is_boolean(kind):
        return "true or false"
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return "a time"
    if pa.types.is_nested(kind):
        return "an object" if pa.types.is_struct(kind) or pa.types.is_map(kind) else "a list"
    return None


def _was(column: pa.Array) -> pl.Series | None:
    kind = _kind(column.type)
    return kind and cast(pl.Series, pl.from_arrow(pc.if_else(column.is_valid(), kind, None)))


def _text(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_timestamp(kind) and kind.tz:
        return column.cast(pa.timestamp(kind.unit, "UTC")).cast(pa.string())  # the same instants, whatever the zone
    if pa.types.is_floating(kind):
        return _float_text(column)
    if pa.types.is_nested(kind):
        return pa.array([as_text(v) for v in column.to_pylist()], pa.string())
    return column.cast(pa.string())


def _float_text(column: pa.Array) -> pa.Array:
    """Whole numbers without ".0": a table with gaps makes floats of the ids it reads."""
    column = pc.if_else(pc.is_finite(column), column.cast(pa.float64()), None)
    is_whole = pc.and_(pc.equal(pc.floor(column), column), pc.less(pc.abs(column), 2.0**53))
    whole = pc.if_else(is_whole, column, None).cast(pa.int64(), safe=False)
    return pc.if_else(is_whole, whole.cast(pa.string()), column.cast(pa.string()))
