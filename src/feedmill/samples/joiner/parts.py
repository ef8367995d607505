"""Joined samples on disk: Parquet by day, a file for each stretch of the log, the same bytes whenever it is written.

    samples/day=2026-11-22/part-<from>-<to>.parquet     rows that the events from offset <from> to <to> closed
    samples/side/part-<from>-<to>.parquet               late and orphaned feedback, impressions too old to be joined

``<from>`` is a multiple of ``part_events``. The last stretch grows with the log: its newer file replaces the older,
and between the two a reader takes the one that reaches further.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

SIDE_FOLDER = "side"
_NAME = re.compile(r"part-(\d{20})-(\d{20})\.parquet")
_NEW = ".new"
_ROW_GROUP = 65_536


def write(folder: Path, start: int, stop: int, samples: pa.Table, side: pa.Table, timezone: str) -> list[Path]:
    """Store what the events from ``start`` to ``stop`` closed, then drop shorter files of the same start.

    Raises:
        OSError: the disk does not want it; what was there before is still there.
    """
    name = f"part-{start:020d}-{stop:020d}.parquet"
    written = [store(folder / f"day={day}" / name, table) for day, table in by_day(samples, timezone)]
    if side.num_rows:
        written.append(store(folder / SIDE_FOLDER / name, side))
    for path in folder.glob(f"*/part-{start:020d}-*.parquet"):
        if path not in written:
            path.unlink()
    return written


def by_day(samples: pa.Table, timezone: str) -> Iterator[tuple[str, pa.Table]]:
    """(day, its rows in their order) for each day that impressions were shown on, in the given zone."""
    stamps = samples["time_ms"].cast(pa.timestamp("ms", timezone))
    days = pc.cast(pc.floor_temporal(pc.local_timestamp(stamps), unit="day"), pa.date32())
    for day in sorted(pc.unique(days).to_pylist()):
        yield day.isoformat(), samples.filter(pc.equal(days, pa.scalar(day, pa.date32())))


def store(path: Path, table: pa.Table) -> Path:
    """Write one file, in place of what stands there; the same rows give the same bytes.

    Raises:
        OSError: the disk does not want it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path) as temporary:
        pq.write_table(
            table.combine_chunks(),  # where chunks end must not show in the bytes
            temporary,
            row_group_size=_ROW_GROUP,
            compression="zstd",
            compression_level=1,
            version="2.6",
            use_dictionary=[f.name for f in table.schema if f.type == pa.string()],
            store_schema=False,
        )
    return path


def days(folder: Path) -> list[str]:
    """The days that have samples, ISO 8601, in order."""
    return sorted(p.name.removeprefix("day=") for p in folder.glob("day=*") if any(p.glob("part-*.parquet")))


def closed(folder: Path, start: int, stop: int) -> Iterator[pa.Table]:
    """Samples that the events from offset ``start`` up to ``stop`` closed, stretch by stretch, in that order.

    A joiner may be at work: what it has said to be stored is there whole, be it in a file that a longer one replaces.

    Raises:
        OSError: a file cannot be read.
    """
    found = [part for day in days(folder) for part in files(folder / f"day={day}")]
    for first in sorted({first for first, last, _ in found if first < stop and last > start}):
        tables = _stretch(folder, first)
        if not tables:  # somebody has begun to join anew
            return
        table = pa.concat_tables(tables)
        at = table["closed_at"]
        table = table.filter(pc.and_(pc.greater_equal(at, start), pc.less(at, stop)))
        keys = [("closed_at", "ascending"), ("window_s", "ascending"), ("offset", "ascending")]
        if table.num_rows:
            yield table.take(pc.sort_indices(table, keys))


def _stretch(folder: Path, start: int) -> list[pa.Table]:
    """Rows that the stretch from an offset on closed, by day."""
    while True:
        paths = [path for day in days(folder) for first, _, path in files(folder / f"day={day}") if first == start]
        try:
            return [pq.read_table(path, partitioning=None) for path in paths]
        except FileNotFoundError:  # a longer one has taken its place since
            continue


def files(folder: Path) -> Sequence[tuple[int, int, Path]]:
    """(from, to, path) of a folder's parts, in order; of those with one start only the longest."""
    found: dict[int, tuple[int, Path]] = {}
    for path in folder.glob("part-*.parquet"):
        name = _NAME.fullmatch(path.name)
        if name:
            start, stop = int(name[1]), int(name[2])
            found[start] = max(found.get(start, (0, path)), (stop, path))
    return [(start, stop, path) for start, (stop, path) in sorted(found.items())]


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A name to write to; after the block the file stands under ``path``, safe on the disk, or nothing has changed."""
    temporary = path.with_name(f".{path.name}{_NEW}")
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def clean(folder: Path) -> None:
    """Remove what a process that was killed had begun to write."""
    for path in folder.glob(f"**/.*{_NEW}"):
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
