"""Taking events off a batch: those the log has already, and those a reader did not ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feedmill.core.errors import LogError
from feedmill.core.events import EventBatch

BATCH_ROWS = 65_536  # the largest micro-batch: a reader decodes at most this many events to get one


def after_row(batch: EventBatch, next_row: int) -> EventBatch:
    """The events of ``batch`` that are at or after row ``next_row`` of its source."""
    n_known = min(max(next_row - batch.source_row, 0), len(batch))
    return batch[n_known:] if n_known else batch


def only_new(batch: EventBatch, is_new: Callable[[str], bool]) -> EventBatch:
    """The events whose ``event_id`` is empty or new; ``is_new`` is asked once for each event with an id.

    ``is_new`` takes note of the id, so that the second of two equal ids in one batch is not new. It is asked
    in order of id: a B-tree takes sorted ids faster than random ones.
    """
    ids = batch.table.column("event_id")
    if not pc.max(pc.binary_length(ids)).as_py():  # the usual bulk load: no ids at all
        return batch
    order = pc.sort_indices(ids)  # stable: of equal ids the first event is asked first
    mask = np.empty(len(ids), np.bool_)
    mask[order.to_numpy()] = [not i or is_new(i) for i in ids.take(order).to_pylist()]
    return batch if mask.all() else EventBatch(batch.table.filter(pa.array(mask)))


def micro_batches(batch: EventBatch) -> Iterable[EventBatch]:
    """``batch`` in pieces of at most ``BATCH_ROWS`` events."""
    return (batch[i : i + BATCH_ROWS] for i in range(0, len(batch), BATCH_ROWS))


def window(pieces: Iterable[tuple[int, pa.RecordBatch]], offset: int, limit: int) -> EventBatch:
    """Events ``offset`` to ``offset + limit`` out of micro-batches in order, each with its first offset.

    Takes no more pieces than it needs.
    """
    taken: list[EventBatch] = []
    stop = offset + limit
    for first, table in pieces:
        part = EventBatch(table)[max(0, offset - first) : stop - first]
        if len(part):
            taken.append(part)
        if first + table.num_rows >= stop:
            break
    return taken[0] if len(taken) == 1 else EventBatch.concat(taken)


def check_bounds(offset: int, limit: int, end: int, start: int = 0) -> None:
    """Refuses what no log can answer.

    Raises:
        ValueError: ``limit`` is below 1.
        LogError: ``offset`` is negative, or beyond the end: it came from another log; or before ``start``.
    """
    if limit < 1:
        raise ValueError(f"limit = {limit}: a read asks for at least one event")
    if 0 <= offset < start:
        raise LogError(
            f"offset {offset} in a log that starts at {start}",
            f"an offset from {start} to {end}: `feedmill data retain` has dropped the events before",
            "use what was derived from them: the state's snapshot, samples, the last published version; "
            "or an export from before",
        )
    if not 0 <= offset <= end:
        raise LogError(
            f"offset {offset} in a log of {end} events",
            f"an offset from 0 to {end}",
            "the offset is of another log, or the log was replaced: rebuild what was derived from it",
        )
