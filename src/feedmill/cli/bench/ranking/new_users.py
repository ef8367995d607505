"""A small audience in which new users behave otherwise than old ones, with features ready for a ranker.

Old users have favourite topics, which their history shows, and click long and old items of them. New users have neither
history nor an id of their own; they click short, fresh, popular items, and topics by an order of their own. They are
one request in twenty, and four of the user's twelve numbers tell them, so that what is learned of the others drowns
them (Dai et al. 2021 call it submergence).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Floats, ProbeBatch, SampleBatch
from feedmill.core.clock import rng
from feedmill.features import FeatureBatch, FeatureSpec, Field, Numeric

Rows = NDArray[Any]  # of integers

N_USERS, N_ITEMS, N_AUTHORS, N_TOPICS, HISTORY, CANDIDATES = 500, 400, 40, 12, 8, 8
N_ACTIVITY, N_TASTES, N_ITEM_NUMBERS = 4, 8, 3
NEW_SHARE = 0.05
TABLES = {"user": N_USERS, "item": N_ITEMS, "author": N_AUTHORS, "topic": N_TOPICS}
SPEC = FeatureSpec(
    fields=(
        Field("user", "user", "user.id", "user"),
        Field("clicked", "user", "user.clicked", "item", HISTORY),
        Field("item", "item", "item.id", "item"),
        Field("author", "item", "item.author", "author"),
        Field("topic", "item", "item.topics", "topic"),
    ),
    numerics=(
        *(Numeric(f"user.activity_{i}", "user") for i in range(N_ACTIVITY)),
        *(Numeric(f"user.taste_{i}", "user") for i in range(N_TASTES)),
        *(Numeric(f"item.number_{i}", "item") for i in range(N_ITEM_NUMBERS)),
    ),
    tables=TABLES,
    n_quantiles=64,
    prior_count=20.0,
    state_hash="",
)


class Drawn(NamedTuple):
    """R requests of C = 8 R candidates with their features, clicks, and who is new."""

    batch: FeatureBatch
    samples: SampleBatch
    is_new: NDArray[np.bool_]  # [C]
    true_prob: Floats  # [C]


class World:
    """The fixed part: items with topic, author and numbers, users with favourites."""

    def __init__(self, seed: int) -> None:
        draw = rng(seed, "new users", "world")
        self.topic = draw.integers(N_TOPICS, size=N_ITEMS)
        self.author = draw.integers(N_AUTHORS, size=N_ITEMS)
        self.quality = draw.normal(0, 0.5, N_AUTHORS)  # old users alone know authors
        self.novelty = draw.normal(0, 1.0, N_TOPICS)  # new users' order of topics
        self.numbers = draw.uniform(0, 1, (N_ITEMS, N_ITEM_NUMBERS)).astype(np.float32)  # length, age, popularity
        self.favourites = np.argsort(draw.random((N_USERS, N_TOPICS)), axis=1)[:, :3]

    def logits(self, user: Rows, item: Rows) -> NDArray[np.float64]:
        """[C] of users (-1 = a new one) and items, both counted from 0."""
        length, age, popularity = (2 * self.numbers[item] - 1).T
        likes = (self.favourites[user] == self.topic[item][:, None]).any(axis=1)
        old = -1.2 + 1.8 * likes + 1.2 * length + 0.8 * age + self.quality[self.author[item]]
        new = -0.8 - 1.2 * length - 0.8 * age + 0.8 * popularity + self.novelty[self.topic[item]]
        out: NDArray[np.float64] = np.where(user < 0, new, old)
        return out

    def draw(self, n_requests: int, new_share: float, seed: int, purpose: str) -> Drawn:
        """Requests of new and old users, each with candidates at random."""
        random = rng(seed, "new users", purpose)
        user = np.where(random.random(n_requests) < new_share, -1, random.integers(N_USERS, size=n_requests))
        item = random.integers(N_ITEMS, size=n_requests * CANDIDATES)
        of = np.repeat(np.arange(n_requests), CANDIDATES)
        prob = 1 / (1 + np.exp(-self.logits(user[of], item)))
        clicks = (random.random(len(item)) < prob)[:, None].astype(np.float32)
        batch = FeatureBatch(
            self._user_ids(user, random),
            _powers(np.hstack([_activity(user, random), random.random((n_requests, N_TASTES), np.float32)])),
            self._item_ids(item),
            _powers(self.numbers[item]),
            of,
        )
        return Drawn(batch, _samples(user, item, of, clicks), user[of] < 0, prob.astype(np.float32))

    def _user_ids(self, user: Rows, random: np.random.Generator) -> Rows:
        """Own id, and items of favourite topics as history; new users have neither (row 0)."""
        offset = SPEC.offsets()
        liked = self.favourites[user][np.arange(len(user))[:, None], random.integers(3, size=(len(user), HISTORY))]
        by_topic = [np.flatnonzero(self.topic == t) for t in range(N_TOPICS)]
        at = random.random(liked.shape)
        history = np.empty(liked.shape, np.int64)
        for t, items in enumerate(by_topic):
            here = liked == t
            history[here] = items[(at[here] * len(items)).astype(np.int64)]
        rows = np.column_stack([user + 1 + offset["user"], history + 1 + offset["item"]])
        return np.where(user[:, None] < 0, 0, rows).astype(np.int32)

    def _item_ids(self, item: Rows) -> Rows:
        offset = SPEC.offsets()
        author, topic = self.author[item] + offset["author"], self.topic[item] + offset["topic"]
        return np.column_stack([item + offset["item"], author, topic]).astype(np.int32) + 1


def _activity(user: Rows, random: np.random.Generator) -> Floats:
    """[R, activity] in quantiles, as ``features`` gives them: who is new lies in the lowest twentieth, noisily."""
    low, high = np.where(user < 0, 0.0, NEW_SHARE), np.where(user < 0, NEW_SHARE, 1.0)
    level = low + (high - low) * random.random(len(user))
    noisy = level[:, None] * np.exp(random.normal(0, 0.3, (len(user), N_ACTIVITY)))
    return np.clip(noisy, 0, 1).astype(np.float32)


def _powers(x: Floats) -> Floats:
    """float32[n, 3 k]: all x, all x², all sqrt(x), as ``features`` lays them out."""
    return np.hstack([x, x * x, np.sqrt(x)])


def _samples(user: Rows, item: Rows, of: Rows, clicks: Floats) -> SampleBatch:
    n = len(user)
    probe = ProbeBatch(
        (user + 1).astype(np.int32), np.zeros(n, np.int64), np.zeros(n, np.int64), (item + 1).astype(np.int32),
        of.astype(np.int32),
    )  # fmt: skip
    return SampleBatch(probe, clicks, np.ones_like(clicks, bool), np.ones(len(item), np.float32), ("click",))
