"""What the serving side reads of feedmill.toml: a struct per section, every parameter declared once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta

from feedmill.core.config import Config
from feedmill.core.logs import LogKind
from feedmill.retrieval.merge import MergeConfig


class ServeConfig(Config, frozen=True):
    """Section ``[serve]``."""

    host: Annotated[str, Meta(description="address to listen on; the default is reachable from this machine only")] = (
        "127.0.0.1"
    )
    open: Annotated[
        bool,
        Meta(
            description="answer without keys on any address, to whoever can reach it: only where a fence stands before"
        ),
    ] = False
    rate_per_s: Annotated[
        float,
        Meta(ge=0, description="requests of one key, two seconds' worth at once; 0 = no limit; each process counts"),
    ] = 1000.0
    port: Annotated[int, Meta(ge=0, le=65535, description="0 takes a free one")] = 8642
    clock: Annotated[
        Literal["wall", "log", "newest"],
        Meta(
            description='"log" starts at the newest event: an old log is served as of its end; "newest" stands at the '
            "newest event until a newer one comes: days that are simulated or replayed pass as fast as their events"
        ),
    ] = "wall"
    deadline_ms: Annotated[float, Meta(ge=0, description="budget of a request; later stages are skipped")] = 200.0
    expose: Annotated[bool, Meta(description="append what was shown to the log, as impressions")] = True
    traces: Annotated[int, Meta(ge=1, description="requests whose account is kept")] = 10_000
    follow_s: Annotated[float, Meta(gt=0, description="seconds between looks for events of other processes")] = 1.0
    snapshot_s: Annotated[float, Meta(gt=0, description="seconds between snapshots of the state")] = 600.0
    threads: Annotated[int, Meta(ge=1, description="requests worked on at once")] = 8
    feeds_at_once: Annotated[
        int, Meta(ge=1, description="feeds, searches and similar items worked on or waiting; one more gets 503")
    ] = 32
    events_at_once: Annotated[
        int, Meta(ge=1, description="requests with events worked on or waiting, a quarter of the threads; then 429")
    ] = 32
    log: Annotated[LogKind, Meta(description='form of log lines on stderr; "json": one object a line')] = "text"
    skew_share: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="share of requests whose trace keeps the features of what was shown, for `report skew`",
        ),
    ] = 0.01
    context: Annotated[
        tuple[str, ...],
        Meta(
            description="what of a request's context is known of its user, such as device and network: models read it, "
            "and the log is told when it changes"
        ),
    ] = ()

    def known(self, context: Mapping[str, str]) -> dict[str, str]:
        """What a request's context says of its user."""
        return {name: context[name] for name in self.context if name in context}


class ChannelOwn(Config, frozen=True):
    """What a channel's block says to the stage around it; the other keys are the channel's own."""

    limit: Annotated[
        int, Meta(ge=1, le=10_000, description="items the channel may bring, those the user has seen not counted")
    ] = 200
    reserve: Annotated[
        int,
        Meta(
            ge=0,
            le=10_000,
            description="its best so many pass the merge's limit, pre-rank's cut and all rules but the last whatever "
            "their value; 0 = none",
        ),
    ] = 0


class RetrievalConfig(Config, frozen=True):
    """Section ``[retrieval]``; one ``[retrieval.channels.NAME]`` a channel."""

    limit: Annotated[int, Meta(ge=1, le=20_000, description="candidates kept after the merge and the filters")] = 600
    merge: MergeConfig = MergeConfig()
    channels: dict[str, dict[str, Any]] = {}


class PrerankConfig(Config, frozen=True):
    """Section ``[prerank]``: user vector · item vector of a channel that has both, or a small model of its own."""

    kind: Annotated[
        Literal["vector", "mlp", "none"],
        Meta(description="vector: a channel's; mlp: late fusion, trained on the ranker's samples and on the ranker"),
    ] = "vector"
    channel: Annotated[str, Meta(description="the channel whose vectors score, and tell re-rank what is alike")] = (
        "two_tower"
    )
    keep: Annotated[int, Meta(ge=1, le=10_000, description="candidates that go on to rank")] = 300
    mlp: Annotated[dict[str, Any], Meta(description='parameters of kind "mlp"; training reads them')] = {}
