"""From sums by user and day to a row per user, with every column that measures name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import polars as pl

from feedmill.metrics.rollup.columns import COLUMNS, FINISHED, KINDS, PLAYS
from feedmill.metrics.rollup.measures import RETENTION_DAYS

ACTIVE = pl.sum_horizontal(*KINDS).gt(0)  # a row of a day on which the user did or saw something
RETURNS = tuple(f"{what}_{k}" for k in RETENTION_DAYS for what in ("returned", "awaited"))


def people(
    days: pl.DataFrame, keys: Sequence[str] = ("user_id",), finish_rates: Sequence[float] | None = None
) -> pl.DataFrame:
    """Sums by ``keys`` over days, and what is made of them.

    Args:
        days: rows of the table days or tried, of the days and users that are compared.
        finish_rates: by length, see ``finish_rates_of``; None = of these rows.

    Returns:
        keys -> ``COLUMNS``, watch_s, active_days, users (1 for who was active, else 0), publishers (1 or 0)
        and publications of these, finishes_expected: plays times the finish rate of their length.
    """
    out = days.with_columns(active_days=ACTIVE.cast(pl.Int64)).group_by(keys).agg(pl.col(*COLUMNS, "active_days").sum())
    is_active = pl.col("active_days").gt(0)
    rates = finish_rates_of(days) if finish_rates is None else finish_rates
    return out.with_columns(
        watch_s=pl.col("watch_ms") / 1000,
        users=is_active.cast(pl.Int64),
        publishers=(is_active & pl.col("published").gt(0)).cast(pl.Int64),
        publications=pl.col("published") * is_active,
        finishes_expected=pl.sum_horizontal(pl.col(p) * rate for p, rate in zip(PLAYS, rates, strict=True)),
    )


def returned(since: pl.DataFrame, active: pl.DataFrame, last: date) -> pl.DataFrame:
    """Retention: who was active again exactly k days after a day of theirs.

    Args:
        since: user_id, day.
        active: user_id, day of all days on which users were active, each once.
        last: the last day that is over.

    Returns:
        ``since`` with returned_k and awaited_k (1 or 0; awaited = day + k is not after ``last``).
    """
    out = since
    for k in RETENTION_DAYS:
        back = active.select(
            "user_id", pl.col("day").dt.offset_by(f"-{k}d"), pl.lit(1, pl.Int64).alias(f"returned_{k}")
        )
        is_over = (pl.col("day") <= last - timedelta(days=k)).cast(pl.Int64)
        out = out.join(back, on=["user_id", "day"], how="left", maintain_order="left").with_columns(
            (pl.col(f"returned_{k}").fill_null(0) * is_over).alias(f"returned_{k}"), is_over.alias(f"awaited_{k}")
        )
    return out


def active_days(days: pl.DataFrame) -> pl.DataFrame:
    """user_id, day of the days on which users were active."""
    return days.filter(ACTIVE).select("user_id", "day")


def finish_rates_of(days: pl.DataFrame) -> list[float]:
    """Of each length, the share of plays that reach the end, pooled over all rows; 0 where nothing was played."""
    totals = days.select(pl.col(*PLAYS, *FINISHED).sum()).row(0, named=True)
    return [totals[f] / totals[p] if totals[p] else 0.0 for p, f in zip(PLAYS, FINISHED, strict=True)]
