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
from feedmill.datasets.rows import CHUNK_ROWS, Chunk


def read(path: Path) -> Iterator[Chunk]:
    """The rows of a file; its row groups are read one after the other."""
    n_done = 0
    with pa.parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(CHUNK_ROWS):
            texts = pa.table([_text(c) for c in batch.columns], names=batch.schema.names)
            yield Chunk(cast(pl.DataFrame, pl.from_arrow(texts)), np.arange(n_done + 1, n_done + 1 + len(texts)))
            n_done += len(texts)


def _text(column: pa.Array) -> pa.Array:
    kind = column.type
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
