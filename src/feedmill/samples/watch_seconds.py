"""Seconds watched, as the label of a head of its own."""

from __future__ import annotations

import numpy as np
import polars as pl

from feedmill.core.batches import Floats, Mask
from feedmill.core.events import Kind

WATCH_HEAD = "watch_s"


def watch_seconds(anchors: pl.DataFrame, frame: pl.DataFrame, window_s: float) -> tuple[Floats, Mask]:
    """Seconds watched after each anchor, and where any were reported.

    A WATCH event (``value`` = seconds, 0 counts; below 0 and not finite is no report) belongs to the newest anchor of
    its user and item at or before it, not older than the window. Several add up: a replay is watching too.

    Args:
        anchors: columns at, time_ms, user, item; one row per example.
        frame: the log's behaviour with the same columns, and kind and value.

    Returns:
        float32[n] seconds, 0 where nothing was reported, and bool[n] whether it was.
    """
    seconds, is_reported = np.zeros(len(anchors), np.float32), np.zeros(len(anchors), np.bool_)
    keyed = anchors.select("user", "item", pl.col("time_ms").alias("from_ms"), pl.col("at").alias("from_at"))
    watched = frame.filter(pl.col("kind") == int(Kind.WATCH), pl.col("value").is_finite(), pl.col("value") >= 0)
    found = (
        keyed.with_row_index("row")
        .join(watched, on=["user", "item"])
        .filter(pl.col("at") >= pl.col("from_at"), pl.col("time_ms") - pl.col("from_ms") <= window_s * 1e3)
        .sort("from_at")
        .unique("at", keep="last")
        .group_by("row")
        .agg(pl.col("value").cast(pl.Float64).sum())
    )
    rows = found["row"].to_numpy()
    seconds[rows], is_reported[rows] = found["value"].to_numpy(), True
    return seconds, is_reported
