"""More by the authors whose items a user has taken to of late."""

from __future__ import annotations

import msgspec

from feedmill.core.batches import Rows
from feedmill.retrieval.blend import Depth
from feedmill.retrieval.topic import Lanes, MaxKeys, TopicChannel, TopicConfig


class AuthorConfig(TopicConfig, frozen=True, kw_only=True):
    """As for topics."""

    lanes: Lanes = msgspec.field(default_factory=lambda: {"liked": 1.0})
    max_keys: MaxKeys = 20
    depth: Depth = 50


class AuthorChannel(TopicChannel):
    """The best items of the authors of a user's recent items; an author weighs what the items weigh together."""

    Config = AuthorConfig
    kind = "author"

    def _keys(self, rows: Rows) -> Rows:
        author: Rows = self._state.catalogue.author[rows].reshape(-1, 1)
        return author

    def _keys_of_history(self, rows: Rows) -> Rows:
        author: Rows = self._state.catalogue.last_author[rows].reshape(-1, 1)
        return author
