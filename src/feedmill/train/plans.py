"""What the config asks to be trained, checked before any work starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from feedmill.core.config import Config, convert, nearest
from feedmill.core.errors import ConfigError
from feedmill.core.registry import Registry
from feedmill.core.workspace import Component, Workspace, component
from feedmill.models import RANKERS, TOWERS
from feedmill.rerank import FusionConfig
from feedmill.retrieval import CHANNELS
from feedmill.samples.scores import ScoresConfig
from feedmill.train.calibration.fit import CalibrationConfig
from feedmill.train.config import Fitting, TowerPlan
from feedmill.train.rank.compact import ServingConfig
from feedmill.train.rank.prerank import PrerankNet
from feedmill.train.retrieval.completion import CompletionConfig
from feedmill.train.retrieval.text import TextPlan
from feedmill.train.trees.part import TREE_RANKERS


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
Keys = TypeVar("Keys", bound=Config)


@dataclass(frozen=True, slots=True)
class RankPlan:
    """The ranker, how it is fitted, put right and served, and the pre-ranker it teaches: [rank] and [prerank.mlp]."""

    chosen: Component[Any]
    fitting: Fitting
    calibration: CalibrationConfig
    serving: ServingConfig
    prerank: PrerankNet | None
    fusion: FusionConfig

    @staticmethod
    def of(workspace: Workspace) -> RankPlan | None:
        """None with ``kind = "none"``. Raises ConfigError on what nobody reads, or on values out of range."""
        raw = workspace.raw.get("rank", {"kind": "mmoe"})
        small = workspace.raw.get("prerank", {})
        if raw.get("kind") == "none":
            return None
        kinds = [*RANKERS, *TREE_RANKERS, "none"]
        if isinstance(raw.get("kind"), str) and raw["kind"] not in kinds:
            raise ConfigError(f'rank: no kind "{raw["kind"]}"', f"one of {sorted(kinds)}", nearest(raw["kind"], kinds))
        is_tree = raw.get("kind") in list(TREE_RANKERS)
        structs = () if is_tree else (Fitting, ServingConfig)
        own = ["calibration", *(key for struct in structs for key in struct.__struct_fields__)]
        table: Registry[Any] = TREE_RANKERS if is_tree else RANKERS
        chosen = component(raw, table, "rank", own=own)
        return RankPlan(
            chosen,
            _keys(chosen, Fitting),
            workspace.section("rank.calibration", CalibrationConfig),
            _keys(chosen, ServingConfig),
            convert(small.get("mlp", {}), PrerankNet, "prerank.mlp") if small.get("kind") == "mlp" else None,
            workspace.section("rerank.fusion", FusionConfig),
        )

    def explained(self) -> list[tuple[str, msgspec.Struct]]:
        """(dotted path, struct) of everything these blocks may set."""
        out: list[tuple[str, msgspec.Struct]] = [("rank", self.chosen.config)]
        if self.chosen.kind not in list(TREE_RANKERS):
            out += [("rank", self.fitting), ("rank", self.serving)]
        out.append(("rank.calibration", self.calibration))
        return out if self.prerank is None else [*out, ("prerank.mlp", self.prerank)]


@dataclass(frozen=True, slots=True)
class Plans:
    """Channels, the models behind some of them by channel name, and the ranker."""

    channels: list[Component[Any]]
    models: dict[str, Plan]
    rank: RankPlan | None

    @staticmethod
    def of(workspace: Workspace) -> Plans:
        """Raises ConfigError on the first thing that cannot be trained as it is written."""
        channels = workspace.components("retrieval.channels", CHANNELS, own=["limit", "reserve"])
        models = {c.name: _plan(c, workspace) for c in channels if not hasattr(c.cls, "build")}
        return Plans(channels, models, RankPlan.of(workspace))


def _keys(chosen: Component[Any], kind: type[Keys]) -> Keys:
    """The keys of one struct among those that stand beside a component's own."""
    return convert({k: v for k, v in chosen.own.items() if k in kind.__struct_fields__}, kind, "rank")


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
