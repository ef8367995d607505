"""The people and the items of a real log, with tastes fitted to what they did: a world on one's own catalogue.

What people did becomes a strength for each pair. Tastes in topics are smoothed lifts of the topics that a person
chose over everybody's; the rest is a truncated SVD of the pairs, normalised by degree (as in spectral graph methods:
Chung 1997). Both are scaled to the affinity of ``TasteConfig`` (where the log has no topics, the latter has it all);
quality is how often an item was chosen.
What the log's people have chosen they have seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import orjson
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import svds

from feedmill.core.batches import Floats, Rows
from feedmill.core.clock import rng
from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch, Kind
from feedmill.datasets.describe import payload
from feedmill.sim.audience import CLASS_SHARES, NEW, People, around_one, wandering
from feedmill.sim.catalogue import LONGEST_S, NO_TOPIC, SHORTEST_S, Videos, topic_part
from feedmill.sim.config import DAY_MS, WorldConfig

STRENGTH = {
    Kind.CLICK: 1.0, Kind.WATCH: 1.0, Kind.FINISH: 1.0, Kind.LIKE: 1.0, Kind.FAVOURITE: 1.0, Kind.SHARE: 1.0,
    Kind.COMMENT: 1.0, Kind.FOLLOW: 1.0, Kind.DISLIKE: -2.0,
}  # fmt: skip
"""What an event says of the pair; the sum of a pair counts up to ``STRONGEST``."""
STRONGEST = 2.0
MOST_TOPICS = 110
SMOOTHING = 20.0  # choices that a person is taken to have made at the log's own shares, beside the real ones


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """What a log says, by rows in order of first appearance.

    Attributes:
        users, items: ids.
        said_of_users, said_of_items: attributes of each; those of an item that was taken down have "deleted".
        strength: float64[N, M] sparse, what people did.
        first_ms: int64[N] of each user; end_ms is the newest event's.
    """

    users: list[str]
    items: list[str]
    said_of_users: list[dict[str, Any]]
    said_of_items: list[dict[str, Any]]
    strength: sp.csr_array
    first_ms: NDArray[np.int64]
    end_ms: int


def fitted(
    events: EventBatch | Iterable[EventBatch], config: WorldConfig, seed: int
) -> tuple[WorldConfig, People, Videos, NDArray[np.int64], NDArray[np.int64]]:
    """The config as it is for this log (nobody and nothing arrives, for nobody knows what they would be like), its
    people and videos, and the rows of the pairs that are known already.

    Raises:
        DataError: nobody did anything in this log.
    """
    pairs = read_pairs(events)
    topics, n_topics = _topics(pairs.said_of_items)
    n_users, n_items = len(pairs.users), len(pairs.items)
    n_latent = min(config.taste.n_latent, min(n_users, n_items) - 1)
    config = msgspec.structs.replace(
        config, n_users=n_users, n_videos=n_items, n_topics=n_topics, new_users=0.0, video_days=0.0,
        start_ms=(pairs.end_ms // DAY_MS + 1) * DAY_MS, taste=msgspec.structs.replace(config.taste, n_latent=n_latent),
    )  # fmt: skip
    chosen = sp.csr_array(pairs.strength.maximum(0))
    alone = config.taste.latent_sd if n_topics else float(np.hypot(config.taste.topic_sd, config.taste.latent_sd))
    likes, vectors = _latent(chosen, n_latent, alone, seed)
    by_topic = topic_part(topics, n_topics)
    tastes = np.concatenate([_by_topics(chosen, by_topic, config.taste.topic_sd), likes], axis=1)
    home = np.float32(np.sqrt(1 - config.taste.drift_share)) * tastes
    seen_user, seen_item = pairs.strength.nonzero()
    videos = _videos(pairs, config, seed, topics, np.concatenate([by_topic, vectors], axis=1), chosen)
    return config, _people(pairs, config, seed, home), videos, seen_user, seen_item


def read_pairs(events: EventBatch | Iterable[EventBatch]) -> Pairs:
    """Columns of a log, by rows."""
    log = events if isinstance(events, EventBatch) else EventBatch.concat(list(events))
    kind, time_ms = log.numpy("kind"), log.numpy("time_ms")
    user, users = _coded(log, "user_id")
    item, items = _coded(log, "item_id")
    weight = np.zeros(128)
    for name, value in STRENGTH.items():
        weight[name] = value
    did = np.flatnonzero((user >= 0) & (item >= 0) & (weight[kind] != 0))
    if len(did) == 0:
        raise DataError("a log in which nobody did anything", "events such as clicks, watches or likes",
                        "bring a log in first: `feedmill ingest --help`")  # fmt: skip
    strength = sp.coo_array((weight[kind[did]], (user[did], item[did])), (len(users), len(items))).tocsr()
    strength.data = np.clip(strength.data, -STRONGEST, STRONGEST)
    first_ms = np.full(len(users), np.iinfo(np.int64).max)
    known = user >= 0
    np.minimum.at(first_ms, user[known], time_ms[known])
    said = log.table.column("payload")
    of_users: list[dict[str, Any]] = [{} for _ in users]
    of_items: list[dict[str, Any]] = [{} for _ in items]
    for about, at, what in ((of_users, user, Kind.USER), (of_items, item, Kind.ITEM)):
        for e in np.flatnonzero((kind == what) & (at >= 0)).tolist():
            about[at[e]].update(_attributes(said[e].as_py()))
    return Pairs(users, items, of_users, of_items, strength, first_ms, int(time_ms.max()))


def _coded(log: EventBatch, column: str) -> tuple[Rows, list[str]]:
    """int32[n] row of each event's id in order of first appearance, -1 where it has none; and the ids."""
    coded = log.table.column(column).dictionary_encode()
    ids = coded.dictionary.to_pylist()
    row = np.cumsum([name != "" for name in ids], dtype=np.int32) - 1
    row[[name == "" for name in ids]] = -1
    return row[coded.indices.to_numpy()], [name for name in ids if name != ""]


