"""From a config, a state and an artifact to the chain that answers requests."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from feedmill.core.batches import Floats, Part, Rows
from feedmill.core.config import convert, nearest
from feedmill.core.errors import ArtifactError, ConfigError
from feedmill.core.protocols import Channel, Filter, Scorer
from feedmill.core.workspace import Component, Workspace, component
from feedmill.publish import Artifact
from feedmill.rerank import RULES, FusionConfig, check, fuse
from feedmill.rerank.finish_length import FINISH_LENGTH_PART, finish_lengths
from feedmill.retrieval import CHANNELS
from feedmill.retrieval.index import unit
from feedmill.retrieval.merge import MERGE_PART, Merge, check_weights, merger
from feedmill.retrieval.vector import encoder_of
from feedmill.samples.rows import ALL_HEADS
from feedmill.serve.config import ChannelOwn, PrerankConfig, RetrievalConfig
from feedmill.serve.fallback import Popularity
from feedmill.serve.filters import FILTERS, Excluded, NoParameters
from feedmill.serve.made import Made
from feedmill.serve.pipeline import Chain
from feedmill.serve.scorers import Encoder, GraphScorer, RankScorer, Remembered, VectorScorer
from feedmill.serve.similar import lookups, shown_to_anybody
from feedmill.state import State

RANK_PART, PRERANK_PART = "rank", "prerank"  # a channel's part has the channel's name
VECTORS = "item_vectors"  # the array that makes a channel able to pre-rank
OWNERS = {
    RANK_PART: "the ranker's",
    PRERANK_PART: "the pre-ranker's",
    MERGE_PART: "the merge's",
    FINISH_LENGTH_PART: "the finish-length curve's",
}
MAX_FALLBACK = 100_000
AGAIN = "run `feedmill train` in this workspace"
FILTERS_DEFAULT: Mapping[str, Any] = {"seen": True, "unavailable": True}


class Names:
    """Ids and titles from a state."""

    def __init__(self, state: State) -> None:
        self._state = state

    def ids(self, rows: Rows) -> list[str]:
        return self._state.items.ids(rows)

    def titles(self, rows: Rows) -> list[str]:
        return [self._state.catalogue.title(row) for row in rows.tolist()]


class Builder:
    """Reads the config once, so that its mistakes show before anything is served; then builds a chain per artifact.

    Args:
        kept: what outlives an artifact, such as what a channel has learnt while serving; builders of one state whose
            configs differ share it.

    Raises:
        ConfigError: an unknown kind or key, a value out of range, a channel that bears a reserved name.
    """

    def __init__(self, workspace: Workspace, state: State, kept: Made | None = None) -> None:
        self._state, self._kept = state, kept or Made()
        self._retrieval = workspace.section("retrieval", RetrievalConfig)
        self._channels = workspace.components("retrieval.channels", CHANNELS, ChannelOwn.__struct_fields__)
        own = {c.name: convert(c.own, ChannelOwn, f"retrieval.channels.{c.name}") for c in self._channels}
        self._limits = {name: of.limit for name, of in own.items()}
        self._reserve = {name: of.reserve for name, of in own.items() if of.reserve}
        self._prerank = workspace.section("prerank", PrerankConfig)
        self._fusion = workspace.section("rerank.fusion", FusionConfig)
        self._check_names(workspace)
        self._wants_rank = workspace.raw.get("rank", {}).get("kind") != "none"
        self._rules = workspace.components("rerank.rules", RULES)
        self._filters = _filters(workspace, state)
        self._fallback: Popularity = self._kept.once(lambda: Popularity(state), "fallback")
        self.names = Names(state)

    def chain(self, artifact: Artifact | None, made: Made | None = None) -> tuple[Chain, list[str]]:
        """The components of an artifact, and what is missing of what the config names.

        Args:
            made: what other builders of this state have made of this artifact.

        Raises:
            ArtifactError: the artifact was built from another log or feature spec, or a part cannot be used.
        """
        if artifact is not None:
            _check_is_of(artifact.about, self._state)
        parts, made, state = self._parts(artifact), made or Made(), self._state
        known = [c for c in self._channels if c.name in parts]
        encoders = {c.name: made.once(partial(_encoder, parts[c.name], state), "encoder", c.name) for c in known}
        channels = [
            made.once(partial(self._channel, c, parts[c.name], encoders[c.name]), "channel", c.name, c.kind, c.config)
            for c in known
        ]
        rank = made.once(partial(_ranker, parts.get(RANK_PART), state), RANK_PART) if self._wants_rank else None
        prerank, vectors = self._prerank_scorer(parts, encoders, made)
        lengths = finish_lengths(parts[FINISH_LENGTH_PART], state) if FINISH_LENGTH_PART in parts else None
        chain = Chain(
            channels=tuple((channel, self._limits[channel.name]) for channel in channels),
            merge=self._merge(parts),
            limit=self._retrieval.limit,
            filters=self._filters,
            fallback=self._fallback,
            fallback_limit=MAX_FALLBACK,
            prerank=prerank,
            keep=self._prerank.keep,
            rank=rank,
            fuse=lambda candidates: fuse(candidates, self._fusion, lengths),
            n_hidden=lambda request, user: len(self._state.seen(int(user.row[0]))) + len(request.exclude),
            rules=tuple((rule.name, rule.cls(rule.config, self._state, vectors)) for rule in self._rules),
            version=artifact.version if artifact else "",
            similar=tuple(shown_to_anybody(look, self._filters, state) for look in lookups(channels, parts, state)),
            reserve=self._reserve,
        )
        return chain, self._missing(parts, rank) if artifact else ["no model"]

    def _parts(self, artifact: Artifact | None) -> Mapping[str, Part]:
        """Of an artifact, and empty ones of the channels that learn nothing: those need not wait for a training."""
        if artifact is None:
            return {}
        learn_nothing = [c for c in self._channels if not getattr(c.cls, "learns", True)]
        return {**{c.name: Part(c.kind, {}, {}) for c in learn_nothing}, **artifact.parts}

    def _channel(self, c: Component[Channel], part: Part, encoder: Encoder | None) -> Channel:
        make: Any = c.cls
        if part.kind != c.kind:
            raise ArtifactError(
                f'the artifact\'s channel "{c.name}" is of kind "{part.kind}"', f'"{c.kind}", as the config says',
                "run `feedmill train` after changing the config",
            )  # fmt: skip
        extra: dict[str, Any] = {} if encoder is None else {"encoder": encoder}
        if hasattr(make, "Memory"):  # what a channel has learnt while serving goes on with the next artifact
            extra["memory"] = self._kept.once(lambda: make.Memory(c.config), "memory", c.name)
        channel: Channel = make(c.name, c.config, part, self._state, **extra)
        return channel

    def _prerank_scorer(
        self, parts: Mapping[str, Part], encoders: Mapping[str, Encoder | None], made: Made
    ) -> tuple[Scorer | None, Floats | None]:
        """The scorer, and the item vectors that re-rank rules measure likeness with."""
        name, small = self._prerank.channel, None
        encode = encoders.get(name)
        if self._prerank.kind == "mlp":
            small = made.once(partial(_small_model, parts.get(PRERANK_PART), self._state), PRERANK_PART)
        if encode is None:
            return small, None
        vectors = np.asarray(parts[name].arrays[VECTORS])
        config = next(c.config for c in self._channels if c.name == name)
        metric = getattr(config, "metric", "")
        if metric == "cosine":
            vectors = made.once(partial(unit, vectors), "unit vectors", name)
        if self._prerank.kind != "vector":
            return small, vectors
        return VectorScorer(vectors, encode, is_l2=metric == "l2"), vectors

    def _merge(self, parts: Mapping[str, Part]) -> Merge:
        learned = parts[MERGE_PART].config.get("weights", {}) if MERGE_PART in parts else {}
        return merger(self._retrieval.merge, learned)

    def _missing(self, parts: Mapping[str, Part], rank: Scorer | None) -> list[str]:
        """What the config names and the artifact does not have: added since it was trained."""
        missing = [f"retrieval.{c.name}: not trained" for c in self._channels if c.name not in parts]
        if self._retrieval.merge.kind == "weighted" and self._retrieval.merge.learn and MERGE_PART not in parts:
            missing.append("retrieval.merge: no weights learned")
        name = self._prerank.channel
        if self._prerank.kind == "vector" and name in parts and VECTORS not in parts[name].arrays:
            missing.append(f"prerank: {name} has no vectors")
        if self._prerank.kind == "mlp" and PRERANK_PART not in parts:
            missing.append("prerank: not trained")
        if rank is not None and self._fusion.weights and not set(self._fusion.weights) & set(rank.heads):
            missing.append(f"rerank.fusion: no weight for {', '.join(rank.heads)}, so the ranker has no say")
        if self._fusion.finish == "length_adjusted" and FINISH_LENGTH_PART not in parts:
            missing.append("rerank.fusion: no finish-length curve, so finishes count as they are")
        return [*missing, "rank: not trained"] if self._wants_rank and RANK_PART not in parts else missing

    def _check_names(self, workspace: Workspace) -> None:
        for reserved, whose in OWNERS.items():
            if reserved in self._limits:
                raise ConfigError(f"retrieval.channels.{reserved}", f"another name: this one is {whose}")
        check_weights(self._retrieval.merge, list(self._limits))
        check(self._fusion, [*ALL_HEADS, *VectorScorer.heads])
        chosen = workspace.raw.get("prerank", {}).get("channel")
        if chosen is not None and chosen not in self._limits:
            expected = f"one of {list(self._limits)}"
            raise ConfigError(f'prerank.channel = "{chosen}"', expected, nearest(chosen, self._limits))


def _check_is_of(about: Mapping[str, Any], state: State) -> None:
    """Whether an artifact's rows are the rows of this state, which may have grown since."""
    for name, ids in (("users", state.users), ("items", state.items)):
        n, digest = about.get(f"n_{name}"), about.get(f"{name}_digest")
        if not isinstance(n, int) or not isinstance(digest, str):
            raise ArtifactError(f"the artifact does not say which {name} it knows", f"n_{name}, {name}_digest", AGAIN)
        if not ids.agrees(n, digest):
            raise ArtifactError(
                f"the artifact knows {n} {name} that are not the first {n} of this log",
                f"an artifact trained on this log, which has {len(ids)} {name}",
                f"{AGAIN}, or roll back to a version of its own",
            )


