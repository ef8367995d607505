"""What every ranker of ``[rank]`` can be told, whatever its body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from feedmill.core.config import Config
from feedmill.core.errors import ConfigError
from feedmill.core.workspace import component


class RankerConfig(Config, frozen=True):
    """Parameters that all kinds of ``[rank]`` share.

    Raises:
        ConfigError: ``personal`` or ``watch_time`` names no kind there is, or a key that its kind does not have;
            ``given`` goes round in a circle.
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
    given: Annotated[
        dict[str, str],
        Meta(description='heads that presuppose others: { finish = "click" } learns P(finish | click) P(click)'),
    ] = msgspec.field(default_factory=dict)
    watch_time: Annotated[
        dict[str, Any],
        Meta(description='a head for seconds watched: { kind = "weighted_logistic" }; none = no such head'),
    ] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        from feedmill.models import PERSONAL, WATCH_TIME

        in_order(self.given)
        if self.personal:
            component(self.personal, PERSONAL, "rank.personal")
        if self.watch_time:
            component(self.watch_time, WATCH_TIME, "rank.watch_time")


def in_order(given: Mapping[str, str]) -> list[str]:
    """The heads that presuppose others, each after the one it presupposes.

    Raises:
        ConfigError: a head presupposes itself, in the end.
    """
    out: list[str] = []
    for head in given:
        chain = [head]
        while chain[-1] in given and given[chain[-1]] not in out:
            if given[chain[-1]] in chain:
                raise ConfigError(
                    f"rank.given: {' given '.join([*chain, given[chain[-1]]])}", "heads that come one after the other"
                )
            chain.append(given[chain[-1]])
        out += [h for h in reversed(chain) if h in given and h not in out]
    return out


class DeepConfig(RankerConfig, frozen=True):
    """Parameters of the kinds with hidden layers."""

    hidden_dims: Annotated[
        tuple[Annotated[int, Meta(ge=1)], ...],
        Meta(min_length=1, description="ReLU layers of each net: an expert, a bottom, or a head's own"),
    ] = (64, 32)
    tower_dim: Annotated[int, Meta(ge=0, description="hidden layer of each head's tower; 0 = none")] = 16
