"""What every ranker of ``[rank]`` can be told, whatever its body."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from feedmill.core.config import Config
from feedmill.core.workspace import component


class RankerConfig(Config, frozen=True):
    """Parameters that all kinds of ``[rank]`` share.

    Raises:
        ConfigError: ``personal`` or ``watch_time`` names no kind there is, or a key that its kind does not have.
    """

    embedding_dim: Annotated[int, Meta(ge=1, description="width of every id's vector")] = 32
    dropout: Annotated[float, Meta(ge=0, lt=1, description="of embedding rows while training")] = 0.3
    dots: Annotated[bool, Meta(description="also read the inner product of each user field with each item field")] = (
        True
    )
    personal: Annotated[
        dict[str, Any],
        Meta(description='gates of the hidden layers by user and item: { kind = "ppnet" } or "poso"; none = plain'),
    ] = msgspec.field(default_factory=dict)
    watch_time: Annotated[
        dict[str, Any],
        Meta(description='a head for seconds watched: { kind = "weighted_logistic" }; none = no such head'),
    ] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        from feedmill.models import PERSONAL, WATCH_TIME

        if self.personal:
            component(self.personal, PERSONAL, "rank.personal")
        if self.watch_time:
            component(self.watch_time, WATCH_TIME, "rank.watch_time")


class DeepConfig(RankerConfig, frozen=True):
    """Parameters of the kinds with hidden layers."""

    hidden_dims: Annotated[
        tuple[Annotated[int, Meta(ge=1)], ...],
        Meta(min_length=1, description="ReLU layers of each net: an expert, a bottom, or a head's own"),
    ] = (64, 32)
    tower_dim: Annotated[int, Meta(ge=0, description="hidden layer of each head's tower; 0 = none")] = 16
