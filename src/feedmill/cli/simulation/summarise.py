"""From diaries to what is kept of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from feedmill.cli.simulation.summary import Bounds, Day, FirstDay, NewVideos, Policy, Shown, figure
from feedmill.metrics.intervals import Interval
from feedmill.sim import figures, figures_videos
from feedmill.sim.config import DAY_MS
from feedmill.sim.diary import Diary
from feedmill.sim.regret import Sample, share_now, share_now_by_day
from feedmill.sim.world import World

YOUNG_DAYS, MOST_AGES, MOST_RETENTION = 2, 15, 14
STEP_H = 3.0
RESAMPLES = 400


def summarised(
    name: str,
    diary: Diary,
    world: World,
    sample: Sample,
    oracle: Diary | None,
    beside: tuple[str, Diary] | None,
    settled: int,
    run_s: float,
) -> Policy:
    """All that is said of a policy.

    Args:
        world: as the policy has left it.
        sample: of its slates beside the oracle's at the same moments.
        oracle: of the same world and seed; None: shares of it are not known.
        beside: name and diary of the policy to compare with.
        settled: the first day that counts.
    """
    seed = world.seed
    first = min(settled, diary.n_days - 1)
    ever = np.zeros(len(diary.joined_day), np.bool_)
    ever[diary.people.user] = True
    per_person = figures.per_person(diary, "seconds", first)[ever] / 60 / (diary.n_days - first)
    return Policy(
        name=name,
        days=_days(diary, sample, oracle, seed),
        minutes=bounds(figures.ratio(per_person, np.ones(len(per_person)), seed)),
        share=_share(diary, oracle, seed, first),
        now=bounds(share_now(sample, seed, first, diary.n_days - 1)),
        retention=_retention(diary, seed, "all"),
        retention_new=_retention(diary, seed, "new"),
        first_day=_first_day(diary, seed),
        new_videos=new_videos(diary, seed),
        shown=_shown(diary, world),
        run_s=run_s,
        beside=beside[0] if beside else "",
        more=less_one(_share(diary, beside[1], seed, first)) if beside else Bounds(),
    )


def bounds(x: Interval) -> Bounds:
    """For JSON; of one person alone there is no interval."""
    return Bounds.of(x.mean, *((x.low, x.high) if x.n > 1 else (float("nan"),) * 2))


def less_one(x: Bounds) -> Bounds:
    """A ratio as a change."""
    return Bounds(*(None if v is None else v - 1 for v in (x.value, x.low, x.high)))


def new_videos(diary: Diary, seed: int) -> NewVideos:
    """How those fare that are published on day 1 or later."""
    found = figures_videos.new_videos(diary, seed, min(YOUNG_DAYS, diary.n_days))
    hours, reached = waiting(diary)
    half = np.flatnonzero(reached >= 0.5)
    seen = bounds(found.shown)
    unseen = Bounds(*(None if v is None else 1 - v for v in (seen.value, seen.high, seen.low)))
    return NewVideos(
        videos=int((diary.arrived_day >= 1).sum()),
        hours=hours.tolist(),
        reached=reached.tolist(),
        enough=bounds(found.enough),
        unseen=unseen,
        median_hours=float(hours[half[0]]) if len(half) else None,
    )


def waiting(diary: Diary) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(hours of age, share of new videos that have had enough views by then), by Kaplan and Meier 1958.

    A video that is still waiting when the diary ends was watched until then.
    """
    new = diary.arrived_day >= 1
    born = diary.start_ms + diary.arrived_day[new].astype(np.int64) * DAY_MS
    end_ms = diary.start_ms + diary.n_days * DAY_MS
    had = diary.enough_ms[new] >= 0
    waited_h = (np.where(had, diary.enough_ms[new], end_ms) - born) / 3.6e6
    hours = np.arange(0.0, 24.0 * max(diary.n_days - 1, 0) + STEP_H, STEP_H)
    left, at = np.ones(len(hours)), 1.0
    for k in range(1, len(hours)):
        at_risk = (waited_h > hours[k - 1]).sum()
        events = (had & (waited_h > hours[k - 1]) & (waited_h <= hours[k])).sum()
        at *= 1 - events / at_risk if at_risk else 1.0
        left[k] = at
    return hours, 1 - left


def _days(diary: Diary, sample: Sample, oracle: Diary | None, seed: int) -> list[Day]:
    of = figures.by_day(diary)
    n = min(diary.n_days, oracle.n_days if oracle else 0)
    shares = figures.share_by_day(diary, oracle, seed, n_resamples=RESAMPLES)[:n] if oracle else []
    young = new_share(diary)
    now = share_now_by_day(sample, seed, diary.n_days)
    return [
        Day(
            day=day,
            people=int(of.people[day]),
            new_people=int(of.new_people[day]),
            views=int(of.views[day]),
            minutes=figure(of.seconds[day] / 60 / of.people[day]) if of.people[day] else None,
            share=bounds(shares[day]) if day < len(shares) else Bounds(),
            now=bounds(now[day]),
            new_share=figure(young[day]),
        )
        for day in range(diary.n_days)
    ]


def new_share(diary: Diary) -> NDArray[np.float64]:
    """float64[n_days] share of views that are of videos in their first two days."""
    rows, n = diary.videos, diary.n_days
    age = rows.day - diary.arrived_day[rows.item]
    young = (diary.arrived_day[rows.item] >= 0) & (age < YOUNG_DAYS)
    with np.errstate(invalid="ignore"):
        out: NDArray[np.float64] = np.bincount(rows.day[young], rows.views[young], n) / np.bincount(
            rows.day, rows.views, n
        )
    return out


def _share(ours: Diary, other: Diary | None, seed: int, first: int) -> Bounds:
    if other is None:
        return Bounds()
    last = min(ours.n_days, other.n_days) - 1
    return bounds(figures.share(ours, other, seed, first=min(first, last), last=last))


def _retention(diary: Diary, seed: int, who: str) -> list[Bounds]:
    days: Sequence[int] = range(1, min(diary.n_days, MOST_RETENTION + 1))
    return [bounds(figures.retention(diary, k, seed, "new" if who == "new" else "all")) for k in days]


def _first_day(diary: Diary, seed: int) -> FirstDay:
    x = figures.first_day(diary, seed)
    return FirstDay(
        view_s=bounds(x.seconds_per_view),
        view_s_others=bounds(x.seconds_per_view_others),
        views=bounds(x.views),
        views_others=bounds(x.views_others),
        again=bounds(x.came_next_day),
        again_others=bounds(x.came_next_day_others),
    )


def _shown(diary: Diary, world: World) -> Shown:
    x = figures_videos.diversity(diary, world.videos.topics, world.videos.author, world.seed)
    return Shown(
        topics_apart=bounds(x.topics_apart),
        n_topics=bounds(x.n_topics),
        n_authors=bounds(x.n_authors),
        coverage=figure(x.coverage),
        gini=figure(x.gini),
        by_age=np.nan_to_num(figures_videos.by_age(diary, MOST_AGES).share).tolist(),
    )
