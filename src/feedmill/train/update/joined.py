"""Rows to learn on from, out of what the joiner wrote: impressions whose windows have closed, with final labels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Mask, ProbeBatch, SampleBatch
from feedmill.core.events import EventBatch
from feedmill.samples import SamplesConfig
from feedmill.samples.down_sampling import down_sampled, taken
from feedmill.samples.joiner import FEEDBACK
from feedmill.samples.rows import HEADS
from feedmill.samples.splits import asked_at
from feedmill.samples.watch_seconds import WATCH_HEAD
from feedmill.state import State

FIRST_S = "first_s"  # the shortest window of which an impression has a row here


def joined(
    table: pa.Table,
    events: EventBatch,
    start: int,
    state: State,
    config: SamplesConfig,
    seed: int = 0,
    windows: Mapping[str, float] | None = None,
) -> SampleBatch:
    """Samples of the joiner: one row for each impression, with the labels that its rows in the table settle.

    Args:
        table: as ``samples.joiner.samples.schema`` has them.
        events: of the log from offset ``start`` on, all impressions of the table among them.
        state: with rows for their ids. Who has been forgotten has none there, and teaches nothing.
        windows: seconds by kind, for a table with a row for each window: a label that a shorter window has settled than
            the first that an impression has here is not known, so that nobody learns it twice. None: all rows are
            complete.
    """
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    frame = frame.sort("offset", "window_s").with_columns(pl.min("window_s").over("offset").alias(FIRST_S))
    frame = frame.unique("offset", keep="last", maintain_order=True)
    place = frame["offset"].to_numpy() - start
    asked = asked_at(events)[place]
    order = np.lexsort((place, asked))
    frame = frame[order]
    at, first, request_of = np.unique(asked[order], return_index=True, return_inverse=True)
    probe = ProbeBatch(
        user=state.users.rows(frame["user_id"].to_arrow())[first],
        time_ms=events.numpy("time_ms")[at],
        at=at,
        item=state.items.rows(frame["item_id"].to_arrow()),
        request_of=request_of.astype(np.int32),
    )
    heads, labels, mask = _labels(frame, windows)
    is_known = (probe.user > 0)[probe.request_of] & (probe.item > 0)
    said = np.any([frame[kind].fill_null(0).to_numpy() > 0 for kind in FEEDBACK if kind in frame.columns], axis=0)
    samples = taken(SampleBatch(probe, labels, mask, np.ones(len(frame), np.float32), heads), is_known)
    return down_sampled(samples, config, seed, said[is_known])


def _labels(frame: pl.DataFrame, windows: Mapping[str, float] | None) -> tuple[tuple[str, ...], Floats, Mask]:
    """Heads, float32[n, H] labels and bool[n, H] where they are final; a head whose kinds are not joined is none."""
    found: dict[str, tuple[NDArray[np.bool_], NDArray[np.bool_]]] = {}
    first_s = frame[FIRST_S].to_numpy()
    for head, kinds in HEADS.items():
        names = [k.name.lower() for k in kinds if k.name.lower() in frame.columns]
        if names:
            positive = np.any([frame[name].fill_null(0).to_numpy() > 0 for name in names], axis=0)
            is_final = np.all([frame[name].is_not_null().to_numpy() for name in names], axis=0)
            if windows is not None:
                is_final &= first_s <= max(windows[name] for name in names)
            found[head] = positive, is_final
    labels = [positive.astype(np.float32) for positive, _ in found.values()]
    mask = [is_final for _, is_final in found.values()]
    heads = tuple(found)
    if WATCH_HEAD in frame.columns:
        labels.append(frame[WATCH_HEAD].fill_null(0).to_numpy().astype(np.float32))
        is_reported = frame["watch"].fill_null(0).to_numpy() > 0
        is_nothing = ~np.any([positive for positive, _ in found.values()], axis=0)
        mask.append(frame["is_complete"].to_numpy() & (is_reported | is_nothing))
        heads = (*heads, WATCH_HEAD)
    shape = len(heads), len(frame)  # there may be no head at all
    return heads, np.array(labels, np.float32).reshape(shape).T.copy(), np.array(mask, np.bool_).reshape(shape).T.copy()
