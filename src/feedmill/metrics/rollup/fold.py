"""Events of a range of the log into the tables of that range, given what came before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from feedmill.core.events import EventBatch, Kind
from feedmill.metrics.rollup import exposures
from feedmill.metrics.rollup.columns import (
    EDGES_S,
    KEYS,
    NEW_MS,
    SCHEMAS,
    SLATE,
    UNKNOWN_LENGTH,
    day_of,
    empty,
    in_order,
    merged,
    totals,
)
from feedmill.metrics.rollup.items import as_of, described

Tables = Mapping[str, pl.DataFrame]


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What a range needs to know of all before it: the versions of items, and who was exposed to what."""

    items: pl.DataFrame
    exposed: pl.DataFrame

    @staticmethod
    def nothing() -> Known:
        return Known(empty("items"), empty("exposed"))

    def after(self, tables: Tables) -> Known:
        """The same with one more range."""
        both = pl.concat([self.exposed, tables["exposed"]])
        return Known(pl.concat([self.items, tables["items"]]), merged("exposed", both.lazy()).collect())


def fold(batch: EventBatch, offset: int, known: Known, timezone: str) -> dict[str, pl.DataFrame]:
    """The tables of one range; the same range after the same events has the same rows.

    Args:
        batch: events from ``offset`` on, no request cut at the ends (see ``whole``).
        known: of the events before.
        timezone: whose midnights divide the days.
    """
    frame = pl.DataFrame(pl.from_arrow(batch.table)).with_columns(
        offset=pl.int_range(pl.len(), dtype=pl.Int64) + offset
    )
    items = described(frame.filter((pl.col("kind") == int(Kind.ITEM)) & (pl.col("item_id") != "")), known.items)
    versions = pl.concat([known.items, items])
    acts = _acts(frame, versions, timezone)
    of = exposures.assigned(acts.filter(pl.col("kind") == int(Kind.IMPRESSION)))
    counted = pl.concat([acts.select(_COUNTED), _published(frame, items, timezone)])
    days = totals(counted.lazy(), KEYS["days"])
    new = exposures.exposed(of)
    tables = {
        "days": days,
        "tried": _tried(counted, days, known.exposed, new),
        "exposed": new,
        "shown": exposures.shown_by_arm(of),
        "items": items,
    }
    return {name: in_order(name, table) for name, table in tables.items()}


def whole(batch: EventBatch) -> int:
    """How many of the events come before the last request, if its impressions may go on after the batch; else all.

    The impressions of a request are one run: events in a row with one request id and user.
    """
    n = len(batch)
    at = n
    while at and _one_run(batch, at - 1, n - 1):
        at -= 1
    return at


def goes_on(batch: EventBatch) -> bool:
    """Whether the last two events are impressions of one request."""
    return len(batch) > 1 and _one_run(batch, len(batch) - 2, len(batch) - 1)


_COUNTED = ("user_id", "day", "offset", "kind", "bucket", "watch_ms", "new_impressions", *SLATE)


def _one_run(batch: EventBatch, a: int, b: int) -> bool:
    def row(i: int) -> tuple[object, ...]:
        return tuple(batch.table.column(c)[i].as_py() for c in ("kind", "request_id", "user_id"))

    kind, request, _ = row(b)
    return kind == Kind.IMPRESSION and request != "" and row(a) == row(b)


def _acts(frame: pl.DataFrame, versions: pl.DataFrame, timezone: str) -> pl.DataFrame:
    """What users did, a row per event, with what the sums are made of."""
    does = (pl.col("kind") <= int(Kind.SEARCH)) & (pl.col("user_id") != "")
    acts = as_of(frame.filter(does).drop("position", "event_id"), versions)
    kind, age = pl.col("kind"), pl.col("time_ms") - pl.col("publish_ms")
    bucket = np.searchsorted(EDGES_S, acts["duration_s"].fill_null(-1.0).to_numpy(), "right")
    bucket[acts["duration_s"].is_null().to_numpy()] = UNKNOWN_LENGTH
    seconds = pl.when(pl.col("value").is_finite() & (pl.col("value") > 0)).then(pl.col("value")).otherwise(0.0)
    acts = acts.with_columns(
        day=day_of(pl.col("time_ms"), timezone),
        bucket=pl.Series(bucket, dtype=pl.Int8),
        watch_ms=pl.when(kind == int(Kind.WATCH))
        .then((seconds.cast(pl.Float64) * 1000).round())
        .otherwise(0.0)
        .cast(pl.Int64),
        new_impressions=((kind == int(Kind.IMPRESSION)) & (age >= 0) & (age <= NEW_MS)).fill_null(False).cast(pl.Int64),
    )
    return _slates(acts)


def _slates(acts: pl.DataFrame) -> pl.DataFrame:
    """``SLATE`` beside the first impression of each request, 0 elsewhere."""
    is_slate = (pl.col("kind") == int(Kind.IMPRESSION)) & (pl.col("request_id") != "")
    shown = acts.lazy().filter(is_slate).select("offset", "request_id", "user_id", "topic", "author_id")
    same = [pl.col(c) == pl.col(c).shift(1) for c in ("request_id", "user_id")]
    goes_on = pl.all_horizontal(*same, pl.col("offset") == pl.col("offset").shift(1) + 1).fill_null(False)
    shown = shown.with_columns(run=(~goes_on).cum_sum())
    slates = shown.group_by("run").agg(pl.col("offset").first(), requests=pl.lit(1, pl.Int64))
    for name, of in (("topics", "topic"), ("authors", "author_id")):
        distinct = shown.filter(pl.col(of).is_not_null()).select("run", of).unique()
        n = distinct.group_by("run").agg(pl.len().cast(pl.Int64).alias(name))
        slates = slates.join(n, on="run", how="left")
    return acts.join(slates.drop("run").collect(), on="offset", how="left", maintain_order="left").with_columns(
        pl.col(SLATE).fill_null(0)
    )


def _published(frame: pl.DataFrame, items: pl.DataFrame, timezone: str) -> pl.DataFrame:
    """The first descriptions of items as acts of their authors, on the day of publication, or else of description."""
    new = items.filter(pl.col("is_first") & pl.col("author_id").is_not_null())
    rows = new.join(frame.select("offset", "time_ms"), on="offset", how="left")
    return rows.select(
        pl.col("author_id").alias("user_id"),
        day_of(pl.coalesce("publish_ms", "time_ms"), timezone).alias("day"),
        "offset",
        pl.lit(int(Kind.ITEM), pl.Int8).alias("kind"),
        pl.lit(UNKNOWN_LENGTH, pl.Int8).alias("bucket"),
        *(pl.lit(0, pl.Int64).alias(c) for c in _COUNTED[5:]),
    )


def _tried(counted: pl.DataFrame, days: pl.DataFrame, before: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    """Sums by experiment of events from the first exposure on: those of a user who was exposed before this range
    are the sums of the days; of the others, whole events are looked at."""
    pair = ["experiment", "user_id"]
    old = before.select(pair).unique()
    first = new.group_by(pair).agg(pl.col("offset").min().alias("since")).join(old, on=pair, how="anti")
    moments = first.select("user_id", "since").unique()  # one request often starts all of a user's experiments
    since = counted.lazy().join(moments.lazy(), on="user_id").filter(pl.col("offset") >= pl.col("since"))
    part = totals(since, ["user_id", "since", "day"]).join(first, on=["user_id", "since"])
    columns = SCHEMAS["tried"].names()
    return pl.concat([days.join(old, on="user_id").select(columns), part.select(columns)])