def _encoder(part: Part, state: State) -> Encoder | None:
    """What makes a user's vector, if the part has such: one for retrieval and pre-rank."""
    if part.kind != "vector" or VECTORS not in part.arrays:
        return None
    return Remembered(encoder_of(part, state))


def _ranker(part: Part | None, state: State) -> Scorer | None:
    if part is None:
        return None
    from feedmill.features.served.calibrated import calibrated
    from feedmill.features.served.graph import Graph
    from feedmill.features.served.trees_graph import TREES_KIND, TreesGraph

    graph = TreesGraph(part, state) if part.kind == TREES_KIND else Graph(part, state)
    return RankScorer(calibrated(graph, part, state))


def _small_model(part: Part | None, state: State) -> Scorer | None:
    if part is None:
        return None
    from feedmill.features.served.late_fusion import LateFusionGraph

    return GraphScorer(LateFusionGraph(part, state))


def _filters(workspace: Workspace, state: State) -> tuple[Filter, ...]:
    """Those of the config, after the one that keeps a cursor's pages apart."""
    raw = {**FILTERS_DEFAULT, **workspace.raw.get("filters", {})}
    blocks = [component(block, FILTERS, f"filters.{name}", name) for name, block in raw.items() if block is not False]
    return (Excluded(NoParameters(), state), *(b.cls(b.config, state) for b in blocks if b.kind != "excluded"))
