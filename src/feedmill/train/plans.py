"""What the config asks to be trained, checked before any work starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from feedmill.core.config import convert
from feedmill.core.errors import ConfigError
from feedmill.core.workspace import Component, Workspace, component
from feedmill.models import RANKERS, TOWERS
from feedmill.retrieval import CHANNELS
from feedmill.samples.scores import ScoresConfig
from feedmill.train.completion import CompletionConfig
from feedmill.train.config import FITTING_KEYS, Fitting, TowerPlan
from feedmill.train.text import TextPlan


@dataclass(frozen=True, slots=True)
class CompletionPlan:
    """Matrix completion for a vector channel: the block [train.NAME] with kind = "completion"."""

    name: str
    config: CompletionConfig
    scores: ScoresConfig
    kind: str = "completion"

    @staticmethod
    def of(name: str, block: Mapping[str, Any]) -> CompletionPlan:
        """Raises ConfigError on what nobody reads, or on values out of range."""
        own = ScoresConfig.__struct_fields__
        at = f"train.{name}"
        config = convert({k: v for k, v in block.items() if k not in ("kind", *own)}, CompletionConfig, at)
        return CompletionPlan(name, config, convert({k: block[k] for k in own if k in block}, ScoresConfig, at))

    def explained(self) -> list[tuple[str, msgspec.Struct]]:
        """(dotted path, struct) of everything the block may set."""
        return [(f"train.{self.name}", self.config), (f"train.{self.name}", self.scores)]


Plan = TowerPlan | CompletionPlan | TextPlan


@dataclass(frozen=True, slots=True)
class Plans:
    """Channels, the models behind some of them by channel name, and the ranker with its fitting."""

    channels: list[Component[Any]]
    models: dict[str, Plan]
    ranker: Component[Any] | None
    fitting: Fitting

    @staticmethod
    def of(workspace: Workspace) -> Plans:
        """Raises ConfigError on the first thing that cannot be trained as it is written."""
        channels = workspace.components("retrieval.channels", CHANNELS, own=["limit"])
        models = {c.name: _plan(c, workspace) for c in channels if not hasattr(c.cls, "build")}
        raw = workspace.raw.get("rank", {"kind": "mmoe"})
        if raw.get("kind") == "none":
            return Plans(channels, models, None, Fitting())
        ranker = component(raw, RANKERS, "rank", own=FITTING_KEYS)
        return Plans(channels, models, ranker, convert(ranker.own, Fitting, ranker.name))


def _plan(channel: Component[Any], workspace: Workspace) -> Plan:
    block = workspace.raw.get("train", {}).get(channel.name, {})
    if channel.kind == "text":
        return TextPlan.of(channel.name, block)
    if block.get("kind", channel.name) == "completion":
        return CompletionPlan.of(channel.name, block)
    plan = TowerPlan.of(channel.name, block, TOWERS, workspace.raw.get("features", {}))
    has_bias = plan.objective.item_bias or plan.loss.loss == "hierarchical_softmax"
    if has_bias and channel.config.metric != "inner_product":
        raise ConfigError(
            f'retrieval.channels.{channel.name}.metric = "{channel.config.metric}"',
            "inner_product: a number per item beside its vector has no place in a cosine or a distance",
            f"leave metric out, or set train.{channel.name}.item_bias = false and a loss without a tree",
        )
    return plan
