"""The rows of a user's file, every value as text: what all formats come down to before the mapping reads them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
import orjson
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from feedmill.core.errors import DataError

CHUNK_ROWS = 65_536
LIST = "\x1f"  # a list is its values, each after this (the ASCII unit separator)
SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")

Was = Literal["a list", "an object", "true or false", "a time"]
Malformed = Callable[[int, str, str], None]  # line, reason, text: of what is not a row at all


class Chunk(NamedTuple):
    """Some rows: every column as text, null where there is nothing; and the line of each, int64, counted from 1.

    A line of Parquet is a row. ``was`` has, for the columns where it matters, a ``Was`` for each value that was neither
    text nor a number, null for the others: its text alone would not tell.
    """

    columns: pl.DataFrame
    lines: NDArray[np.int64]
    was: Mapping[str, pl.Series] = MappingProxyType({})


def suffix_of(path: Path) -> str:
    """The format of a file by its name, ".gz" put aside.

    Raises:
        DataError: it is none that can be read.
    """
    suffixes = [s.lower() for s in path.suffixes]
    is_gz = suffixes[-1:] == [".gz"]
    suffix = (suffixes[:-1] if is_gz else suffixes)[-1:]
    if not suffix or suffix[0] not in SUFFIXES or (is_gz and suffix[0] == ".parquet"):
        raise DataError(
            f"{path.name} is of no known format",
            f"a name that ends in {', '.join(SUFFIXES)} (text also with .gz)",
            "rename or convert the file",
        )
    return suffix[0]


def read_rows(path: Path, malformed: Malformed, separator: str = "") -> Iterator[Chunk]:
    """The rows of a file in order.

    Args:
        path: a file with one of ``SUFFIXES``.
        malformed: is told of each line that is not a row; reading goes on after it.
        separator: between the fields of a CSV; "" is a comma, or a tab in a .tsv.

    Raises:
        DataError: there is no such file, it is of another format, or it cannot be read at all.
    """
    # Each reader is imported when it is needed: the service checks rows and reads no files.
    from feedmill.datasets import csv_rows, json_rows, parquet_rows

    suffix = suffix_of(path)
    if not path.is_file():
        raise DataError(f"no file {path}", "a CSV, JSON lines or Parquet file", "check the path")
    try:
        if suffix in (".csv", ".tsv"):
            yield from csv_rows.read(path, malformed, separator or ("\t" if suffix == ".tsv" else ","))
        elif suffix == ".parquet":
            yield from parquet_rows.read(path)
        else:
            yield from json_rows.read(path, malformed)
    except (pa.ArrowException, OSError, EOFError, zlib.error) as e:
        raise DataError(f"{path} cannot be read: {e}", "a whole, undamaged file", "make the file again") from e


def refuse_twice(names: list[str], path: Path) -> None:
    """Refuses columns of the same name.

    Raises:
        DataError: with the names.
    """
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise DataError(f"{path}: columns named twice: {sorted(twice)}", "each name once", "rename columns")


def not_ids(chunk: Chunk, wanted: Mapping[str, str], allowed: Was = "a time") -> dict[int, str]:
    """The reasons of rows where what has to be text or a number is not.

    Args:
        chunk: n rows.
        wanted: what a column is for -> the column.
        allowed: what it may be besides.
    """
    reasons: dict[int, str] = {}
    for name, column in wanted.items():
        if column in chunk.was:
            was = chunk.was[column]
            for row in (was.is_not_null() & ~was.is_in(["a time", allowed])).arg_true().to_list():
                reasons.setdefault(row, f"{name} is {was[row]}, and has to be text or a number")
    return reasons


def row_json(columns: pl.DataFrame, row: int) -> str:
    """A row as people see it in a reject: JSON of what it has."""
    found = {k: v.split(LIST)[1:] if v.startswith(LIST) else v for k, v in columns.row(row, named=True).items() if v}
    return orjson.dumps(found).decode()
