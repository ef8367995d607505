"""Embedding retrieval: one channel for every model with a user vector and item vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta

from feedmill.core.batches import CandidateBatch, Floats, Mask, Part, UserColumns
from feedmill.core.config import Config
from feedmill.core.request import FeedRequest
from feedmill.retrieval.index import FlatIndex, unit
from feedmill.state import State

Encoder = Callable[[UserColumns], Floats]


class VectorConfig(Config, frozen=True, kw_only=True):
    """How vectors are compared."""

    metric: Annotated[
        Literal["inner_product", "cosine"], Meta(description="cosine divides by the lengths of both vectors")
    ] = "inner_product"


class VectorChannel:
    """The items whose vectors are nearest to the user's, which is computed anew for every request.

    Two-tower, YouTube, DSSM and matrix completion differ in how they are trained, not in how they are served.
    Unavailable items are passed over inside the index, so that they do not take places. Items newer than
    the artifact are not in it.

    Args:
        name: the channel's name.
        config: see VectorConfig.
        part: array ``item_vectors`` float32[N, D], and what ``features.graph.Graph`` needs to encode users.
        state: tells which items are available.
        encoder: UserColumns -> float32[R, D] in place of the part's own graph.
    """

    Config = VectorConfig

    def __init__(
        self, name: str, config: VectorConfig, part: Part, state: State, *, encoder: Encoder | None = None
    ) -> None:
        self.name, self.config = name, config
        self._state = state
        self._encode = encoder or _graph(part, state)
        vectors = part.arrays["item_vectors"]
        self._n_items = len(vectors)
        self._index = FlatIndex(unit(vectors) if config.metric == "cosine" else vectors)

    def fetch(self, request: FeedRequest, user: UserColumns, limit: int) -> CandidateBatch:
        """The nearest ``limit`` items that are available.

        Raises:
            DataError: the encoder's answer is not finite or not as wide as the items' vectors.
        """
        vector = self._encode(user)[:1]
        if self.config.metric == "cosine":
            vector = unit(vector)
        rows, scores = self._index.search(vector, limit, self._available())
        found = rows[0] > 0
        return CandidateBatch.of(self.name, rows[0, found], scores[0, found])

    def _available(self) -> Mask:
        """bool[N]; an item that the state has not met cannot be shown."""
        known = self._state.catalogue.available[: self._n_items]
        return np.concatenate([known, np.zeros(self._n_items - len(known), bool)])


def _graph(part: Part, state: Any) -> Encoder:
    from feedmill.features.graph import Graph

    encode: Encoder = Graph(part, state).users
    return encode
