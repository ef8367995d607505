"""Which experiments an impression says acted: read from its payload, which the impressions of a request share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import polars as pl

from feedmill.metrics.rollup.columns import SCHEMAS


class _Payload(msgspec.Struct):
    experiments: dict[str, str] = {}


_decode = msgspec.json.Decoder(_Payload).decode


class Assigned(NamedTuple):
    """Impressions and what acted on them.

    Attributes:
        shown: the impressions with ``assignment``, which of the distinct assignments is theirs.
        pairs: assignment, experiment, arm.
    """

    shown: pl.DataFrame
    pairs: pl.DataFrame


def assigned(shown: pl.DataFrame) -> Assigned:
    """Of impressions in log order; what is not readable as an assignment is none."""
    payload = shown["payload"]
    starts = (payload != payload.shift(1)).fill_null(True)
    known: dict[tuple[tuple[str, str], ...], int] = {(): 0}
    texts: dict[str, int] = {}
    ids = np.zeros(int(starts.sum()), np.int64)
    for i, text in enumerate(payload.filter(starts)):
        if text not in texts:
            texts[text] = known.setdefault(_read(text), len(known))
        ids[i] = texts[text]
    run = starts.cum_sum().to_numpy().astype(np.int64) - 1
    return Assigned(shown.with_columns(assignment=pl.Series(ids[run], dtype=pl.Int64)), _pairs(list(known)))


def exposed(of: Assigned) -> pl.DataFrame:
    """The first exposures of each day by experiment, user and arm, in log order."""
    firsts = of.shown.group_by("user_id", "day", "assignment", maintain_order=True).agg(
        pl.col("offset", "time_ms").first()
    )
    rows = firsts.join(of.pairs, on="assignment").sort("offset")
    keys = ["experiment", "user_id", "arm", "day"]
    return (
        rows.group_by(keys, maintain_order=True)
        .agg(pl.col("offset", "time_ms").first())
        .match_to_schema(SCHEMAS["exposed"])
    )


def shown_by_arm(of: Assigned) -> pl.DataFrame:
    """Impressions of each item: of everybody by day, and by arm over all days (``day`` null)."""
    counts = (pl.len().cast(pl.Int64).alias("impressions"), pl.col("new_impressions").sum())
    sums = pl.col("impressions", "new_impressions").sum()
    small = of.shown.lazy().group_by("assignment", "day", "item_id").agg(counts)
    everybody = small.group_by("day", "item_id").agg(sums).with_columns(experiment=pl.lit(""), arm=pl.lit(""))
    of_arms = small.group_by("assignment", "item_id").agg(sums).join(of.pairs.lazy(), on="assignment")
    arms = of_arms.group_by("experiment", "arm", "item_id").agg(sums).with_columns(day=pl.lit(None, pl.Date))
    columns = SCHEMAS["shown"].names()
    return pl.concat([everybody.select(columns), arms.select(columns)]).collect(engine="streaming")


def _read(text: str) -> tuple[tuple[str, str], ...]:
    if '"experiments"' not in text:
        return ()
    try:
        return tuple(sorted((name, arm) for name, arm in _decode(text).experiments.items() if name))
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return ()


def _pairs(known: Sequence[tuple[tuple[str, str], ...]]) -> pl.DataFrame:
    rows = [(i, name, arm) for i, pairs in enumerate(known) for name, arm in pairs]
    return pl.DataFrame(rows, schema={"assignment": pl.Int64, "experiment": pl.String, "arm": pl.String}, orient="row")
