"""How impressions fall on the catalogue: coverage, the Gini index, the share of new items."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

import numpy as np
import polars as pl

from feedmill.metrics.diversity import gini
from feedmill.metrics.rollup.rollup import Rollup


class Shown(NamedTuple):
    """Of the impressions of one arm, or of everybody.

    Attributes:
        arm: "" = everybody.
        impressions: how many.
        items: how many different ones.
        coverage: of all items that are described or shown, 0 to 1.
        gini: of impressions over all items, those never shown included.
        new_share: impressions of items published at most a week before.
    """

    arm: str
    impressions: int
    items: int
    coverage: float
    gini: float
    new_share: float


def by_arm(rollup: Rollup, experiment: str) -> list[Shown]:
    """Each arm, by name, over all impressions on which the experiment acted. More impressions cover more items:
    only arms of one size compare."""
    rows = rollup.read("shown", pl.col("experiment") == experiment)
    n = n_items(rollup)
    return [_shown(str(arm), part, n) for (arm,), part in sorted(rows.partition_by("arm", as_dict=True).items())]


def everybody(rollup: Rollup) -> pl.DataFrame:
    """day, item_id -> impressions, new_impressions."""
    return rollup.read("shown", pl.col("experiment") == "").drop("experiment", "arm")


def n_items(rollup: Rollup) -> int:
    """Items that anybody has described or seen."""
    described = rollup.read("items").select("item_id")
    return pl.concat([described, rollup.read("shown").select("item_id")])["item_id"].n_unique()


def over(shown: pl.DataFrame, n: int, first: date, last: date) -> Shown | None:
    """Of the days from first to last; None if nothing was shown.

    Args:
        shown: see ``everybody``.
        n: see ``n_items``.
    """
    inside = shown.filter(pl.col("day").is_between(first, last))
    sums = inside.group_by("item_id").agg(pl.col("impressions", "new_impressions").sum())
    return _shown("", sums, n) if len(sums) else None


def _shown(arm: str, rows: pl.DataFrame, n: int) -> Shown:
    counts = rows["impressions"].to_numpy().astype(np.int64)
    total = int(counts.sum())
    new = float(rows["new_impressions"].sum()) / total
    return Shown(arm, total, len(rows), len(rows) / n, gini(np.pad(counts, (0, n - len(rows)))), new)
