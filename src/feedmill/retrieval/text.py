"""Text to item: what answers a search, and what brings the last search back into the feed (DSSM)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

import numpy as np
from msgspec import Meta

from feedmill.core.batches import LANE_ROW, CandidateBatch, Floats, Part, UserColumns
from feedmill.core.request import FeedRequest
from feedmill.retrieval.vector import VectorChannel, VectorConfig
from feedmill.state import State

QUERY = "query"  # the key of a request's context that holds what is searched for
DAY_MS = 86_400_000.0
TextEncoder = Callable[[Sequence[str]], Floats]


class TextChannelConfig(VectorConfig, frozen=True, kw_only=True):
    """Which text a request is answered for, and how vectors are compared."""

    last_search_days: Annotated[
        float, Meta(ge=0, description="age of the last search that a feed without a query still goes by; 0 = none")
    ] = 7.0


class TextChannel(VectorChannel):
    """The items whose text means what the query means, by the cosine of the two vectors.

    The query is ``context["query"]`` of the request, else the user's last search, else there is no answer; nor is there
    one for a query of which the model knows nothing. Unavailable items take no places. Items newer than the artifact
    are not found before the next training.

    Args:
        part: array ``item_vectors`` float32[N, D], and what ``features.served.text_graph.TextGraph`` needs.
        state: tells which items are available, and what was searched.
        texts: texts -> float32[n, D] in place of the part's own encoder.
    """

    Config = TextChannelConfig

    def __init__(
        self, name: str, config: TextChannelConfig, part: Part, state: State, *, texts: TextEncoder | None = None
    ) -> None:
        self._texts = texts or _graph(part)
        super().__init__(name, config, part, state, encoder=_no_vectors)
        self._last_search_ms = config.last_search_days * DAY_MS

    def fetch(self, request: FeedRequest, user: UserColumns, limit: int) -> CandidateBatch:
        """The nearest ``limit`` items that are available; of a blank query none.

        Raises:
            DataError: the encoder's answer is not finite or not as wide as the items' vectors.
        """
        query = request.context.get(QUERY, "").strip() or self._last_search(user)
        if not query:
            return CandidateBatch.of(self.name, [], [])
        return self._nearest(self._texts([query]), limit, self._available())

    def _last_search(self, user: UserColumns) -> str:
        """What the user searched for last, "" if it is too long ago or newer than what the state knows."""
        lane = LANE_ROW["searched"]
        row, at_ms = int(user.history[0, lane, 0]), int(user.history_ms[0, lane, 0])
        is_recent = 0 <= int(user.time_ms[0]) - at_ms <= self._last_search_ms
        return self._state.queries.id(row) if 0 < row < len(self._state.queries) and is_recent else ""


def _no_vectors(user: UserColumns) -> Floats:
    """Users have no vectors here, only their words have."""
    return np.zeros((len(user), 1), np.float32)


def _graph(part: Part) -> TextEncoder:
    from feedmill.features.served.text_graph import TextGraph

    encode: TextEncoder = TextGraph(part).encode
    return encode
