"""A part of what the rollup knows of an experiment: some of its arms, from a day on, up to another."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from feedmill.experiments.config import HOLDOUT, LAUNCHED, REVERSE
from feedmill.experiments.record import Experiment, Launch, Moment
from feedmill.metrics.rollup.rollup import Rollup
from feedmill.metrics.rollup.units import Tried


@dataclass(frozen=True)
class Stretch:
    """What to read: an experiment and its launch have one name, and are told apart by arms and days.

    Attributes:
        arms: whose exposures count.
        first: exposures and events before that day do not count; None = they do.
        last: the last day that counts; None = all there is.
        before_days: that CUPED may look at; 0 where the days before were treated already.
    """

    experiment: str
    arms: Collection[str]
    first: date | None = None
    last: date | None = None
    before_days: int = 14

    def tried(self, rollup: Rollup, until: date | None = None) -> Tried:
        """Its users, up to a day.

        Raises:
            DataError: nobody was exposed.
        """
        ends = [day for day in (self.last, until) if day is not None]
        until = min(ends, default=None)
        return Tried(rollup, self.experiment, self.before_days, until, self.arms, self.first)


def of_experiment(e: Experiment, timezone: str) -> Stretch:
    """While it ran. The day on which it stopped is left out, because its users were served as others later that day,
    unless it is all there is."""
    started, ended = e.started or e.created, e.stopped or e.closed
    first, last = day_of(started, timezone), None
    if ended is not None:
        last = max(first, day_of(ended, timezone) - timedelta(days=1))
    return Stretch(e.name, tuple(e.buckets), first, last)


def of_reverse(e: Experiment, timezone: str) -> Stretch | None:
    """While the reverse bucket of its launch is open, from the first whole day on; None = it never was."""
    if e.launch is None or e.launch.reversed is None:
        return None
    first = _next_midnight(e.launch.reversed, timezone)
    end = e.launch.ended or e.taken_back
    last = None if end is None else day_of(end, timezone) - timedelta(days=1)
    return Stretch(e.name, (LAUNCHED, REVERSE), first, last, before_days=0)


def of_holdout(launches: Collection[Launch], timezone: str) -> Stretch:
    """From the first whole day on which everyone else has all launches; the days before have some of them already."""
    first = max(_next_midnight(x.rolled_out, timezone) for x in launches)
    return Stretch(HOLDOUT, ("in", "out"), first, before_days=0)


def _next_midnight(moment: Moment, timezone: str) -> date:
    """The first day that begins at or after a moment."""
    return day_of(Moment(moment.time_ms - 1, moment.offset), timezone) + timedelta(days=1)


def day_of(moment: Moment, timezone: str) -> date:
    """The day of a moment in a time zone."""
    return datetime.fromtimestamp(moment.time_ms / 1000, ZoneInfo(timezone)).date()
