"""Who comes on a day and when; who comes again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Mask, Rows, Times
from feedmill.core.clock import rng
from feedmill.sim.audience import People
from feedmill.sim.config import HOUR_MS, WorldConfig
from feedmill.sim.watch import Memory

HOURS = (
    0.044, 0.042, 0.035, 0.032, 0.029, 0.029, 0.031, 0.039, 0.042, 0.045, 0.045, 0.042,
    0.043, 0.044, 0.044, 0.044, 0.043, 0.043, 0.043, 0.044, 0.047, 0.049, 0.052, 0.050,
)  # fmt: skip
"""Share of watch time by hour (KuaiRand)."""
SHOWN_A_DAY = 425.0  # videos to a person (KuaiRand): the full scale of ``views_per_day``
VIEW_S = 40.0  # a view and a breath after it, amply


@dataclass(frozen=True, slots=True, eq=False)
class Sessions:
    """S sessions of a day in order of time.

    Attributes:
        user: int32[S]; a person has several.
        time_ms: int64[S] when the first slate is asked for.
    """

    user: Rows
    time_ms: Times

    def __len__(self) -> int:
        return len(self.user)


def session_lengths(config: WorldConfig, people: People, now_ms: int) -> Floats:
    """float32[N] videos of a session of each person, at the reference; at least 1."""
    habit = config.habit
    mean = habit.views / habit.sessions * np.sqrt(_scale(config))
    young = np.where(people.is_new(now_ms, habit.new_days), habit.new_patience, 1.0)
    out: Floats = np.maximum(mean * people.patience * young, 1.0).astype(np.float32)
    return out


def sessions_of(config: WorldConfig, people: People, memory: Memory, seed: int, day: int, now_ms: int) -> Sessions:
    """Who comes on a day, how often and when: their class and satisfaction, and chance of their own."""
    random, habit, n = rng(seed, "sessions", day), config.habit, len(people)
    usual = np.clip(np.asarray(habit.come)[people.activity(now_ms, habit.new_days)], 1e-9, 1 - 1e-9)
    is_never = np.asarray(habit.come)[people.activity(now_ms, habit.new_days)] <= 0
    logit = np.log(usual / (1 - usual)) + habit.come_liking * memory.satisfaction
    comes = (random.random(n) * (1 + np.exp(-logit)) < 1) & people.is_here & ~is_never
    more = np.maximum(habit.sessions * np.sqrt(_scale(config)) * people.eagerness - 1, 0)
    often = np.where(comes, 1 + random.poisson(more), 0)
    user = np.repeat(np.arange(n, dtype=np.int32), often)
    at_ms = _apart(_times(seed, day, user, often), user, session_lengths(config, people, now_ms))
    order = np.lexsort((user, at_ms))
    return Sessions(user[order], now_ms + at_ms[order])


def evening(config: WorldConfig, people: People, memory: Memory, seed: int, day: int, now_ms: int) -> Mask:
    """bool[N] who leaves for good; satisfaction becomes that of today too, and today's account is closed."""
    habit = config.habit
    watched = memory.n_today > 0
    today = memory.pleasure[watched] / memory.n_today[watched]
    memory.satisfaction[watched] += ((today - memory.satisfaction[watched]) / max(habit.memory_days, 1)).astype("f4")
    memory.pleasure[:], memory.n_today[:] = 0, 0
    often = np.where(people.is_new(now_ms, habit.new_days), habit.leave_new, 1.0)
    risk = habit.leave * often * np.exp(-habit.leave_liking * memory.satisfaction)
    leaves: Mask = (rng(seed, "leaves", day).random(len(people)) < risk) & people.is_here
    return leaves


def _apart(at_ms: Times, user: Rows, length: Floats) -> Times:
    """The same times, a person's next one at the earliest when the session before it is likely over."""
    order = np.lexsort((at_ms, user))
    whose, k = user[order], np.arange(len(user))
    first = np.searchsorted(whose, whose, side="left")
    gap_ms = (1000 * VIEW_S * length[whose]).astype(np.int64) * (k - first)
    far = whose.astype(np.int64) << 40  # keeps people out of each other's way in the running maximum
    out = np.empty_like(at_ms)
    out[order] = np.maximum.accumulate(at_ms[order] - gap_ms + far) - far + gap_ms
    return out


def _scale(config: WorldConfig) -> float:
    """Activity to the real one: half of it (in logs) is fewer sessions, half shorter ones."""
    return config.views_per_day / SHOWN_A_DAY


def _times(seed: int, day: int, user: Rows, often: NDArray[np.int64]) -> Times:
    """int64[S] milliseconds of the day by the shape of the day; a person's k-th session hangs on nothing but k."""
    k = np.arange(len(user)) - np.repeat(np.cumsum(often) - often, often)
    u = np.empty(len(user))
    for turn in range(int(often.max(initial=0))):
        rows = k == turn
        u[rows] = rng(seed, "times", day, turn).random(len(often))[user[rows]]
    edges = np.concatenate([[0.0], np.cumsum(HOURS) / np.sum(HOURS)])
    out: Times = (np.interp(u, edges, np.arange(25.0)) * HOUR_MS).astype(np.int64)
    return out
