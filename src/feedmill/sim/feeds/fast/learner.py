"""What is learned from views, which several feeds may share."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from feedmill.core.batches import Floats, Rows, Times
from feedmill.core.events import EventBatch, Kind
from feedmill.sim.feeds.fast.config import LearnerConfig
from feedmill.sim.feeds.fast.descriptions import Descriptions, grown
from feedmill.sim.feeds.fast.model import DAY_MS, Model, Sample
from feedmill.sim.feeds.fast.recents import Recents, see
from feedmill.sim.feeds.fast.seconds import Surface, Yardstick, log_length
from feedmill.sim.views import Views

HOUR_MS = 3_600_000
FADE = 0.8  # what yesterday's calibration counts for today


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """Views as they are kept: 40 bytes each."""

    user: Rows
    item: Rows
    time_ms: Times
    repeats: Floats
    seconds: Floats
    liking: Floats  # 1 = reacted well, -1 = badly
    score: Floats  # as it was before the view, NaN where nothing was known yet


class Learner:
    """A model of liking and of seconds, learned from views alone: in the day, by night, or not any more.

    Two feeds may have one learner: each tells it of its own views, and both rank by what it makes of all. Once
    ``freeze`` is called nothing changes but what each person has just seen.

    Attributes:
        about: what was described.
        model: scores; see Model.
        surface: seconds of scores.
        recents: what each person has just seen.
        exposures: int32[room] views of each video.
        n_views: taken in so far.
        is_ready: there is something to rank by.
        version: counts changes of what videos are worth.
    """

    Config = LearnerConfig

    def __init__(self, config: LearnerConfig, seed: int) -> None:
        self.config, self.about = config, Descriptions()
        self.model, self.surface, self._yardstick = Model(config, self.about, seed), Surface(), Yardstick()
        self.recents, self.exposures = Recents.none(), np.zeros(0, np.int32)
        self.length: Floats = np.zeros(0, np.float32)
        self.n_views, self.version, self.is_ready = 0, 0, False
        self.is_frozen = config.learn == "frozen"
        self._past: list[Past] = []
        self._n_fitted, self._day, self._settled_ms = 0, -1, 0
        self._new = 0  # of the past, where tonight's views begin
        self._touched: list[Rows] = []

    def freeze(self) -> None:
        """Learn no more."""
        self.is_frozen = True

    def describe(self, events: EventBatch) -> None:
        """People and videos; to be told of them again changes nothing."""
        self.about.describe(events)
        self.model.grow()
        self.recents = self.recents.grown(len(self.about.users))
        self.exposures = grown(self.exposures, len(self.about.items))
        self.length = log_length(self.about.duration_s)
        self.version += 1

    def take(self, views: Views) -> None:
        """Remember views and, in the day, learn from them."""
        if not len(views):
            return
        model, repeats = self.model, np.empty((len(views), 2), np.float32)
        see(self.recents, views.user, views.item, views.time_ms, model.labels, self.about.author, self.about.n_labels,
            repeats)  # fmt: skip
        if self.is_frozen:
            return
        np.add.at(self.exposures, views.item, 1)
        score = model.scores(views.user, views.item, views.time_ms, repeats)
        if not self.is_ready:
            score[:] = np.nan
        self._past.append(Past(views.user, views.item, views.time_ms, repeats, views.seconds, liking(views), score))
        self.n_views += len(views)
        if self.config.learn == "in-day":
            self._learn(self._past[-1])

    def night(self, day: int) -> None:
        """Fit to the last days; once a day, however many feeds call."""
        if self.is_frozen or day <= self._day:
            return
        self._day = day
        if self._past:
            self._fit()
            self._new = len(self._past)

    def _learn(self, views: Past) -> None:
        if not self.is_ready:
            if self.n_views >= self.config.first_fit:
                self._fit()
            return
        self.model.learn(self._sample(views, int(views.time_ms[-1])), views.score)
        self._touched.append(views.item)
        if self._day < 0 and self.n_views >= 2 * self._n_fitted:
            self._fit()
        elif views.time_ms[-1] - self._settled_ms > HOUR_MS:
            self.model.settle(np.unique(np.concatenate(self._touched)))
            self._touched, self._settled_ms = [], int(views.time_ms[-1])
            self.version += 1

    def _sample(self, views: Past, now_ms: int) -> Sample:
        days = (now_ms - views.time_ms) / DAY_MS
        weight = np.exp2(-np.maximum(days, 0) / self.config.half_life_days).astype(np.float32)
        target = self._yardstick.target(self.length[views.item], views.seconds)
        target += np.float32(self.config.reaction) * views.liking
        return Sample(views.user, views.item, views.time_ms, views.repeats, target, weight)

    def _fit(self) -> None:
        is_first = not self.is_ready
        newest_ms = int(self._past[-1].time_ms[-1])
        oldest_ms = newest_ms - self.config.memory_days * DAY_MS
        gone = [p for p in self._past if p.time_ms[-1] < oldest_ms]
        self._past, self._new = self._past[len(gone) :], max(0, self._new - len(gone))
        if len(self._past) > 1:
            new = self._past[self._new :]
            self._past = [*([joined(self._past[: self._new])] if self._new else []), *([joined(new)] if new else [])]
            self._new = min(self._new, 1)
        views = joined(self._past)
        if self._day <= 0:
            self._yardstick.fit(self.length[views.item], views.seconds)
        if not is_first and self._new < len(self._past):
            self._calibrate(self._past[-1])
        sample = self._sample(views, newest_ms)
        if is_first:  # nothing was predicted yet: half of the views predict the other
            self._first(sample, views)
        self.model.fit(sample, self.config.n_rounds * (8 if self._day <= 0 else 1))
        self._n_fitted, self.is_ready, self._touched, self._settled_ms = self.n_views, True, [], newest_ms
        self.version += 1

    def _calibrate(self, views: Past) -> None:
        """On what was predicted and then seen. Not in the first day: what a feed shows is too much alike for that."""
        known = np.isfinite(views.score)
        if known.any() and self._day >= 0:
            self.surface.fit(views.score[known], self.length[views.item[known]], views.seconds[known], FADE)

    def _first(self, sample: Sample, views: Past) -> None:
        half = np.arange(len(views.user)) % 2 > 0
        self.model.fit(Sample(*(getattr(sample, f.name)[half] for f in fields(sample))), 8 * self.config.n_rounds)
        other = ~half
        columns = sample.user[other], sample.item[other], sample.time_ms[other], sample.repeats[other]
        self.surface.fit(self.model.scores(*columns), self.length[columns[1]], views.seconds[other], 0.0)


def liking(views: Views) -> Floats:
    """float32[n]: 1 where people did anything but dislike, -1 where they disliked."""
    disliked = views.did(Kind.DISLIKE)
    return np.where(disliked, -1, views.reactions > 0).astype(np.float32)


def joined(parts: list[Past]) -> Past:
    """All in one."""
    return Past(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Past)))
