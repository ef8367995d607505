"""What diaries say of people: watch time by day and against another feed, who comes again, what new people meet.

Intervals are the bootstrap's over people: what one person does on different days is not independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Mask, Rows
from feedmill.core.errors import DataError
from feedmill.core.events import Kind
from feedmill.metrics.intervals import Interval, bootstrap
from feedmill.sim.diary import Diary

Of = Literal["expected", "seconds", "views", "pages", "sessions"]
"""What is added up: ``expected`` is the truth without the luck of single views."""


@dataclass(frozen=True, slots=True, eq=False)
class Days:
    """A diary by day; each column [n_days].

    Attributes:
        people: int64 who came (DAU).
        sessions, pages, views: int64.
        seconds, expected: float64 watched, and expected of what was watched.
        new_people: int64 of those who came, new on that day.
        came_again: float64 share of those of the day before who came, NaN on day 0.
    """

    people: NDArray[np.int64]
    sessions: NDArray[np.int64]
    pages: NDArray[np.int64]
    views: NDArray[np.int64]
    seconds: NDArray[np.float64]
    expected: NDArray[np.float64]
    new_people: NDArray[np.int64]
    came_again: NDArray[np.float64]


def by_day(diary: Diary) -> Days:
    """Sums over people."""
    rows, n = diary.people, diary.n_days
    added = [np.bincount(rows.day, x, n) for x in (rows.sessions, rows.pages, rows.views)]
    came = attendance(diary)
    both = (came[:, 1:] & came[:, :-1]).sum(axis=0)
    with np.errstate(invalid="ignore"):
        again = both / came[:, :-1].sum(axis=0)
    return Days(
        people=np.bincount(rows.day, minlength=n),
        sessions=added[0].astype(np.int64),
        pages=added[1].astype(np.int64),
        views=added[2].astype(np.int64),
        seconds=np.bincount(rows.day, rows.seconds, n).astype(np.float64),
        expected=np.bincount(rows.day, rows.expected, n).astype(np.float64),
        new_people=np.bincount(rows.day[diary.joined_day[rows.user] == rows.day], minlength=n),
        came_again=np.concatenate([np.full(min(n, 1), np.nan), again]),
    )


def attendance(diary: Diary) -> Mask:
    """bool[N, n_days]: who came when."""
    came = np.zeros((len(diary.joined_day), diary.n_days), np.bool_)
    came[diary.people.user, diary.people.day] = True
    return came


def per_person(diary: Diary, of: Of = "expected", first: int = 0, last: int | None = None) -> NDArray[np.float64]:
    """float64[N] of each person, added up over the days ``first`` to ``last`` (that one too; None = the diary's last).

    Raises:
        DataError: no such days.
    """
    end = diary.n_days - 1 if last is None else last
    if not 0 <= first <= end < diary.n_days:
        raise DataError(f"days {first} to {end}", f"days of the diary, 0 to {diary.n_days - 1}")
    rows = diary.people
    within = (rows.day >= first) & (rows.day <= end)
    return np.bincount(rows.user[within], getattr(rows, of)[within], len(diary.joined_day)).astype(np.float64)


def share(
    ours: Diary,
    other: Diary,
    seed: int,
    of: Of = "expected",
    first: int = 0,
    last: int | None = None,
    n_resamples: int = 1000,
) -> Interval:
    """Ours over the other's, such as the oracle's, of the same people in the same world; 1 = as much.

    The same people have the same luck in both, and are compared with themselves. Who would have left for good, and who
    stays for longer, is in it: this is the share of the whole stay, ``regret.share_now`` that of the moment.

    Raises:
        DataError: no such days, or another number of days.
    """
    if ours.n_days != other.n_days and last is None:
        raise DataError(f"diaries of {ours.n_days} and {other.n_days} days", "equally many", "say the last day")
    mine, theirs = (per_person(d, of, first, last) for d in (ours, other))
    n = max(len(mine), len(theirs))
    return ratio(_padded(mine, n), _padded(theirs, n), seed, n_resamples)


def share_by_day(ours: Diary, other: Diary, seed: int, of: Of = "expected", n_resamples: int = 200) -> list[Interval]:
    """``share`` of each day."""
    return [share(ours, other, seed, of, day, day, n_resamples) for day in range(min(ours.n_days, other.n_days))]


def ratio(num: NDArray[Any], den: NDArray[Any], seed: int, n_resamples: int = 1000) -> Interval:
    """sum(num) / sum(den) over people with the bootstrap's interval of its linear form.

    R + (num - R den) / mean(den) has the mean R and, but for terms of higher order, the variance of the ratio (the
    delta method: Deng, Knoblich and Lu, KDD 2018). Who has neither is left out; NaN all over if there is nothing to
    divide by.
    """
    there = (num != 0) | (den != 0)
    num, den = np.asarray(num, np.float64)[there], np.asarray(den, np.float64)[there]
    total = den.sum()
    if not total > 0:
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    r = num.sum() / total
    return bootstrap(r + (num - r * den) / (total / len(den)), seed, n_resamples=n_resamples, purpose="ratio")


def rate(diary: Diary, kind: Kind, seed: int) -> Interval:
    """Reactions of a kind for each view."""
    n, rows = len(diary.joined_day), diary.people
    return ratio(np.bincount(rows.user, rows.did(kind), n), np.bincount(rows.user, rows.views, n), seed)


def retention(diary: Diary, after: int, seed: int, who: Literal["all", "new"] = "all") -> Interval:
    """Of those who came on a day, the share that came ``after`` days later, over all such days.

    Args:
        who: ``"new"``: only from the day on which each was new.

    Returns:
        NaN all over if the diary is too short, or nobody was new.
    """
    came = attendance(diary)
    start = came[:, : max(diary.n_days - after, 0)]
    if who == "new":
        start = start & (np.arange(start.shape[1]) == diary.joined_day[:, None])
    later = came[:, after : after + start.shape[1]]
    return ratio((start & later).sum(axis=1), start.sum(axis=1), seed)


class FirstDay(NamedTuple):
    """What people meet on the day on which they are new, and what all others meet on the same days."""

    seconds_per_view: Interval
    seconds_per_view_others: Interval
    views: Interval
    views_others: Interval
    came_next_day: Interval
    came_next_day_others: Interval


def first_day(diary: Diary, seed: int) -> FirstDay:
    """Expected seconds of a view and views a day of new people and of others; who came again on the next day.

    NaN where nobody was new.
    """
    rows, n = diary.people, len(diary.joined_day)
    is_new = diary.joined_day[rows.user] == rows.day
    days = np.unique(rows.day[is_new])
    others = ~is_new & np.isin(rows.day, days)
    found = []
    for of in (is_new, others):
        user = rows.user[of]
        came, views = np.bincount(user, minlength=n), np.bincount(user, rows.views[of], n)
        found.append((ratio(np.bincount(user, rows.expected[of], n), views, seed), ratio(views, came, seed)))
    again = retention(diary, 1, seed, "new"), _others_again(diary, days, seed)
    return FirstDay(found[0][0], found[1][0], found[0][1], found[1][1], *again)


def _others_again(diary: Diary, days: Rows, seed: int) -> Interval:
    """Who came on one of these days, not new, and on the next."""
    came = attendance(diary)
    days = days[days < diary.n_days - 1]
    start = came[:, days] & (days != diary.joined_day[:, None])
    return ratio((start & came[:, days + 1]).sum(axis=1), start.sum(axis=1), seed)


def _padded(x: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    return np.concatenate([x, np.zeros(n - len(x))])
