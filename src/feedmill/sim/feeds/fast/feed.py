"""The fast feed: candidates, rank by expected seconds, re-rank with a window and slots for what is new."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Rows
from feedmill.core.events import EventBatch
from feedmill.retrieval.cores import n_cores
from feedmill.sim.feeds.fast.config import FastConfig
from feedmill.sim.feeds.fast.learner import HOUR_MS, Learner
from feedmill.sim.feeds.fast.model import DAY_MS
from feedmill.sim.feeds.fast.ranking import People, Shelf, candidates, draw_candidates, explore, mark
from feedmill.sim.feeds.fast.slates import Rules, fill_slates
from feedmill.sim.views import NOTHING, Asks, Slates, Views


class FastFeed:
    """The shape of the chain without its services: for many people at once, in compiled code, on all cores.

    Every video that is on is a candidate; the best ``n_candidates`` by expected seconds fill the slots one by one, each
    less worth the more of its topic and author was there of late.

    Args:
        config: see FastConfig.
        learner: what ranks; feeds that share one learn from each other's views.
        seed: of what chance there is, before anything is learned and in exploring.
    """

    Config = FastConfig

    def __init__(self, config: FastConfig, learner: Learner, seed: int) -> None:
        self.config, self.learner, self._seed = config, learner, seed
        self._seen: NDArray[np.uint8] = np.zeros((0, 0), np.uint8)
        self._pool: Rows = np.zeros(0, np.int32)
        self._as_of = (-1, -1)
        self._workers = ThreadPoolExecutor(n_cores())

    def beside(self, config: FastConfig, learner: Learner) -> FastFeed:
        """Another feed for the same people, who have seen what they have seen by now: the arm of an experiment."""
        other = FastFeed(config, learner, self._seed)
        other._seen = self._seen.copy()
        return other

    def describe(self, events: EventBatch) -> None:
        """Tell the learner, and make room."""
        self.learner.describe(events)
        self._make_room()

    def take(self, asks: Asks, slates: Slates, views: Views) -> None:
        """Nothing is shown twice; the rest is the learner's."""
        self._make_room()
        mark(self._seen, views.user, views.item)
        self.learner.take(views)

    def night(self, day: int) -> None:
        """The learner's."""
        self.learner.night(day)

    def slates(self, asks: Asks) -> Slates:
        """``slots`` videos for each, or as many as there are."""
        slates = np.full((len(asks), self.config.slots), NOTHING, np.int32)
        if len(asks):
            self._make_room()
            self._put_on_shelf(int(asks.time_ms[0]))
            if len(self._shelf.row):
                self._fill(asks, slates)
        return Slates(slates)

    def _fill(self, asks: Asks, slates: Rows) -> None:
        config, learner = self.config, self.learner
        model, shelf = learner.model, self._shelf
        tastes = model.tastes[asks.user]
        if config.optimism:
            tastes += np.float32(config.optimism) * model.doubt_of_tastes(asks.user)
        people = People(model.users.vectors, tastes, self._seen)
        shape = (len(asks), min(config.n_candidates, len(shelf.row)))
        places, scores = np.zeros(shape, np.int32), np.zeros(shape, np.float32)
        if not learner.is_ready:
            draw_candidates(self._seed, asks.user, asks.time_ms, people, shelf, config.skip_seen, places, scores)
        explored = np.full_like(slates, NOTHING)
        if len(self._pool) and config.explore_slots:
            explore(self._seed, asks.user, asks.time_ms, self._pool, config.explore_choice, people, shelf,
                    self._topic_weight, self._slots(), config.skip_seen, explored)  # fmt: skip
        cost = model.cost * np.float32(config.repeat_strength)
        rules = Rules(cost, config.author_window, config.topic_window, config.topic_at_most, config.skip_seen)

        def rows(first: int, last: int) -> None:
            if learner.is_ready:
                candidates(first, last, asks.user, people, shelf, self._topic_weight, config.skip_seen, places, scores)
            fill_slates(first, last, asks.user, asks.time_ms, places, scores, shelf, people, learner.recents,
                        model.labels, learner.about.author, rules, explored, slates)  # fmt: skip

        middle = len(asks) // 2
        spans = [(0, middle), (middle, len(asks))] if middle > 4 else [(0, len(asks))]
        for done in [self._workers.submit(rows, *span) for span in spans]:
            done.result()

    def _slots(self) -> Rows:
        """Where new videos stand: evenly over the slate."""
        n = min(self.config.explore_slots, self.config.slots)
        return ((np.arange(n) + 0.5) * self.config.slots / n).astype(np.int32)

    def _put_on_shelf(self, now_ms: int) -> None:
        """What videos are worth, anew when the learner has learned or an hour is over."""
        as_of = (self.learner.version, now_ms // HOUR_MS)
        if as_of == self._as_of:
            return
        self._as_of, now_ms = as_of, as_of[1] * HOUR_MS  # who is the first to ask in an hour changes nothing
        about, model, config = self.learner.about, self.learner.model, self.config
        row = np.flatnonzero(about.is_on[: len(about.items)]).astype(np.int32)
        vectors = np.ascontiguousarray(model.items.vectors[row].T)
        vectors[-1] += model.age_of(row, now_ms)
        labels = model.labels.of[row].T
        used = [k for k in range(len(labels)) if labels[k].any()]
        self._topic_weight = model.labels.topic_weight[row]
        surface = self.learner.surface
        parabolas = surface.parabolas(self.learner.length[row])
        parabolas[1] += config.stay_s
        self._shelf = Shelf(
            row, vectors, labels[used].astype(np.uint32), parabolas,
            self._level(row, now_ms), surface.low, surface.high, sum(k < 3 for k in used),
        )  # fmt: skip
        shown = self.learner.exposures[row]
        new = np.flatnonzero(shown < config.explore_below)
        self._pool = new[np.argsort(shown[new], kind="stable")].astype(np.int32)

    def _level(self, row: Rows, now_ms: int) -> NDArray[np.float32]:
        config, publish_ms = self.config, self.learner.about.publish_ms[row]
        level = np.ones(len(row))
        if config.fresh_bonus:
            days = np.where(publish_ms > 0, (now_ms - publish_ms) / DAY_MS, np.inf)
            level *= 1 + config.fresh_bonus * np.exp2(-np.maximum(days, 0) / config.fresh_half_life_days)
        if config.discount:
            level *= (1 + self.learner.exposures[row] / config.discount_prior) ** -config.discount
        return level.astype(np.float32)

    def _make_room(self) -> None:
        n_users, n_bytes = len(self.learner.about.users), (len(self.learner.about.items) + 7) // 8
        rows, width = self._seen.shape
        if n_users > rows or n_bytes > width:
            wider = np.zeros((max(n_users, rows + rows // 4), max(n_bytes, width + width // 4)), np.uint8)
            wider[:rows, :width] = self._seen
            self._seen = wider
