"""Diaries written by hand."""

from __future__ import annotations

import numpy as np

from feedmill.sim.config import DAY_MS
from feedmill.sim.diary import Diary, PersonDays, VideoDays

START_MS = 0
HOUR_MS = DAY_MS // 24


def diary(
    people: list[tuple[int, int, float]] = (),  # type: ignore[assignment]
    videos: list[tuple[int, int, int]] = (),  # type: ignore[assignment]
    *,
    joined: list[int] = (),  # type: ignore[assignment]
    arrived: list[int] = (),  # type: ignore[assignment]
    enough_h: list[float] = (),  # type: ignore[assignment]
    n_days: int = 4,
) -> Diary:
    """People (day, user, seconds), videos (day, item, views); hours since the start at which a video had 100 views."""
    day, user, seconds = (np.array(x) for x in zip(*people, strict=True)) if people else (np.zeros(0),) * 3
    one = np.ones(len(day), np.int32)
    s = seconds.astype(np.float64)
    rows = PersonDays(
        day.astype(np.int32), user.astype(np.int32), one, one, one, s, s, np.zeros((len(day), 5), np.int32)
    )
    when, item, views = (
        (np.array(x, np.int32) for x in zip(*videos, strict=True)) if videos else (np.zeros(0, np.int32),) * 3
    )
    none = np.zeros(len(when))
    born = np.array(arrived, np.int64) * DAY_MS
    enough = np.array([-1 if h < 0 else round(h * HOUR_MS) for h in enough_h], np.int64)
    return Diary(n_days, START_MS, rows, VideoDays(when, item, views, none, none), None, np.array(joined, np.int32),
                 np.array(arrived, np.int32), born, enough)  # fmt: skip
