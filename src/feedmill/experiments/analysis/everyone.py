"""The log's own users, whatever they were shown: what power is calculated from, and what A/A tests split."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl

from feedmill.core.errors import DataError
from feedmill.metrics.rollup.measures import PER_USER, RETENTION_DAYS, measure
from feedmill.metrics.rollup.people import active_days, people, returned
from feedmill.metrics.rollup.rollup import Rollup
from feedmill.metrics.rollup.units import Units, lacking


class Everyone:
    """Users who were active in the log's last whole days, read once for any number of metrics.

    Args:
        days: how many; the last day of a log, which may not be over, is none of them.
        before_days: of the days before these, which CUPED looks at.

    Raises:
        DataError: nobody was active, or the log has a single day.
    """

    def __init__(self, rollup: Rollup, days: int = 14, before_days: int = 14) -> None:
        all_days = rollup.read("days", pl.col("user_id") != "")
        newest = all_days["day"].max()
        if not isinstance(newest, date):
            raise DataError("the log has no behaviour", "events of users", "ingest some, or serve")
        self.last = newest - timedelta(days=1)
        self.first = self.last - timedelta(days=days - 1)
        active = active_days(all_days.filter(pl.col("day").is_between(self.first, self.last)))
        if active.is_empty():
            raise DataError(
                f"nobody was active from {self.first} to {self.last}, the last whole days of the log",
                "events on more than one day",
                "ask for more --days",
            )
        came = active.group_by("user_id").agg(pl.col("day").min()).sort("user_id")
        users = came.select("user_id")
        during = people(all_days.filter(pl.col("day").is_between(self.first, self.last)))
        before_first = self.first - timedelta(days=before_days)
        in_before = pl.col("day").is_between(before_first, self.first, closed="left")
        before = people(all_days.filter(in_before).join(users, on="user_id", how="semi"))
        back = returned(came, active, self.last).drop("day")
        self._during = _in_order(users, during).join(back, on="user_id", how="left", maintain_order="left")
        self._before = _in_order(users, before).with_columns(
            *(pl.col("active_days").alias(f"returned_{k}") for k in RETENTION_DAYS),
            *(pl.col("users").alias(f"awaited_{k}") for k in RETENTION_DAYS),
        )

    def __len__(self) -> int:
        return len(self._during)

    def units(self, name: str) -> Units:
        """A metric by user; everybody is in the arm "all".

        Raises:
            NotFoundError: no such measure.
            DataError: it is not one of users, or has no data.
        """
        of = measure(name)
        if not of.is_per_user:
            raise DataError("it is not a sum over users", f"one of {', '.join(PER_USER)}", "choose another")
        columns = [
            frame[c].to_numpy().astype(np.float64) for frame in (self._during, self._before) for c in (of.num, of.den)
        ]
        if not columns[0].any() or not columns[1].any():
            given = f"no data from {self.first} to {self.last}: {lacking(of, self._during)}"
            raise DataError(given, of.words, "log these events, or ask for more days")
        return Units(("all",), np.zeros(len(self), np.int32), *columns)


def _in_order(users: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    out = users.join(rows, on="user_id", how="left", maintain_order="left")
    return out.with_columns(pl.exclude("user_id").fill_null(0))
