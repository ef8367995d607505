"""What diaries say of videos: ages that are shown, the chance that new ones get, how different slates are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Rows
from feedmill.core.clock import rng
from feedmill.core.errors import DataError
from feedmill.metrics.diversity import gini, n_distinct, topics_apart
from feedmill.metrics.intervals import Interval, bootstrap
from feedmill.sim.config import DAY_MS
from feedmill.sim.diary import Diary, ViewRows

HOUR_MS = 3_600_000.0


class Ages(NamedTuple):
    """Views by age of the video in whole days, the last class being all that are older; float64[n_ages] each."""

    share: NDArray[np.float64]  # of all views
    seconds: NDArray[np.float64]  # expected of a view, NaN where there is none


def by_age(diary: Diary, n_ages: int = 15) -> Ages:
    """From which ages of videos watch time comes.

    Raises:
        DataError: fewer than one class.
    """
    if n_ages < 1:
        raise DataError(f"{n_ages} classes of age", "1 or more")
    rows = diary.videos
    age = np.minimum(diary.age_days(rows.item, rows.day), n_ages - 1)
    views, expected = np.bincount(age, rows.views, n_ages), np.bincount(age, rows.expected, n_ages)
    with np.errstate(invalid="ignore", divide="ignore"):
        return Ages(views / views.sum(), expected / views)


class NewVideos(NamedTuple):
    """How videos fare that arrive during a diary.

    Attributes:
        n: that arrived, all within ``days`` before the end left out.
        share_of_views: of all views from the first arrival on, those of videos in their first ``days`` days.
        shown: share that anybody has looked at in that time.
        enough: share that has had ``ENOUGH`` views in that time.
        hours_to_enough: median over those that had, from the morning on which they arrived; NaN if none.
    """

    n: int
    share_of_views: float
    shown: Interval
    enough: Interval
    hours_to_enough: float


def new_videos(diary: Diary, seed: int, days: int = 2) -> NewVideos:
    """The first ``days`` days of videos that arrived on day 1 or later; intervals are over videos."""
    arrived, rows = diary.arrived_day, diary.videos
    counts = np.flatnonzero((arrived >= 0) & (arrived + days <= diary.n_days))
    is_young = (arrived[rows.item] >= 0) & (rows.day < arrived[rows.item] + days)
    since = arrived[arrived >= 0].min(initial=diary.n_days)
    all_views = int(rows.views[rows.day >= since].sum())
    views = np.bincount(rows.item[is_young], rows.views[is_young], len(arrived))
    waited_ms = diary.enough_ms - (diary.start_ms + arrived.astype(np.int64) * DAY_MS)
    had = (diary.enough_ms >= 0) & (waited_ms < days * DAY_MS)
    hours = waited_ms[counts][had[counts]] / HOUR_MS
    return NewVideos(
        n=len(counts),
        share_of_views=float(views.sum() / all_views) if all_views else float("nan"),
        shown=bootstrap(views[counts] > 0, seed),
        enough=bootstrap(had[counts], seed),
        hours_to_enough=float(np.median(hours)) if len(hours) else float("nan"),
    )


class Diversity(NamedTuple):
    """How different what people look at is.

    Attributes:
        topics_apart, n_topics, n_authors: means over slates (of those slots that were looked at, two at least).
        gini: of views over the videos there were, 0 = all alike.
        coverage: share of the videos there were that anybody looked at.
    """

    topics_apart: Interval
    n_topics: Interval
    n_authors: Interval
    gini: float
    coverage: float


def diversity(diary: Diary, topics: NDArray[np.int16], author: Rows, seed: int, n_slates: int = 2000) -> Diversity:
    """Of a sample of slates, and of all views.

    Args:
        topics: int16[M, T] of the world's videos, -1 = none.
        author: int32[M].

    Raises:
        DataError: the diary has not kept its views.
    """
    if diary.views is None:
        raise DataError("a diary without views", "every view, to tell slates apart", "keep = True")
    slates = _slates(diary.views, seed, n_slates)
    found = np.array([_of_slate(topics[s].astype(np.int32) + 1, author[s] + 1) for s in slates]).reshape(-1, 3)
    views = np.bincount(diary.videos.item, diary.videos.views, len(diary.arrived_day))
    apart, n_topics, n_authors = (bootstrap(column, seed) for column in found.T)
    return Diversity(apart, n_topics, n_authors, gini(views), float((views > 0).mean()) if len(views) else float("nan"))


def _slates(views: ViewRows, seed: int, n: int) -> list[Rows]:
    """Videos looked at of ``n`` slates with two at least, drawn without replacement."""
    order = np.argsort(views.ask, kind="stable")
    _, first, size = np.unique(views.ask[order], return_index=True, return_counts=True)
    chosen = np.flatnonzero(size >= 2)
    if len(chosen) > n:
        chosen = np.sort(rng(seed, "slates").choice(chosen, n, replace=False))
    return [views.item[order[first[c] : first[c] + size[c]]] for c in chosen.tolist()]


def _of_slate(topics: Rows, author: Rows) -> tuple[float, float, float]:
    return topics_apart(topics), float(n_distinct(topics)), float(n_distinct(author))
