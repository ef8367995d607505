"""What the config asks to be trained, checked before any work starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from feedmill.core.config import convert
from feedmill.core.workspace import Component, Workspace, component
from feedmill.models import RANKERS, TOWERS
from feedmill.retrieval import CHANNELS
from feedmill.train.config import FITTING_KEYS, Fitting


@dataclass(frozen=True, slots=True)
class Plans:
    """What the config asks to be trained, checked before any work starts."""

    channels: list[Component[Any]]
    towers: dict[str, tuple[Component[Any], Fitting]]
    ranker: Component[Any] | None
    fitting: Fitting

    @staticmethod
    def of(workspace: Workspace) -> Plans:
        channels = workspace.components("retrieval.channels", CHANNELS, own=["limit"])
        towers = {}
        for c in channels:
            if not hasattr(c.cls, "build"):
                block = workspace.raw.get("train", {}).get(c.name, {})
                chosen = component(block or True, TOWERS, f"train.{c.name}", c.name, own=FITTING_KEYS)
                towers[c.name] = (chosen, _fitting(chosen))
        raw = workspace.raw.get("rank", {"kind": "mmoe"})
        if raw.get("kind") == "none":
            return Plans(channels, towers, None, Fitting())
        ranker = component(raw, RANKERS, "rank", own=FITTING_KEYS)
        return Plans(channels, towers, ranker, _fitting(ranker))


def _fitting(chosen: Component[Any]) -> Fitting:
    return convert(chosen.own, Fitting, chosen.name)
