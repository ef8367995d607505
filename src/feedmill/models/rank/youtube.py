"""The ranking network of Covington, Adams and Sargin (RecSys 2016, section 4)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from feedmill.models.rank.ranker import Ranker
from feedmill.models.rank.shared_bottom import SharedBottomBody, SharedBottomConfig


class YouTubeRankerConfig(SharedBottomConfig, frozen=True):
    """Parameters of ``[rank] kind = "youtube"``."""

    hidden_dims: Annotated[
        tuple[Annotated[int, Meta(ge=1)], ...],
        Meta(min_length=1, description="ReLU layers; the paper's best are 1024, 512, 256"),
    ] = (256, 128, 64)
    tower_dim: Annotated[int, Meta(ge=0, description="hidden layer of each head's tower; 0 = none")] = 0
    dots: Annotated[bool, Meta(description="also read the inner product of each user field with each item field")] = (
        False
    )


class YouTubeRanker(Ranker):
    """ReLU layers over embeddings and numbers with their powers, and a logistic output per head.

    The paper's one output is seconds by weighted logistic regression: ``watch_time = { kind = "weighted_logistic" }``.
    """

    Config = YouTubeRankerConfig
    Body = SharedBottomBody
