"""The score of a view, and how it is fitted to many.

score(u, i, t) = u · v + b_u + b_v + taste(u, labels of i) + age(i, t) + repeats(t) · cost
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from feedmill.core.batches import Floats, Rows, Times
from feedmill.core.clock import rng
from feedmill.retrieval.cores import n_cores
from feedmill.sim.feeds.fast.config import LearnerConfig
from feedmill.sim.feeds.fast.descriptions import NOTHING, Descriptions, grown
from feedmill.sim.feeds.fast.effects import COLUMNS, Labels, add_tastes, fit_column, labels_of, learn_tastes
from feedmill.sim.feeds.fast.factors import Attributes, Side, add_views, fit_rows, fit_shared, score_pairs

DAY_MS = 86_400_000
AGE_BINS, AGE_L2, REPEAT_L2 = 16, 50.0, 50.0
SPREAD = 0.1  # of the numbers that vectors begin with


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """n views to learn from: int32 rows, float32 targets and weights, int64 times, float32[n, 2] repetitions."""

    user: Rows
    item: Rows
    time_ms: Times
    repeats: Floats
    target: Floats
    weight: Floats


class Model:
    """Everything that is learned of liking; rows are those of ``Descriptions``.

    Attributes:
        users, items: the two sides.
        tastes: float32[room, labels' room] of each person for each label.
        age: float32[AGE_BINS] by doublings of a video's age.
        cost: float32[2] of a repeated topic and author.
    """

    def __init__(self, config: LearnerConfig, about: Descriptions, seed: int) -> None:
        self.config, self._about = config, about
        self.l2 = np.full(config.n_factors + 1, config.factor_l2, np.float32)
        self.l2[-1] = config.bias_l2
        draws = (rng(seed, "fast", side) for side in ("users", "items"))
        self.users, self.items = (Side(self.l2, draw, SPREAD) for draw in draws)
        self.tastes: Floats = np.zeros((0, 1), np.float32)
        self._mass: Floats = np.zeros((0, 1), np.float32)
        self._crosses: Floats = np.zeros((0, 1), np.float32)
        self.age, self.cost = np.zeros(AGE_BINS, np.float32), np.zeros(2, np.float32)
        self.grow()

    def grow(self) -> None:
        """Room for whoever and whatever is new; a new person's tastes are those of people like them."""
        about, config = self._about, self.config
        self._of_users = Attributes.of(*about.users.columns(config.use_content), about.users.n_codes)
        self._of_items = Attributes.of(*about.items.columns(config.use_content), about.items.n_codes)
        n_before = self.users.n
        self.users.grow(self._of_users)
        self.items.grow(self._of_items)
        labels = about.labels if config.use_content else np.zeros_like(about.labels)
        self.labels: Labels = labels_of(labels)
        n_users, width = len(about.users), about.n_labels
        self.tastes, self._mass = wide(self.tastes, n_users, width), wide(self._mass, n_users, width)
        self._crosses = wide(self._crosses, about.users.n_codes, width)
        new = np.arange(n_before, n_users, dtype=np.int32)
        self.tastes[new] = self._from_crosses(new)
        known = [codes[:4] for codes in about.users.codes] if config.use_content else [[]] * n_users
        width = max(map(len, known), default=0)
        self._codes = np.full((n_users, width), -1, np.int32)
        for row, codes in enumerate(known):
            self._codes[row, : len(codes)] = codes

    def _from_crosses(self, rows: Rows) -> Floats:
        out = np.zeros((len(rows), self.tastes.shape[1]), np.float32)
        start, codes = self._of_users.start, self._of_users.codes
        for k, row in enumerate(rows.tolist()):
            out[k] = self._crosses[codes[start[row] : start[row + 1]]].sum(0)
        return out

    def age_of(self, item: Rows, time_ms: Times | int) -> Floats:
        """float32[n] what a video's age adds."""
        return self.age[self._age_bin(item, time_ms)]

    def _age_bin(self, item: Rows, time_ms: Times | int) -> Rows:
        days = np.maximum(time_ms - self._about.publish_ms[item], 0) / DAY_MS
        bins = np.minimum(2 * np.log2(1 + days), AGE_BINS - 1).astype(np.int32)
        return np.where(self._about.publish_ms[item] > 0, bins, AGE_BINS - 1)

    def context(self, item: Rows, time_ms: Times, repeats: Floats) -> Floats:
        """float32[n] age and repetition."""
        return self.age_of(item, time_ms) + repeats @ self.cost

    def scores(self, user: Rows, item: Rows, time_ms: Times, repeats: Floats) -> Floats:
        """float32[n]."""
        out = score_pairs(self.users.vectors, self.items.vectors, user, item) + self.context(item, time_ms, repeats)
        add_tastes(self.tastes, self.labels, user, item, 1.0, out)
        return out

    def doubt_of_tastes(self, user: Rows) -> Floats:
        """float32[n, labels] standard errors of people's tastes, in those of one view."""
        doubt: Floats = 1 / np.sqrt(self._mass[user] + np.float32(self.config.taste_l2))
        doubt[:, NOTHING] = 0
        return doubt

    def learn(self, views: Sample, scores: Floats) -> None:
        """People's tastes and vectors move by each view; the videos' are left for ``settle``."""
        residual = views.target - scores
        learn_tastes(self.tastes, self._mass, self.labels, views.user, views.item, self.config.taste_l2, residual)
        target = views.target - self.context(views.item, views.time_ms, views.repeats)
        add_tastes(self.tastes, self.labels, views.user, views.item, -1.0, target)
        users, items, whole = self.users, self.items, np.iinfo(np.int32).max
        add_views(0, whole, views.user, views.item, items.vectors, target, views.weight, users.gram, users.pull,
                  items.doubt)  # fmt: skip
        add_views(0, whole, views.item, views.user, users.vectors, target, views.weight, items.gram, items.pull,
                  users.doubt)  # fmt: skip
        some = np.unique(views.user)
        fit_rows(some, self._of_users, users.shared, users.gram, users.pull, self.l2, users.vectors, users.doubt)

    def settle(self, rows: Rows) -> None:
        """Videos' vectors after the views so far."""
        side = self.items
        fit_rows(rows, self._of_items, side.shared, side.gram, side.pull, self.l2, side.vectors, side.doubt)

    def fit(self, views: Sample, n_rounds: int) -> None:
        """Start from what is known and alternate: tastes, people, videos, age and repetition."""
        residual = views.target - self.scores(views.user, views.item, views.time_ms, views.repeats)
        for _ in range(n_rounds):
            self._fit_tastes(views, residual)
            self._fit_sides(views)
            residual = views.target - self.scores(views.user, views.item, views.time_ms, views.repeats)
            self._fit_context(views, residual)

    def _fit_tastes(self, views: Sample, residual: Floats) -> None:
        """First what people alike have in common, then each person's own part; both tables move at once."""
        everybody = np.arange(len(self._about.users), dtype=np.int32)
        base = self._from_crosses(everybody)
        own = self.tastes[: len(everybody)] - base
        mass, config = np.zeros_like(self._crosses), self.config
        for k in range(self._codes.shape[1]):
            who = self._codes[views.user, k]
            mass[:] = 0
            self._columns(views, who, len(mass), self._crosses, mass, 2 * config.taste_l2, residual)
        self._mass[:] = 0
        tables = np.zeros_like(self.tastes)
        tables[: len(everybody)] = own
        self._columns(views, views.user, len(everybody), tables, self._mass, config.taste_l2, residual)
        self.tastes[: len(everybody)] = tables[: len(everybody)] + self._from_crosses(everybody)

    def _columns(self, views: Sample, who: Rows, n: int, table: Floats, mass: Floats, l2: float, left: Floats) -> None:
        for low, high in COLUMNS:
            if self.labels.of[:, low:high].any():
                on_cores(
                    n,
                    lambda first, last, low=low, high=high: fit_column(  # type: ignore[misc]
                        first, last, low, high, self.labels, who, views.item, views.weight, l2, table, mass, left
                    ),
                )

    def _fit_sides(self, views: Sample) -> None:
        target = views.target - self.context(views.item, views.time_ms, views.repeats)
        add_tastes(self.tastes, self.labels, views.user, views.item, -1.0, target)
        users, items = (self.users, self._of_users, views.user), (self.items, self._of_items, views.item)
        for (side, attributes, rows), (other, _, others) in ((users, items), (items, users)):
            side.gram[:], side.pull[:] = 0, 0
            n = len(attributes.start) - 1
            on_cores(
                n,
                lambda first, last, side=side, rows=rows, others=others, other=other: add_views(  # type: ignore[misc]
                    first, last, rows, others, other.vectors, target, views.weight, side.gram, side.pull, other.doubt
                ),
            )
            shared_l2 = self.l2 * np.float32(self.config.shared_l2 / self.config.bias_l2)
            for _ in range(2):
                fit_shared(attributes, side.shared, side.gram, side.pull, shared_l2, side.vectors)
                everything = np.arange(n, dtype=np.int32)
                fit_rows(everything, attributes, side.shared, side.gram, side.pull, self.l2, side.vectors, side.doubt)

    def _fit_context(self, views: Sample, residual: Floats) -> None:
        """Ridge on the age's doublings, then on repetition; ``residual`` follows."""
        if self.config.use_age:
            at = self._age_bin(views.item, views.time_ms)
            n = np.bincount(at, views.weight, AGE_BINS)
            new = (np.bincount(at, views.weight * (residual + self.age[at]), AGE_BINS) / (n + AGE_L2)).astype(
                np.float32
            )
            residual -= (new - self.age)[at]
            self.age = new
        if self.config.use_repeats:
            weighed = views.repeats.T * views.weight
            matrix = weighed @ views.repeats + REPEAT_L2 * np.eye(2, dtype=np.float32)
            self.cost = np.minimum(np.linalg.solve(matrix, weighed @ (residual + views.repeats @ self.cost)), 0).astype(
                np.float32
            )


def wide(table: Floats, n: int, width: int) -> Floats:
    """A table with room for n rows and ``width`` columns."""
    if table.shape[1] < width:
        room = np.zeros((len(table), max(width, table.shape[1] * 3 // 2)), np.float32)
        room[:, : table.shape[1]] = table
        table = room
    return grown(table, n)


def on_cores(n: int, rows: Callable[[int, int], object]) -> None:
    """Rows 0..n in as many spans as there are cores."""
    edges = np.unique(np.linspace(0, n, n_cores() + 1).astype(int)).tolist()
    with ThreadPoolExecutor(max(1, len(edges) - 1)) as pool:
        for done in [pool.submit(rows, first, last) for first, last in pairwise(edges)]:
            done.result()
