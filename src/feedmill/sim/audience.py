"""The people: what a service knows of them, and what they really like."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Mask, Times
from feedmill.core.clock import rng
from feedmill.core.events import EventBatch, Kind
from feedmill.datasets.describe import payload
from feedmill.sim.catalogue import LANGUAGES, topic_shares
from feedmill.sim.config import DAY_MS, WorldConfig
from feedmill.sim.titles import CITIES

Doubles = NDArray[np.float64]
CLASSES = ("full", "high", "middle", "low", "new")
CLASS_SHARES = (0.66, 0.23, 0.08, 0.01, 0.023)  # KuaiRand; new = 2 to 14 days
NEW = CLASSES.index("new")
AGES = ("under 18", "18-24", "25-34", "35-49", "50+")
AGE_SHARES = (0.12, 0.28, 0.3, 0.2, 0.1)


@dataclass(slots=True, eq=False)
class People:
    """N people as columns, in order of arrival.

    Attributes:
        ids: "u0", "u1", … or those of a real log.
        said: the payload of each one's USER event: what a real service would know.
        home: float32[N, D] tastes in topics, then in what no attribute says, about which ``vector`` wanders. Hidden.
        vector: float32[N, D] today's tastes; affinity has its product with ``Videos.vector``. Hidden.
        settled: int8[N] activity class (of ``CLASSES``) of a person who is not new any more. Hidden.
        joined_ms: int64[N].
        eagerness: float32[N] sessions a day to the mean. Hidden.
        patience: float32[N] videos a session to the mean. Hidden.
        age: int8[N] of ``AGES``.
        language: int8[N].
        city: int8[N].
        is_here: bool[N]; False = left for good.
    """

    ids: list[str]
    said: list[str]
    home: Floats
    vector: Floats
    settled: NDArray[np.int8]
    joined_ms: Times
    eagerness: Floats
    patience: Floats
    age: NDArray[np.int8]
    language: NDArray[np.int8]
    city: NDArray[np.int8]
    is_here: Mask

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, more: People) -> None:
        """Append."""
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(more, field.name)
            setattr(self, field.name, mine + theirs if isinstance(mine, list) else np.concatenate([mine, theirs]))

    def is_new(self, now_ms: int, new_days: float) -> Mask:
        """bool[N]: joined within ``new_days``."""
        mask: Mask = now_ms - self.joined_ms < new_days * DAY_MS
        return mask

    def activity(self, now_ms: int, new_days: float) -> NDArray[np.int8]:
        """int8[N] of ``CLASSES``."""
        return np.where(self.is_new(now_ms, new_days), NEW, self.settled).astype(np.int8)


def make_people(config: WorldConfig, seed: int, first: int, n: int, day: int) -> People:
    """N people whose rows begin at ``first``; on day -1 most have been there for long, later they have just come."""
    random, now_ms = rng(seed, "people", day), config.start_ms + max(day, 0) * DAY_MS
    shares = np.array(CLASS_SHARES)
    drawn = random.choice(len(CLASSES), n, p=shares / shares.sum())
    settled = np.where(drawn == NEW, random.choice(NEW, n, p=shares[:NEW] / shares[:NEW].sum()), drawn)
    is_new = (drawn == NEW) | (day >= 0)
    new_ms, old_ms = config.habit.new_days * DAY_MS, 400 * DAY_MS
    since = np.where(is_new, random.random(n) * new_ms, new_ms + random.random(n) * old_ms) if day < 0 else np.zeros(n)
    age = random.choice(len(AGES), n, p=AGE_SHARES).astype(np.int8)
    language = (random.random(n) < config.english).astype(np.int8)
    zh_city = min(config.n_cities, 20)
    city = np.where(language > 0, random.integers(0, config.n_cities, n), random.integers(0, zh_city, n))
    home = tastes(config, seed, random, age, is_new)
    return People(
        ids=[f"u{first + k}" for k in range(n)],
        said=[
            payload({"age": AGES[a], "language": LANGUAGES[b], "city": CITIES[c][0]})
            for a, b, c in zip(age.tolist(), language.tolist(), city.tolist(), strict=True)
        ],
        home=home,
        vector=home + wandering(config, random, n, home.shape[1]),
        settled=settled.astype(np.int8),
        joined_ms=(now_ms - since).astype(np.int64),
        eagerness=around_one(random, config.habit.sessions_sd, n),
        patience=around_one(random, config.habit.patience_sd, n),
        age=age,
        language=language,
        city=city.astype(np.int8),
        is_here=np.ones(n, np.bool_),
    )


def tastes(config: WorldConfig, seed: int, random: np.random.Generator, age: NDArray[np.int8], is_new: Mask) -> Floats:
    """float32[n, D] tastes in topics: those of a person's circles (people like what their kind likes), and some of
    their own; then the latent."""
    n, taste = len(age), config.taste
    latent = random.normal(0, taste.latent_sd / np.sqrt(max(taste.n_latent, 1)), (n, taste.n_latent))
    if config.n_topics == 0:
        return latent.astype(np.float32)
    shares, drawn = topic_shares(config.n_topics), rng(seed, "circles")
    circles = favourites(drawn, shares, np.full(taste.n_circles, taste.n_favourites))
    leaning = drawn.normal(0, 0.7, (len(AGES), taste.n_circles))
    own = favourites(random, shares, 1 + random.poisson(taste.n_favourites_own, n))
    liked = _belonging(random, leaning[age]) @ circles
    liked *= random.random(liked.shape) < np.where(is_new, taste.new_share, 1.0)[:, None]
    share = taste.own_share if config.n_topics > 1 else 0.0
    raw = np.sqrt(1 - share) * standard(liked, shares) + np.sqrt(share) * standard(own, shares)
    scaled = taste.topic_sd * standard(raw, shares)
    at_home = np.sqrt(1 - taste.drift_share)
    out: Floats = (at_home * np.concatenate([scaled, latent], axis=1)).astype(np.float32)
    return out


def favourites(random: np.random.Generator, shares: Doubles, how_many: NDArray[Any]) -> Doubles:
    """float64[n, T] a few topics that are liked, rather those that there is much of, and little of the others."""
    # Gumbel noise: the n largest are n draws without replacement
    key = 0.6 * np.log(shares) + random.gumbel(size=(len(how_many), len(shares)))
    rank = np.argsort(np.argsort(-key, axis=1), axis=1)
    liked = np.where(rank < how_many[:, None], np.abs(random.normal(1.6, 0.5, key.shape)), 0)
    out: Doubles = liked + random.normal(0, 0.2, key.shape)
    return out


def standard(raw: Doubles, shares: Doubles) -> Doubles:
    """Rows of mean 0 and sd 1 over topics as there is of each; 0 where all are alike."""
    centred = raw - (raw @ shares)[:, None]
    spread = np.sqrt((centred**2) @ shares)[:, None]
    out: Doubles = np.where(spread > 1e-9, centred / np.maximum(spread, 1e-9), 0.0)
    return out


def _belonging(random: np.random.Generator, leaning: Doubles) -> Doubles:
    """float64[n, circles]: how much of each circle a person is; of one all, of another a part."""
    rank = np.argsort(np.argsort(-(leaning + random.gumbel(size=leaning.shape)), axis=1), axis=1)
    return np.where(rank == 0, 1.0, np.where(rank == 1, random.random(len(leaning))[:, None], 0.0))


def wandering(config: WorldConfig, random: np.random.Generator, n: int, size: int) -> Floats:
    """float32[n, size] how far from home tastes are: the standing distribution of the drift."""
    sd = np.sqrt(config.taste.drift_share)
    scale = np.full(size, sd * config.taste.latent_sd / np.sqrt(max(config.taste.n_latent, 1)))
    scale[: config.n_topics] = sd * config.taste.topic_sd
    out: Floats = (random.normal(size=(n, size)) * scale).astype(np.float32)
    return out


def drifted(config: WorldConfig, people: People, seed: int, day: int) -> Floats:
    """float32[N, D] tastes a day later (Ornstein-Uhlenbeck about ``home``)."""
    keep = 0.5 ** (1 / config.taste.drift_half_life_days)
    step = wandering(config, rng(seed, "drift", day), *people.home.shape)
    off = np.float32(keep) * (people.vector - people.home) + np.float32(np.sqrt(1 - keep**2)) * step
    return people.home + off


def described(people: People, rows: NDArray[np.generic], now_ms: int) -> EventBatch:
    """USER events of some people."""
    ids, said = [people.ids[u] for u in rows.tolist()], [people.said[u] for u in rows.tolist()]
    return EventBatch.of({"kind": int(Kind.USER), "time_ms": now_ms, "user_id": ids, "payload": said})


def around_one(random: np.random.Generator, sd: float, n: int) -> Floats:
    """float32[n] log-normal of mean 1."""
    return np.exp(random.normal(-sd * sd / 2, sd, n)).astype(np.float32)
