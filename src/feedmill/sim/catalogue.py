"""The videos: what a service knows of them, and what they really are."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Mask, Rows, Times
from feedmill.core.clock import rng
from feedmill.core.events import EventBatch, Kind
from feedmill.datasets.describe import payload
from feedmill.sim.config import DAY_MS, WorldConfig
from feedmill.sim.titles import CITIES, TOPICS, titles

HEAD = (0.19, 0.10, 0.09, 0.08, 0.06)  # of videos that have the topic, the largest first (KuaiRand-Pure)
N_EACH = (0.75, 0.23, 0.02)  # videos with one, two and three topics
NO_TOPIC = -1
LANGUAGES = ("zh", "en")
SHORTEST_S, LONGEST_S = 5.0, 900.0
AUTHORS_EACH = 0.86  # authors to videos: 6,510 to 7,583 in KuaiRand-Pure


@dataclass(slots=True, eq=False)
class Videos:
    """M videos as columns, in order of arrival; rows are never reused.

    Attributes:
        ids: "v0", "v1", … or those of a real log.
        said: the payload of each one's ITEM event: what a real service would know, and nothing that is hidden.
        vector: float32[M, D], 1 / sqrt(n) in each of its n topics, then what no attribute says. Hidden.
        quality: float32[M] what everybody likes about it. Hidden.
        fresh_ms: float32[M] half-life of its charm as a new-born. Hidden.
        topics: int16[M, 3], ``NO_TOPIC`` where there is none.
        author: int32[M].
        duration_s: float32[M].
        born_ms: int64[M].
        language: int8[M] of ``LANGUAGES``.
        city: int8[M] of ``CITIES``.
        is_on: bool[M]; what has gone is never looked at.
    """

    ids: list[str]
    said: list[str]
    vector: Floats
    quality: Floats
    fresh_ms: Floats
    topics: NDArray[np.int16]
    author: Rows
    duration_s: Floats
    born_ms: Times
    language: NDArray[np.int8]
    city: NDArray[np.int8]
    is_on: Mask

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, more: Videos) -> None:
        """Append."""
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(more, field.name)
            setattr(self, field.name, mine + theirs if isinstance(mine, list) else np.concatenate([mine, theirs]))


def topic_shares(n_topics: int) -> NDArray[np.float64]:
    """float64[n_topics] of which part of all videos' topics each is: the largest as in ``HEAD``, then ever smaller."""
    tail = np.arange(len(HEAD) + 1, n_topics + 1, dtype=np.float64)
    rest = (sum(N_EACH[k] * (k + 1) for k in range(3)) - sum(HEAD)) * _tail(tail)
    shares = np.concatenate([np.array(HEAD)[:n_topics], rest])
    return shares / shares.sum() if n_topics else shares


def _tail(rank: NDArray[np.float64]) -> NDArray[np.float64]:
    """Exponentially smaller with the rank, to 1 in all; the 6th is about 0.05 of all videos."""
    weight = np.exp(-0.055 * rank)
    return weight / weight.sum() if len(rank) else weight


def make_videos(config: WorldConfig, seed: int, first: int, n: int, day: int) -> Videos:
    """N videos whose rows begin at ``first``; on day -1 they are of all ages, later born within the day before."""
    random = rng(seed, "videos", day)
    age = random.random(n) * (max(config.video_days, 1.0) if day < 0 else 1.0)
    born_ms = config.start_ms + max(day, 0) * DAY_MS - np.sort(age * DAY_MS)[::-1].astype(np.int64)
    author = _authors(random, first, n)
    topics = _topics(config, seed, random, author)
    zh_city = config.n_cities if config.n_cities <= 20 else 20
    language = (random.random(n) < config.english).astype(np.int8)
    city = np.where(language > 0, random.integers(0, config.n_cities, n), random.integers(0, zh_city, n))
    duration_s = np.exp(random.normal(config.duration_log_mean, config.duration_log_sd, n))
    videos = Videos(
        ids=[f"v{first + k}" for k in range(n)],
        said=[],
        vector=np.concatenate([topic_part(topics, config.n_topics), _latent(config, seed, random, author)], 1),
        quality=random.normal(0, config.taste.quality_sd, n).astype(np.float32),
        fresh_ms=(config.taste.fresh_half_life_days * DAY_MS * np.exp(random.normal(0, 0.5, n))).astype(np.float32),
        topics=topics,
        author=author,
        duration_s=np.clip(duration_s, SHORTEST_S, LONGEST_S).astype(np.float32),
        born_ms=born_ms,
        language=language,
        city=city.astype(np.int8),
        is_on=np.ones(n, np.bool_),
    )
    form, number = random.integers(0, 1 << 20, n), 1 + first + np.arange(n, dtype=np.int32)
    videos.said = _said(videos, *titles(topics[:, 0], city, number, form))
    return videos


