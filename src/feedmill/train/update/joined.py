"""Rows to learn on from, out of what the joiner wrote: impressions whose windows have closed, with final labels."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Mask, ProbeBatch, SampleBatch
from feedmill.samples.rows import HEADS
from feedmill.samples.splits import asked_at
from feedmill.samples.watch_seconds import WATCH_HEAD
from feedmill.state import Replay, State
from feedmill.train.update.source import Source


def joined(table: pa.Table) -> Source:
    """Samples of the joiner, one row for each impression that the log still has, as ``samples.joiner.parts.read_day``
    has them.

    What is to be kept from learning (a stretch in quarantine) is left out of the table.

    Args:
        table: ``offset`` of each impression in the log, ``user_id``, ``item_id``, 0, 1 or null for each kind of
            feedback, and ``watch_s`` where seconds are joined.
    """

    def rows(replay: Replay, state: State) -> SampleBatch:
        frame = pl.from_arrow(table)
        assert isinstance(frame, pl.DataFrame)
        frame = frame.filter(pl.col("offset") >= replay.start)
        events, place = replay.events, frame["offset"].to_numpy() - replay.start
        asked = asked_at(events)[place]
        order = np.lexsort((place, asked))
        frame = frame[order]
        at, first, request_of = np.unique(asked[order], return_index=True, return_inverse=True)
        user = state.users.rows(frame["user_id"].to_arrow())
        probe = ProbeBatch(
            user=user[first],
            time_ms=events.numpy("time_ms")[at],
            at=at,
            item=state.items.rows(frame["item_id"].to_arrow()),
            request_of=request_of.astype(np.int32),
        )
        heads, labels, mask = _labels(frame)
        return SampleBatch(probe, labels, mask, np.ones(len(frame), np.float32), heads)

    return rows


def _labels(frame: pl.DataFrame) -> tuple[tuple[str, ...], Floats, Mask]:
    """Heads, float32[n, H] labels and bool[n, H] where they are final; a head whose kinds are not joined is none."""
    found: dict[str, tuple[NDArray[np.bool_], NDArray[np.bool_]]] = {}
    for head, kinds in HEADS.items():
        columns = [frame[k.name.lower()] for k in kinds if k.name.lower() in frame.columns]
        if columns:
            positive = np.any([c.fill_null(0).to_numpy() > 0 for c in columns], axis=0)
            found[head] = positive, positive | np.all([c.is_not_null().to_numpy() for c in columns], axis=0)
    labels = [positive.astype(np.float32) for positive, _ in found.values()]
    mask = [known for _, known in found.values()]
    heads = tuple(found)
    if WATCH_HEAD in frame.columns:
        labels.append(frame[WATCH_HEAD].fill_null(0).to_numpy().astype(np.float32))
        is_reported = frame["watch"].fill_null(0).to_numpy() > 0
        mask.append(is_reported | ~np.any([positive for positive, _ in found.values()], axis=0))
        heads = (*heads, WATCH_HEAD)
    return heads, np.column_stack(labels), np.column_stack(mask)
