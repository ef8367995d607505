"""Retrieval: every channel names its best few hundred items of all; ``merge`` makes one list."""

from __future__ import annotations

from typing import Any

from feedmill.core.registry import Registry
from feedmill.retrieval.merge import merge

CHANNELS: Registry[Any] = Registry(
    "channel",
    {
        "popular": "feedmill.retrieval.popular:PopularChannel",
        "itemcf": "feedmill.retrieval.itemcf:ItemCFChannel",
        "swing": "feedmill.retrieval.swing:SwingChannel",
        "ridge": "feedmill.retrieval.ridge:RidgeChannel",
        "usercf": "feedmill.retrieval.usercf:UserCFChannel",
        "vector": "feedmill.retrieval.vector:VectorChannel",
        "followed": "feedmill.retrieval.followed:FollowedChannel",
        "topic": "feedmill.retrieval.topic:TopicChannel",
        "author": "feedmill.retrieval.author:AuthorChannel",
        "city": "feedmill.retrieval.city:CityChannel",
        "segment": "feedmill.retrieval.segment:SegmentChannel",
        "fresh": "feedmill.retrieval.fresh:FreshChannel",
        "marked": "feedmill.retrieval.marked:MarkedChannel",
        "unshown": "feedmill.retrieval.unshown:UnshownChannel",
        "text": "feedmill.retrieval.text:TextChannel",
    },
)

__all__ = ["CHANNELS", "merge"]