def topic_part(topics: NDArray[np.int16], n_topics: int) -> Floats:
    """float32[n, n_topics]: 1 / sqrt(k) in each of a video's k topics."""
    out = np.zeros((len(topics), n_topics), np.float32)
    weight = 1 / np.sqrt(np.maximum((topics >= 0).sum(axis=1), 1))
    for column in topics.T:
        has = np.flatnonzero(column >= 0)
        out[has, column[has]] = weight[has]
    return out


def described(videos: Videos, rows: NDArray[np.generic], now_ms: int) -> EventBatch:
    """ITEM events of some videos."""
    return _events([videos.ids[i] for i in rows.tolist()], [videos.said[i] for i in rows.tolist()], now_ms)


def taken_down(videos: Videos, rows: NDArray[np.generic], now_ms: int) -> EventBatch:
    """ITEM events that take some videos down."""
    return _events([videos.ids[i] for i in rows.tolist()], [payload({"deleted": True})] * len(rows), now_ms)


def _events(ids: list[str], payloads: list[str], now_ms: int) -> EventBatch:
    return EventBatch.of({"kind": int(Kind.ITEM), "time_ms": now_ms, "item_id": ids, "payload": payloads})


def _said(videos: Videos, english: list[str], chinese: list[str]) -> list[str]:
    columns = (videos.author, videos.topics, videos.duration_s, videos.born_ms, videos.language, videos.city)
    rows = zip(english, chinese, *(column.tolist() for column in columns), strict=True)
    return [
        payload(
            {
                "title": title,
                "title_zh": title_zh,
                "author_id": f"a{author}",
                "topics": [TOPICS[t][0] for t in topics if t != NO_TOPIC],
                "duration_s": round(duration_s, 2),
                "publish_ms": born_ms,
                "language": LANGUAGES[language],
                "city": CITIES[city][0],
            }
        )
        for title, title_zh, author, topics, duration_s, born_ms, language, city in rows
    ]


def _authors(random: np.random.Generator, first: int, n: int) -> Rows:
    """Mostly a new author; else one who has made some video before."""
    is_new = random.random(n) < AUTHORS_EACH
    is_new[0] |= first == 0
    rows = first + np.arange(n)
    before = (random.random(n) * rows).astype(np.int64)  # the author of that video: named after the video's row
    return np.where(is_new, rows, before).astype(np.int32)


def _topics(config: WorldConfig, seed: int, random: np.random.Generator, author: Rows) -> NDArray[np.int16]:
    """int16[n, 3], the main one first; an author has one main topic."""
    n, out = len(author), np.full((len(author), 3), NO_TOPIC, np.int16)
    if config.n_topics == 0:
        return out
    edges = np.cumsum(topic_shares(config.n_topics))
    u = random.random((n, 2))
    out[:, 0] = _pick(edges, _of_author(seed, author, 1)[:, 0])
    n_each = np.searchsorted(np.cumsum(N_EACH)[:2], random.random(n), side="right") + 1
    for k in (1, 2):
        more = _pick(edges, u[:, k - 1])
        is_other = (n_each > k) & (more != out[:, 0]) & (more != out[:, k - 1])
        out[is_other, k] = more[is_other]
    return out


def _latent(config: WorldConfig, seed: int, random: np.random.Generator, author: Rows) -> Floats:
    """float32[n, L] of variance 1 in each dimension, part of it the author's."""
    size, share = config.taste.n_latent, config.taste.author_share
    theirs = np.sqrt(12) * (_of_author(seed, author, 1 + size)[:, 1:] - 0.5)
    own = random.normal(size=(len(author), size))
    out: Floats = (np.sqrt(share) * theirs + np.sqrt(1 - share) * own).astype(np.float32)
    return out


def _of_author(seed: int, author: Rows, n: int) -> NDArray[np.float64]:
    """float64[len(author), n] uniform numbers that are the author's own, on whichever day (SplitMix64)."""
    z: NDArray[Any] = (author.astype(np.uint64)[:, None] << np.uint64(8)) + np.arange(1, n + 1, dtype=np.uint64)
    z = z * np.uint64(0x9E3779B97F4A7C15) + np.uint64(rng(seed, "authors").integers(0, 1 << 62))
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    out: NDArray[np.float64] = ((z ^ (z >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return out


def _pick(edges: NDArray[np.float64], u: NDArray[np.float64]) -> NDArray[np.int16]:
    return np.minimum(np.searchsorted(edges, u, side="right"), len(edges) - 1).astype(np.int16)
