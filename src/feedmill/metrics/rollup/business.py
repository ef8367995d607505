"""Business metrics by day and over the last days: of everybody, or of one arm of an experiment."""

from __future__ import annotations

from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from feedmill.core.errors import DataError
from feedmill.metrics.rollup import shown
from feedmill.metrics.rollup.measures import MAU_DAYS, Measure
from feedmill.metrics.rollup.measures import measure as definition
from feedmill.metrics.rollup.people import RETURNS, active_days, finish_rates_of, people, returned
from feedmill.metrics.rollup.rollup import Rollup
from feedmill.metrics.rollup.units import exposures

Segment = tuple[str, str]  # (experiment, arm)
NAN = float("nan")


class Window(NamedTuple):
    """A measure over the days from ``first`` to ``last``, and over as many days before them; NaN = no data."""

    name: str
    first: date
    last: date
    value: float
    before: float

    @property
    def change(self) -> float:
        """Relative to before."""
        return self.value / self.before - 1 if self.before else NAN


class Business:
    """What a report or a dashboard shows, read from the tables once.

    Args:
        segment: the users of one arm, by their first exposure, from that exposure on; None = everybody. Coverage and
            the Gini index are of everybody alone (of arms see ``shown.by_arm``).

    Attributes:
        first, last: days with activity.
        complete: the last day that is over: the log may end within ``last``.

    Raises:
        DataError: there is no activity at all.
    """

    def __init__(self, rollup: Rollup, segment: Segment | None = None) -> None:
        self._rollup, self.segment = rollup, segment
        self._days = rollup.read("days") if segment is None else _of_arm(rollup, *segment)
        active = active_days(self._days)
        if active.is_empty():
            raise DataError(
                "no data: nobody has done anything yet", "events of users in the log", "ingest or serve some"
            )
        first, last = active["day"].min(), active["day"].max()
        assert isinstance(first, date)
        assert isinstance(last, date)
        self.first, self.last = first, last
        self.complete = max(first, last - timedelta(days=1))
        self._active = active
        self._shown: pl.DataFrame | None = None
        self._windows: dict[tuple[date, date], pl.DataFrame] = {}
        self._finish_rates = finish_rates_of(self._days)  # of all days, so that days compare
        by_user = people(self._days, ("user_id", "day"), self._finish_rates)
        back = returned(by_user.filter(pl.col("users") > 0).select("user_id", "day"), active, self.complete)
        sums = by_user.group_by("day").agg(pl.exclude("user_id").sum())
        more = back.group_by("day").agg(pl.col(*RETURNS).sum())
        every = pl.DataFrame({"day": pl.date_range(first, last, eager=True)})
        self._totals = (
            every.join(sums, on="day", how="left", maintain_order="left")
            .join(more, on="day", how="left", maintain_order="left")
            .with_columns(pl.exclude("day").fill_null(0))
        )

    def daily(self, measure: str) -> pl.DataFrame:
        """day, value of every day from the first to the last active one; null where there is nothing to divide by.

        Raises:
            NotFoundError: there is no such measure.
        """
        of = definition(measure)
        if of.is_per_user:
            value = pl.when((pl.col(of.den) > 0) & (not self._is_missing(of))).then(pl.col(of.num) / pl.col(of.den))
            return self._totals.select("day", value=value)
        if measure == "dau":
            return self._totals.select("day", value=pl.col("users").cast(pl.Float64))
        if measure == "mau":
            return self._totals.select("day", value=pl.Series(self._mau(), dtype=pl.Float64))
        values = [self._catalogue(of, day, day) for day in self._totals["day"]]
        return self._totals.select("day", value=pl.Series(values, dtype=pl.Float64).fill_nan(None))

    def window(self, measure: str, n_days: int) -> Window:
        """The last ``n_days`` complete days and the ``n_days`` before them.

        DAU is the mean of the days, MAU that of the last day; retention is of users who were active on those days.
        What is per user is per user who was active in the window.
        """
        last = self.complete
        first = last - timedelta(days=n_days - 1)
        before = (first - timedelta(days=n_days), first - timedelta(days=1))
        of = definition(measure)
        whole = before[0] >= self.first
        return Window(measure, first, last, self._over(of, first, last), self._over(of, *before) if whole else NAN)

    def _over(self, of: Measure, first: date, last: date) -> float:
        inside = pl.col("day").is_between(first, last)
        if of.name == "dau":
            return _or_nan(self._totals.filter(inside)["users"].mean())
        if of.name == "mau":
            return _or_nan(self.daily("mau").filter(pl.col("day") == last)["value"].sum())
        if not of.is_per_user:
            return self._catalogue(of, first, last)
        if of.num in RETURNS:
            sums = self._totals.filter(inside)
        else:
            sums = self._people(first, last)
        num, den = float(sums[of.num].sum()), float(sums[of.den].sum())
        return num / den if den > 0 and not self._is_missing(of) else NAN

    def _is_missing(self, of: Measure) -> bool:
        """Whether the log has never had any of it: then 0 says nothing. That nobody came back does."""
        return of.num not in RETURNS and not self._totals[of.num].sum()

    def _people(self, first: date, last: date) -> pl.DataFrame:
        """Users who were active in the window, read once for all measures."""
        if (first, last) not in self._windows:
            inside = self._days.filter(pl.col("day").is_between(first, last))
            self._windows[first, last] = people(inside, finish_rates=self._finish_rates)
        return self._windows[first, last]

    def _mau(self) -> NDArray[np.int64]:
        """int64[days]: an active day makes a user count until ``MAU_DAYS`` days are over or the next one comes."""
        n = len(self._totals)
        rows = self._active.unique().sort("user_id", "day")
        day = (rows["day"] - self.first).dt.total_days().to_numpy()
        user = rows["user_id"].to_numpy()
        following = np.append(np.where(user[1:] == user[:-1], day[1:], n), n)
        change = np.bincount(day, minlength=n + 1) - np.bincount(
            np.minimum(np.minimum(day + MAU_DAYS, following), n), minlength=n + 1
        )
        return np.cumsum(change)[:n]

    def _catalogue(self, of: Measure, first: date, last: date) -> float:
        if self.segment is not None:
            return NAN
        if self._shown is None:
            self._shown, self._n_items = shown.everybody(self._rollup), shown.n_items(self._rollup)
        found = shown.over(self._shown, self._n_items, first, last)
        return NAN if found is None else found.coverage if of.name == "coverage" else found.gini


def daily(rollup: Rollup, measure: str, segment: Segment | None = None) -> list[tuple[date, float | None]]:
    """One measure by day, see ``Business.daily``.

    Raises:
        NotFoundError, DataError: there is no such measure, or no activity.
    """
    return Business(rollup, segment).daily(measure).rows()


def _of_arm(rollup: Rollup, experiment: str, arm: str) -> pl.DataFrame:
    of = exposures(rollup, experiment).filter(pl.col("arm") == arm).select("user_id")
    rows = rollup.read("tried", pl.col("experiment") == experiment)
    return rows.join(of, on="user_id", how="semi").drop("experiment")


def _or_nan(value: object) -> float:
    return float(value) if isinstance(value, int | float) else NAN
