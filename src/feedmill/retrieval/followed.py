"""What the authors that a user follows have published of late."""

from __future__ import annotations

import msgspec

from feedmill.retrieval.author import AuthorChannel, AuthorConfig
from feedmill.retrieval.blend import Depth, Mix, Order
from feedmill.retrieval.topic import Lanes, LastN, MaxKeys


class FollowedConfig(AuthorConfig, frozen=True, kw_only=True):
    """As for authors, of those followed."""

    last_n: LastN = 1000
    lanes: Lanes = msgspec.field(default_factory=lambda: {"followed": 1.0})
    max_keys: MaxKeys = 1000
    order: Order = "newest"
    mix: Mix = "score"
    depth: Depth = 20


class FollowedChannel(AuthorChannel):
    """The newest items of followed authors, the latest first, at most ``depth`` of each.

    An author is followed through an item (a FOLLOW event names one), and stays followed when that item is taken down;
    the state remembers the last ``state.history_len`` follows of each user. A new item is found as soon as its ITEM
    event is folded, with no training in between.
    """

    Config = FollowedConfig
    kind = "followed"
