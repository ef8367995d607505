"""CSV: Arrow reads what is well-formed, Python's reader the rest of a file from the first oddity on."""

from __future__ import annotations

import csv
import gzip
import re
from collections import deque
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import IO, cast

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from feedmill.core.errors import DataError
from feedmill.datasets.rows import CHUNK_ROWS, Chunk, Malformed, refuse_twice

_BLOCK_BYTES = 4 << 20
_NOT_UTF8 = re.compile("[\udc80-\udcff]")  # how "surrogateescape" shows bytes that are not UTF-8


def read(path: Path, malformed: Malformed, separator: str) -> Iterator[Chunk]:
    """The rows below the header. A row with too few or too many fields, or not in UTF-8, is malformed.

    Raises:
        DataError: there is no header, it is not UTF-8, or it names a column twice.
    """
    names = _header(path, separator)
    n_done, is_all = yield from _well_formed(path, names, separator)
    if not is_all:
        if not n_done:  # the columns are told even if no row is well-formed: the header may be what is wrong
            yield Chunk(pl.DataFrame(schema=dict.fromkeys(names, pl.String)), np.zeros(0, np.int64))
        yield from _the_rest(path, names, separator, n_done, malformed)


def _header(path: Path, separator: str) -> list[str]:
    with _open(path) as file:
        try:
            names = next(csv.reader(file, delimiter=separator), [])
        except csv.Error as e:
            raise DataError(f"{path} has no header: {e}", "a first line with the names of the columns") from None
    _check_text("".join(names), path)
    if not any(names):
        raise DataError(f"{path} is empty", "a header with the names of the columns", "add a header line")
    refuse_twice(names, path)
    return names


def _check_text(header: str, path: Path) -> None:
    """Names are text only in UTF-8; UTF-16 begins with a mark, or has zeros between the letters."""
    is_utf16 = header.startswith(("\udcff\udcfe", "\udcfe\udcff")) or "\0" in header
    if is_utf16 or _NOT_UTF8.search(header):
        encoding = "UTF-16" if is_utf16 else "WINDOWS-1252"
        raise DataError(
            f"the header of {path} is not UTF-8{' (it looks like UTF-16)' if is_utf16 else ''}",
            "a file in UTF-8",
            f"convert it, for example: iconv -f {encoding} -t UTF-8 {path.name} > utf8-{path.name}",
        )


def _well_formed(path: Path, names: list[str], separator: str) -> Generator[Chunk, None, tuple[int, bool]]:
    """Chunks up to the first that has anything odd, several times as fast as Python's reader.

    Returns how many rows that were, and whether it was all.
    """
    n_done = 0
    try:
        reader = pa.csv.open_csv(
            pa.input_stream(path),
            pa.csv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES),
            pa.csv.ParseOptions(delimiter=separator, newlines_in_values=True, ignore_empty_lines=False),
            pa.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
        )
        if reader.schema.names != names:
            return 0, False
        for batch in reader:
            if _is_odd(batch):
                return n_done, False
            columns = cast(pl.DataFrame, pl.from_arrow(batch))
            yield Chunk(columns, np.arange(n_done + 2, n_done + 2 + len(columns)))
            n_done += len(columns)
    except pa.ArrowInvalid:
        return n_done, False
    return n_done, True


def _is_odd(batch: pa.RecordBatch) -> bool:
    """Whether it has a value of several lines, after which lines are not rows, or an empty line."""
    several = any(pc.any(pc.match_substring_regex(column, "[\r\n]")).as_py() for column in batch.columns)
    empty = np.ones(batch.num_rows, np.bool_)
    for column in batch.columns:
        if not empty.any():
            return several
        empty &= np.asarray(pc.equal(pc.binary_length(column), 0))
    return several or bool(empty.any())


def _the_rest(path: Path, names: list[str], separator: str, n_done: int, malformed: Malformed) -> Iterator[Chunk]:
    """The rows after the first ``n_done``, which were well-formed, each on a line of its own."""
    rows: list[list[str]] = []
    lines: list[int] = []
    with _open(path) as file:
        for line, row, text, problem in _each(file, separator, n_done + 1):
            if not row and not problem:
                continue  # an empty line
            if not problem and len(row) != len(names):
                problem = f"wrong number of fields: {len(row)}, and the header has {len(names)}"
            if not problem and not text.isascii() and _NOT_UTF8.search(text):
                problem = "not UTF-8"
            if problem:
                shown = text.rstrip("\r\n").encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
                malformed(line, problem, shown)
                continue
            rows.append(row)
            lines.append(line)
            if len(rows) == CHUNK_ROWS:
                yield _chunk(names, rows, lines)
                rows, lines = [], []
    if rows:
        yield _chunk(names, rows, lines)


def _each(file: IO[str], separator: str, n_skip: int) -> Iterator[tuple[int, list[str], str, str]]:
    """The line, fields, text and problem of each row after ``n_skip`` lines."""
    again: deque[str] = deque()  # lines read already, to be read once more
    for _ in range(n_skip):
        next(file, "")
    at, ended = n_skip + 1, False
    while not ended:
        taken: list[str] = []  # the lines of the current row
        reader = csv.reader(_taking(file, again, taken), delimiter=separator, strict=True)
        try:
            for row in reader:
                yield at, row, "".join(taken), ""
                at += len(taken)
                taken.clear()
            ended = True
        except csv.Error as e:  # such as a quote that is never closed: only its first line is lost to it
            yield at, [], taken[0], f"not CSV: {e}"
            at += 1
            again.extendleft(reversed(taken[1:]))


def _taking(file: IO[str], again: deque[str], taken: list[str]) -> Iterator[str]:
    while line := again.popleft() if again else next(file, ""):
        taken.append(line)
        yield line


def _chunk(names: list[str], rows: list[list[str]], lines: list[int]) -> Chunk:
    columns = zip(names, zip(*rows, strict=True), strict=True)
    return Chunk(pl.DataFrame([pl.Series(n, v, pl.String) for n, v in columns]), np.array(lines, np.int64))


def _open(path: Path) -> IO[str]:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", errors="surrogateescape", newline="")
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