def _attributes(text: str) -> dict[str, Any]:
    try:
        said = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}


def _topics(said: list[dict[str, Any]]) -> tuple[NDArray[np.int16], int]:
    """int16[M, 3] of each item's first three topics, of the most frequent ``MOST_TOPICS``; and how many there are."""
    named = [[str(t) for t in topics] if isinstance(topics := s.get("topics"), list) else [] for s in said]
    count: dict[str, int] = {}
    for names in named:
        for name in names:
            count[name] = count.get(name, 0) + 1
    kept = sorted(count, key=lambda name: (-count[name], name))[:MOST_TOPICS]
    row, out = {name: k for k, name in enumerate(kept)}, np.full((len(said), 3), NO_TOPIC, np.int16)
    for i, names in enumerate(named):
        rows = [row[name] for name in dict.fromkeys(names) if name in row][:3]
        out[i, : len(rows)] = rows
    return out, len(kept)


def _by_topics(chosen: sp.csr_array, by_topic: Floats, sd: float) -> Floats:
    """float32[N, T] tastes: ln of a person's smoothed share of each topic over everybody's."""
    if not by_topic.shape[1]:
        return np.zeros((chosen.shape[0], 0), np.float32)
    theirs = chosen @ by_topic
    share = theirs.sum(axis=0) / max(theirs.sum(), 1e-9) + 1e-9
    lift = np.log((theirs + SMOOTHING * share) / (theirs.sum(axis=1, keepdims=True) + SMOOTHING) / share)
    usual = by_topic.mean(axis=0)
    return scaled(lift - (lift @ usual)[:, None] / max(usual.sum(), 1e-9), by_topic, sd)


