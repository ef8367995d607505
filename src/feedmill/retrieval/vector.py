"""Embedding retrieval: one channel for every model with a user vector and item vectors."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from feedmill.core.batches import CandidateBatch, Floats, Mask, Part, UserColumns
from feedmill.core.config import Config
from feedmill.core.errors import ArtifactError, DataError
from feedmill.core.progress import progress
from feedmill.core.request import FeedRequest
from feedmill.retrieval.index import Metric, VectorIndex, chosen
from feedmill.retrieval.index.build import asked
from feedmill.retrieval.index.stored import unpack
from feedmill.state import State

Encoder = Callable[[UserColumns], Floats]
ITEMS, USERS, INDEX = "item_vectors", "user_vectors", "index"  # arrays of a part
logger = logging.getLogger("feedmill.retrieval")


class VectorConfig(Config, frozen=True, kw_only=True):
    """How vectors are compared, and with what index."""

    metric: Annotated[
        Metric,
        Meta(description="cosine divides by the lengths of both vectors; l2 scores with the negated squared distance"),
    ] = "inner_product"
    index: Annotated[
        str | dict[str, Any],
        Meta(description='auto, flat, ivf, hnsw or lsh; or a table, such as { kind = "ivf", n_probe = 32 }'),
    ] = "auto"

    def __post_init__(self) -> None:
        chosen(self.index)


class VectorChannel:
    """The items whose vectors are nearest to the user's, which is computed or looked up for every request.

    Two-tower, YouTube, DSSM and matrix completion differ in how they are trained, not in how they are served.
    Unavailable items are passed over inside the index, so that they do not take places. Items newer than
    the artifact are not in it, nor are those whose vector is zero; a user whose vector is zero gets no answer.

    Args:
        name: the channel's name.
        config: see VectorConfig.
        part: array ``item_vectors`` float32[N, D]; and ``user_vectors`` float32[U, D], or what
            ``features.served.graph.Graph`` needs to encode users. ``with_index`` adds ``index``; without it, or with
            another than the config asks for, the index is built here.
        state: tells which items are available.
        encoder: UserColumns -> float32[R, D] in place of the part's own.

    Raises:
        ArtifactError: the part has no item vectors or unusable ones, or its index is damaged.
    """

    Config = VectorConfig

    def __init__(
        self, name: str, config: VectorConfig, part: Part, state: State, *, encoder: Encoder | None = None
    ) -> None:
        self.name, self.config = name, config
        self._state = state
        self._encode = encoder or encoder_of(part, state)
        self.index = open_index(part, config, name)
        self._vectors = part.arrays[ITEMS]

    def fetch(self, request: FeedRequest, user: UserColumns, limit: int) -> CandidateBatch:
        """The nearest ``limit`` items that are available.

        Raises:
            DataError: the encoder's answer is not finite or not as wide as the items' vectors.
        """
        return self._nearest(self._encode(user)[:1], limit, self._available())

    def similar(self, item: int, limit: int) -> CandidateBatch:
        """The ``limit`` available items nearest to an item's vector; none for one without a vector."""
        if not 0 < item < len(self._vectors):
            return CandidateBatch.of(self.name, [], [])
        others = self._available().copy()
        others[item] = False
        return self._nearest(np.array(self._vectors[item : item + 1]), limit, others)

    def _nearest(self, vector: Floats, limit: int, keep: Mask) -> CandidateBatch:
        if not vector.any():
            return CandidateBatch.of(self.name, [], [])
        rows, scores = self.index.search(vector, limit, keep)
        found = rows[0] > 0
        return CandidateBatch.of(self.name, rows[0, found], scores[0, found])

    def _available(self) -> Mask:
        """bool[N]; an item that the state has not met cannot be shown."""
        n = self.index.n_rows
        known = self._state.catalogue.available[:n]
        return known if len(known) == n else np.concatenate([known, np.zeros(n - len(known), bool)])


class UserVectors:
    """Looks up the vectors of users, as matrix completion learns them; zero for users newer than the table.

    Args:
        vectors: float32[U, D] by user row; row 0, nobody, counts as zero.
    """

    def __init__(self, vectors: Floats) -> None:
        self._vectors = vectors

    def __call__(self, user: UserColumns) -> Floats:
        """float32[R, D]."""
        out = np.zeros((len(user), self._vectors.shape[1]), np.float32)
        known = (user.row > 0) & (user.row < len(self._vectors))
        out[known] = self._vectors[user.row[known]]
        return out


def encoder_of(part: Part, state: State) -> Encoder:
    """What makes the vectors of users: the part's table of them, or its graph."""
    if USERS in part.arrays:
        return UserVectors(part.arrays[USERS])
    from feedmill.features.served.graph import Graph

    encode: Encoder = Graph(part, state).users
    return encode


def with_index(part: Part, config: VectorConfig, seed: int, queries: Floats | None = None) -> Part:
    """A part with its index built and measured, so that opening it maps pages and learns nothing.

    ``part.config["index"]`` reports kind, recall@k against exact, effort and bytes; a flat index needs no array.

    Args:
        queries: float32[U, D] vectors of users to measure recall with; None = the part's own, or items' vectors.

    Raises:
        DataError: vectors that are not N x D with D > 0, or not finite.
    """
    if queries is None:
        queries = part.arrays.get(USERS)
    with progress("building the index"):
        index = VectorIndex.build(part.arrays[ITEMS], chosen(config.index), config.metric, seed=seed, queries=queries)
    stored = {} if index.kind == "flat" else {INDEX: index.packed()}
    arrays = {k: v for k, v in part.arrays.items() if k != INDEX}
    return replace(part, config={**part.config, INDEX: dict(index.report)}, arrays={**arrays, **stored})


def open_index(part: Part, config: VectorConfig, name: str = "vector") -> VectorIndex:
    """The part's index if it is the one that the config asks for; else one built now.

    Raises:
        ArtifactError: no item vectors, or such as cannot be used; a damaged index.
    """
    if ITEMS not in part.arrays:
        raise ArtifactError(f'the part of channel "{name}" has no array {ITEMS}', "float32[N, D]", "train again")
    vectors, raw = part.arrays[ITEMS], part.arrays.get(INDEX)
    if raw is not None:
        held = unpack(raw, vectors, verify=False, name=f"the index of channel {name}")
        if held.metric == config.metric and held.report.get("asked") == asked(chosen(config.index)):
            return VectorIndex(held)
    try:
        index = VectorIndex.build(vectors, chosen(config.index), config.metric)
    except DataError as e:
        raise ArtifactError(f"channel {name}: {e.given}", e.expected, "train again") from None
    if raw is not None or index.kind != "flat":
        logger.warning("%s: built a %s index that the artifact lacks; `feedmill train` stores it", name, index.kind)
    return index
