"""Joined samples as columns: what was shown, what came of it, and when that was settled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from feedmill.core.events import N_COUNTED, Kind
from feedmill.samples.joiner import shown
from feedmill.samples.joiner.arrays import Longs, Queue
from feedmill.samples.joiner.config import Groups
from feedmill.samples.joiner.kernel import SIDE, WHY

SIDE_SCHEMA = pa.schema(
    [
        pa.field("why", pa.string(), nullable=False),  # late, orphan or stale
        pa.field("offset", pa.int64(), nullable=False),  # of the event in the log
        pa.field("kind", pa.string(), nullable=False),
        pa.field("delay_s", pa.float64()),  # late: after its impression; stale: behind the clock; orphan: null
        pa.field("impression", pa.int64()),  # late: the offset of its impression
        pa.field("closed_at", pa.int64(), nullable=False),  # the offset at which this was settled
    ]
)
_NAMES = [Kind(k).name.lower() for k in range(N_COUNTED)]


class Joined(NamedTuple):
    """What became of the events of one call, in order of the log.

    Attributes:
        samples: rows of ``schema(groups)``, as they closed.
        side: rows of ``SIDE_SCHEMA``: late and orphaned feedback, and impressions that came too late to be joined.
        ticks: int64[n, …] counts where the guard's windows ended, see ``kernel``.
    """

    samples: pa.Table
    side: pa.Table
    ticks: Longs = np.zeros((0, 0), np.int64)

    @property
    def late(self) -> pa.Table:
        return _of(self.side, "late")

    @property
    def orphans(self) -> pa.Table:
        return _of(self.side, "orphan")


def _of(side: pa.Table, why: str) -> pa.Table:
    frame = pl.from_arrow(side)
    assert isinstance(frame, pl.DataFrame)
    return frame.filter(pl.col("why") == why).to_arrow().cast(side.schema)


def schema(groups: Groups) -> pa.Schema:
    """The columns of samples, in order.

    A row is one impression as one group closed. Labels of the group and of shorter windows are final, those of longer
    ones null; ``is_complete`` marks the last row of an impression, which has all of them.
    """
    labels = [pa.field(kind.name.lower(), pa.uint8()) for kind in groups.kinds]
    seconds = [pa.field("watch_s", pa.float32())] if Kind.WATCH in groups.kinds else []
    return pa.schema(
        [
            pa.field("offset", pa.int64(), nullable=False),  # of the impression in the log
            pa.field("time_ms", pa.int64(), nullable=False),
            *shown.SCHEMA,
            pa.field("window_s", pa.float64(), nullable=False),  # of the group
            pa.field("is_complete", pa.bool_(), nullable=False),
            pa.field("closed_at", pa.int64(), nullable=False),  # the offset of the event that closed the window
            pa.field("closed_ms", pa.int64(), nullable=False),  # the log's clock then
            *labels,
            *seconds,
        ]
    )


def samples(texts: shown.Shown, queue: Queue, groups: Groups, heads: Longs, runs: Longs) -> pa.Table:
    """The rows of samples that groups closed, as they closed.

    Args:
        heads: int64[G] where each group stood before.
        runs: int64[n, 4] as ``arrays.Out`` has them.
    """
    names = schema(groups)
    group, upto, clock_ms, offset = runs.T
    start = np.empty_like(upto)
    for g in range(len(heads)):
        of = np.flatnonzero(group == g)
        start[of] = np.concatenate([heads[g : g + 1], upto[of][:-1]])[: len(of)]
    n = upto - start
    row_group, row_clock, row_offset = (np.repeat(column, n) for column in (group, clock_ms, offset))
    number = np.repeat(start - np.concatenate([[0], np.cumsum(n)[:-1]]), n) + np.arange(n.sum()) if len(n) else upto
    slot = number & (len(queue.first) - 1)
    words = _words(texts, heads, row_group, number)
    labels, seconds = queue.labels[slot], queue.watch_s[slot]
    is_last = row_group == len(groups.window_ms) - 1
    columns = {
        "offset": queue.at[slot],
        "time_ms": queue.time_ms[slot],
        **dict(zip(words.schema.names, words.columns, strict=True)),
        "window_s": groups.window_ms[row_group] / 1000.0,
        "is_complete": pa.array(is_last),
        "closed_at": row_offset,
        "closed_ms": row_clock,
    }
    for kind in groups.kinds:
        is_open = groups.of_kind[kind] > row_group
        columns[kind.name.lower()] = pa.array(((labels >> kind) & 1).astype(np.uint8), mask=is_open)
        if kind == Kind.WATCH:
            columns["watch_s"] = pa.array(seconds, mask=is_open)
    return pa.Table.from_arrays([pa.array(columns[name]) for name in names.names], schema=names)


def _words(texts: shown.Shown, heads: Longs, group: Longs, number: Longs) -> pa.RecordBatch:
    """The texts of rows that are contiguous within each group."""
    pieces, place, at = [], np.zeros(len(number), np.int64), 0
    for g in range(len(heads)):
        of = group == g
        n = int(of.sum())
        pieces += texts.rows(int(heads[g]), int(heads[g]) + n)
        place[of] = at + number[of] - heads[g]
        at += n
    return shown.joined(pieces).take(pa.array(place))


def side(rows: Longs) -> pa.Table:
    """Rows of ``SIDE_SCHEMA`` from int64[n, len(SIDE)]."""
    why, offset, kind, delay_ms, impression, closed_at = (rows[:, j] for j in range(len(SIDE)))
    is_late, is_orphan = why == WHY.index("late"), why == WHY.index("orphan")
    columns = [
        pa.array(np.array(WHY, object)[why], pa.string()),
        pa.array(offset),
        pa.array(np.array(_NAMES, object)[kind], pa.string()),
        pa.array(delay_ms / 1000.0, mask=is_orphan),
        pa.array(impression, mask=~is_late),
        pa.array(closed_at),
    ]
    return pa.Table.from_arrays(columns, schema=SIDE_SCHEMA)