def _latent(chosen: sp.csr_array, n: int, sd: float, seed: int) -> tuple[Floats, Floats]:
    """float32[N, n] tastes and float32[M, n] vectors; the mean of each person's affinity over items is 0."""
    if n < 1:
        return np.zeros((chosen.shape[0], 0), np.float32), np.zeros((chosen.shape[1], 0), np.float32)
    per_user, per_item = (1 / np.sqrt(1 + chosen.sum(axis=axis)) for axis in (1, 0))
    even = sp.diags_array(per_user) @ chosen @ sp.diags_array(per_item)
    left, size, right = svds(even.astype(np.float64), k=n, v0=rng(seed, "svd").normal(size=min(chosen.shape)))
    vectors = right.T * np.sqrt(size)
    vectors -= vectors.mean(axis=0)
    vectors = (vectors / max(vectors.std(), 1e-9)).astype(np.float32)
    return scaled(left * np.sqrt(size), vectors, sd), vectors


def scaled(likes: NDArray[np.floating], vectors: Floats, sd: float) -> Floats:
    """float32[N, n] the same tastes, each person's affinity with ``vectors`` [M, n] of standard deviation ``sd``."""
    centred = vectors.astype(np.float64) - vectors.mean(axis=0)
    spread = np.sqrt(np.maximum(((likes @ (centred.T @ centred / len(vectors))) * likes).sum(axis=1), 0))
    is_flat = spread <= 1e-6 * max(float(spread.max(initial=0)), 1e-9)
    return np.where(is_flat[:, None], 0, likes * (sd / np.where(is_flat, 1, spread))[:, None]).astype(np.float32)


def _people(pairs: Pairs, config: WorldConfig, seed: int, home: Floats) -> People:
    n, random, habit = len(pairs.users), rng(seed, "people of a log"), config.habit
    shares = np.array(CLASS_SHARES[:NEW])
    return People(
        ids=pairs.users,
        said=[payload(said) for said in pairs.said_of_users],
        home=home,
        vector=home + wandering(config, random, n, home.shape[1]),
        settled=random.choice(NEW, n, p=shares / shares.sum()).astype(np.int8),
        joined_ms=pairs.first_ms,
        eagerness=around_one(random, habit.sessions_sd, n),
        patience=around_one(random, habit.patience_sd, n),
        age=np.zeros(n, np.int8),
        language=np.zeros(n, np.int8),
        city=np.zeros(n, np.int8),
        is_here=np.ones(n, np.bool_),
    )


def _videos(pairs: Pairs, config: WorldConfig, seed: int, topics: NDArray[np.int16], vector: Floats,
            chosen: sp.csr_array) -> Videos:  # fmt: skip
    """Durations are drawn where the log has none; languages and cities are nobody's matter here."""
    n, random = len(pairs.items), rng(seed, "items of a log")
    drawn = np.exp(random.normal(config.duration_log_mean, config.duration_log_sd, n))
    known = np.array([_number(said.get("duration_s")) for said in pairs.said_of_items])
    duration_s = np.clip(np.where(known > 0, known, drawn), SHORTEST_S, LONGEST_S).astype(np.float32)
    born = np.array([_number(said.get("publish_ms")) for said in pairs.said_of_items])
    author: dict[str, int] = {}
    names = [str(said.get("author_id") or f"only {i}") for i, said in enumerate(pairs.said_of_items)]
    much = np.log1p(np.asarray(chosen.sum(axis=0), np.float64))
    return Videos(
        ids=pairs.items,
        said=[
            payload(said | {"duration_s": round(s, 2)})
            for said, s in zip(pairs.said_of_items, duration_s.tolist(), strict=True)
        ],
        vector=vector.astype(np.float32),
        quality=(config.taste.quality_sd * (much - much.mean()) / max(much.std(), 1e-9)).astype(np.float32),
        fresh_ms=np.full(n, config.taste.fresh_half_life_days * DAY_MS, np.float32),
        topics=topics,
        author=np.array([author.setdefault(name, len(author)) for name in names], np.int32),
        duration_s=duration_s,
        born_ms=np.where(np.isfinite(born), np.nan_to_num(born), 0).astype(np.int64),
        language=np.zeros(n, np.int8),
        city=np.full(n, -1, np.int8),
        is_on=np.array(
            [not said.get("deleted") and said.get("available") is not False for said in pairs.said_of_items]
        ),
    )


def _number(value: object) -> float:
    """NaN where it is none."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else float("nan")  # type: ignore[arg-type]
