"""What the config asks to be trained, checked before any work starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from feedmill.core.config import convert
from feedmill.core.workspace import Component, Workspace, component
from feedmill.models import RANKERS, TOWERS
from feedmill.retrieval import CHANNELS
from feedmill.train.config import FITTING_KEYS, Fitting, TowerPlan
from feedmill.train.text import TextPlan


@dataclass(frozen=True, slots=True)
class Plans:
    """What the config asks to be trained, checked before any work starts."""

    channels: list[Component[Any]]
    towers: dict[str, TowerPlan]
    ranker: Component[Any] | None
    fitting: Fitting
    texts: dict[str, TextPlan] = field(default_factory=dict)

    @staticmethod
    def of(workspace: Workspace) -> Plans:
        channels = workspace.components("retrieval.channels", CHANNELS, own=["limit"])
        towers, texts = {}, {}
        for c in channels:
            block = workspace.raw.get("train", {}).get(c.name, {})
            if c.kind == "text":
                texts[c.name] = TextPlan.of(c.name, block)
            elif not hasattr(c.cls, "build"):
                towers[c.name] = TowerPlan.of(c.name, block, TOWERS, workspace.raw.get("features", {}))
        raw = workspace.raw.get("rank", {"kind": "mmoe"})
        if raw.get("kind") == "none":
            return Plans(channels, towers, None, Fitting(), texts)
        ranker = component(raw, RANKERS, "rank", own=FITTING_KEYS)
        return Plans(channels, towers, ranker, _fitting(ranker), texts)


def _fitting(chosen: Component[Any]) -> Fitting:
    return convert(chosen.own, Fitting, chosen.name)
