"""One metric of one experiment, a row per user: what an analysis reads."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from feedmill.core.errors import DataError
from feedmill.metrics.rollup.columns import KINDS
from feedmill.metrics.rollup.measures import PER_USER, RETENTION_DAYS, Measure
from feedmill.metrics.rollup.measures import measure as definition
from feedmill.metrics.rollup.people import active_days, people, returned
from feedmill.metrics.rollup.rollup import Rollup

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """n users, each in one arm; a metric is sum(num) / sum(den) of an arm.

    Attributes:
        arms: names of the arms.
        arm: int32[n] index into them.
        num: float64[n] such as seconds watched, or clicks.
        den: float64[n] such as 1 for a mean per user, or impressions for a rate.
        num_before, den_before: float64[n] the same of the days before the experiment began, 0 for who was not there.
    """

    arms: tuple[str, ...]
    arm: NDArray[np.int32]
    num: Doubles
    den: Doubles
    num_before: Doubles
    den_before: Doubles

    def __len__(self) -> int:
        return len(self.arm)

    def of(self, arm: str) -> Units:
        """Those of one arm."""
        there = self.arm == self.arms.index(arm)
        columns = (self.arm, self.num, self.den, self.num_before, self.den_before)
        return Units(self.arms, *(column[there] for column in columns))


def units(rollup: Rollup, experiment: str, measure: str, before_days: int = 14, until: date | None = None) -> Units:
    """A metric of an experiment by user: events from each user's first exposure on, in log order.

    A user is of the arm that acted first, whatever came later (intention to treat; ``exposures`` counts those who
    saw several). "Before" are the ``before_days`` days that end before the day of the experiment's first exposure;
    of a retention, before is the number of days the user was active then, over 1.

    Args:
        measure: a name in ``measures.PER_USER``.
        until: the last day that counts; None = all there is. Users exposed later are left out.

    Raises:
        NotFoundError: there is no such measure.
        DataError: nobody was exposed, there is no data (the message says which events are missing), or the measure
            is not one of users.
    """
    return Tried(rollup, experiment, before_days, until).units(measure)


def exposures(
    rollup: Rollup, experiment: str, arms: Collection[str] | None = None, since: date | None = None
) -> pl.DataFrame:
    """Who was exposed: user_id -> arm (the first), offset, time_ms, day of the first exposure, n_arms seen.

    ``n_arms`` > 1 is a crossover: the assignment changed, which it must not while an experiment runs. Rows are in
    order of offset.

    Args:
        arms: only exposures to these; None = to any.
        since: only exposures of that day and after; None = all.
    """
    where = pl.col("experiment") == experiment
    if arms is not None:
        where &= pl.col("arm").is_in(list(arms))
    if since is not None:
        where &= pl.col("day") >= since
    rows = rollup.read("exposed", where).sort("offset")
    firsts = pl.col("arm", "offset", "time_ms", "day").first()
    return rows.group_by("user_id", maintain_order=True).agg(firsts, n_arms=pl.col("arm").n_unique().cast(pl.Int64))


class Tried:
    """An experiment read once, for any number of measures.

    Args:
        rollup, experiment, before_days, until: see ``units``.
        arms, since: see ``exposures``.

    Attributes:
        exposed: see ``exposures``; those exposed until then.
        arms: their names, sorted.
        first, last: days: of the first exposure, and the last that counts.

    Raises:
        DataError: nobody was exposed.
    """

    def __init__(
        self,
        rollup: Rollup,
        experiment: str,
        before_days: int = 14,
        until: date | None = None,
        arms: Collection[str] | None = None,
        since: date | None = None,
    ) -> None:
        exposed = exposures(rollup, experiment, arms, since)
        self.experiment = experiment
        self.exposed = exposed if until is None else exposed.filter(pl.col("day") <= until)
        self._check_exposed(since, until)
        self.arms = tuple(sorted(self.exposed["arm"].unique()))
        self.first = _day(self.exposed["day"].min())
        tried = self._tried(rollup)
        seen = _day(tried["day"].max())
        over = seen - timedelta(days=1)  # the last day of a log may not be over
        self.last = seen if until is None else until
        tried = tried.filter(pl.col("day") <= self.last)
        back = returned(self.exposed.select("user_id", "day"), active_days(tried), min(over, self.last))
        during = self._by_user(people(tried)).with_columns(users=pl.lit(1))
        self._during = pl.concat([during, back.drop("user_id", "day")], how="horizontal")
        before = self._by_user(people(self._days_before(rollup, before_days)))
        self._before = before.with_columns(
            *(pl.col("active_days").alias(f"returned_{k}") for k in RETENTION_DAYS),
            *(pl.col("users").alias(f"awaited_{k}") for k in RETENTION_DAYS),
        )

    def __len__(self) -> int:
        return len(self.exposed)

    def units(self, measure: str) -> Units:
        """See ``units``."""
        of = definition(measure)
        if not of.is_per_user:
            raise DataError(f"{measure} is not a sum over users", f"one of {', '.join(PER_USER)}")
        num, den = (self._during[c].to_numpy().astype(np.float64) for c in (of.num, of.den))
        num_before, den_before = (self._before[c].to_numpy().astype(np.float64) for c in (of.num, of.den))
        self._check(of, float(num.sum()), float(den.sum()))
        index = {name: i for i, name in enumerate(self.arms)}
        arm = np.fromiter((index[a] for a in self.exposed["arm"]), np.int32, len(self))
        return Units(self.arms, arm, num, den, num_before, den_before)

    def _tried(self, rollup: Rollup) -> pl.DataFrame:
        """Their days from the day of the first exposure on; events that came late, of days before it, are left out."""
        since = (pl.col("experiment") == self.experiment) & (pl.col("day") >= self.first)
        began = self.exposed.select("user_id", began="day")
        return rollup.read("tried", since).join(began, on="user_id").filter(pl.col("day") >= pl.col("began"))

    def _days_before(self, rollup: Rollup, n: int) -> pl.DataFrame:
        since = (pl.col("day") >= self.first - timedelta(days=n)) & (pl.col("day") < self.first)
        return rollup.read("days", since).join(self.exposed.select("user_id"), on="user_id", how="semi")

    def _check_exposed(self, since: date | None, until: date | None) -> None:
        if self.exposed.is_empty():
            days = "".join(f" {word} {day}" for word, day in (("from", since), ("until", until)) if day)
            raise DataError(
                f"no data: nobody was exposed to {self.experiment!r}{days}",
                "impressions whose payload names it",
                "wait for traffic, or check that it runs and that its arms change the feed",
            )

    def _by_user(self, rows: pl.DataFrame) -> pl.DataFrame:
        """In the order of ``exposed``, zeros for who has no row."""
        out = self.exposed.select("user_id").join(rows, on="user_id", how="left", maintain_order="left")
        return out.with_columns(pl.exclude("user_id").fill_null(0))

    def _check(self, of: Measure, num: float, den: float) -> None:
        if num > 0 and den > 0:
            return
        period = f"{self.first} to {self.last}"
        why = lacking(of, self._during)
        if of.num.startswith("returned") and den == 0:
            why = f"that many days after an exposure are not over by {self.last}"
        raise DataError(
            f"no data for {of.name} of {self.experiment!r} from {period}: {why}",
            f"some {of.num.replace('_', ' ')} by {of.den.replace('_', ' ')} of the users exposed",
            "log these events, wait, or choose another measure",
        )


def lacking(of: Measure, rows: pl.DataFrame) -> str:
    """What there is none of in rows by user, of what a measure needs: events first, then its sums."""
    missing = [k.name for c, k in KINDS.items() if k in of.needs and not rows[c].sum()]
    if missing:
        return f"no {' and no '.join(missing)} events"
    return f"no {(of.num if rows[of.den].sum() else of.den).replace('_', ' ')}"


def _day(value: object) -> date:
    assert isinstance(value, date)
    return value
