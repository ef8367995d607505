"""A log as Parquet by day, for other programs and for another workspace.

::

    DIR/
      manifest.json                        written last: an export without it is not whole
      day=2024-01-31/00000000000000262144.parquet
                                           the events of that day among those from offset 262144 on

The columns are those of ``core.events.SCHEMA`` after ``offset``. A day is the day of ``time_ms`` in a stated time zone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from feedmill.core.errors import DataError
from feedmill.core.events import SCHEMA, EventBatch
from feedmill.core.progress import progress
from feedmill.core.protocols import EventLog

CHUNK = 262_144
MANIFEST, FORMAT = "manifest.json", "feedmill export 1"
OFFSET = pa.field("offset", pa.int64(), nullable=False)


class Export(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the manifest says: events from offset ``start`` to ``end``, in chunks of ``chunk``, as of ``epoch``."""

    format: str
    start: int
    end: int
    epoch: int
    chunk: int
    timezone: str


def export(log: EventLog, folder: Path, timezone: str) -> Export:
    """Write every event that the log has now.

    Args:
        folder: new or empty; it is whole once its manifest is there.
        timezone: whose midnight parts the days, an IANA name.

    Raises:
        DataError: the folder has something in it, cannot be written, or there is no such time zone.
        LogError: the log cannot be read.
    """
    if folder.exists() and any(folder.iterdir()):
        raise DataError(f"{folder} is not empty", "a new folder", "name another one")
    about = Export(FORMAT, log.start, log.end, log.epoch, CHUNK, timezone)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with progress("exporting", about.end - about.start) as advance:
            for offset, events in _chunks(log, about):
                for day, table in _days(events, offset, timezone):
                    place = folder / f"day={day}"
                    place.mkdir(exist_ok=True)
                    pq.write_table(table, place / f"{offset:020d}.parquet", compression="zstd", store_schema=False)
                advance(len(events))
        (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(about), indent=1))
    except pa.ArrowInvalid as e:
        raise DataError(f'timezone = "{timezone}": {e}', "an IANA name, such as Europe/Berlin") from None
    except OSError as e:
        fix = "free some space, delete the folder, and export again"
        raise DataError(f"{folder}: {e.strerror or e}", "a disk with room", fix) from e
    return about


def restore(folder: Path, log: EventLog) -> tuple[int, int]:
    """Append what was exported, in the order of its offsets; how many events were new, and how many there already.

    Repeating it appends nothing; one that was stopped goes on.

    Raises:
        DataError: the folder has no whole export.
        LogError: the log cannot be written; repeat it when it can.
    """
    about = _manifest(folder)
    source, n_new, n_known = f"export:{about.start}-{about.end}", 0, 0
    with progress("restoring", about.end - about.start) as advance:
        for first in range(about.start, about.end, about.chunk):
            n = min(about.chunk, about.end - first)
            events = _read(folder, first, n)
            receipt = log.append(EventBatch(events.table, source, first - about.start))
            n_new, n_known = n_new + receipt.n_new, n_known + receipt.n_duplicate
            advance(n)
    return n_new, n_known


def _chunks(log: EventLog, about: Export) -> Iterator[tuple[int, EventBatch]]:
    for first in range(about.start, about.end, CHUNK):
        parts, offset, stop = [], first, min(first + CHUNK, about.end)
        while offset < stop:
            events, offset = log.read(offset, stop - offset)
            parts.append(events)
        yield first, EventBatch.concat(parts)


def _days(events: EventBatch, offset: int, timezone: str) -> Iterator[tuple[str, pa.Table]]:
    offsets = pa.array(np.arange(offset, offset + len(events)))
    table = pa.Table.from_arrays([offsets, *events.table.columns], schema=pa.schema([OFFSET, *SCHEMA]))
    stamps = table["time_ms"].cast(pa.timestamp("ms", timezone))
    days = pc.cast(pc.floor_temporal(pc.local_timestamp(stamps), unit="day"), pa.date32())
    for day in sorted(pc.unique(days).to_pylist()):
        yield day.isoformat(), table.filter(pc.equal(days, pa.scalar(day, pa.date32())))


def _manifest(folder: Path) -> Export:
    path = folder / MANIFEST
    try:
        about = msgspec.json.decode(path.read_bytes(), type=Export)
    except FileNotFoundError:
        raise DataError(
            f"no {path}", "a whole export", "export again: this one was stopped, or is something else"
        ) from None
    except (OSError, msgspec.DecodeError) as e:
        raise DataError(f"{path}: {e}", "a manifest that `feedmill data export` wrote") from None
    if about.format != FORMAT:
        raise DataError(f'{path} is of format "{about.format}"', f'"{FORMAT}"', "use the feedmill that wrote it")
    return about


def _read(folder: Path, first: int, n: int) -> EventBatch:
    """The events of one chunk, in order of their offsets."""
    try:
        tables = [pq.read_table(p, partitioning=None) for p in sorted(folder.glob(f"day=*/{first:020d}.parquet"))]
        table = pa.concat_tables(tables).sort_by("offset") if tables else pa.table({"offset": pa.array([], pa.int64())})
        if table["offset"].to_numpy().tolist() != list(range(first, first + n)):
            given = f"{folder} has {table.num_rows} of the {n} events from offset {first} on"
            raise DataError(given, "every file of the export", "export again, or copy the rest")
        columns = table.select(SCHEMA.names).cast(SCHEMA).combine_chunks()
    except (OSError, pa.ArrowException, KeyError) as e:
        raise DataError(f"{folder}, offset {first}: {e}", "files as `feedmill data export` wrote them") from None
    return EventBatch(columns.to_batches()[0])
