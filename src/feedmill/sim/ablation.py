"""What each part of the chain is worth: the same days of the same world without it."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from feedmill.core.workspace import Workspace
from feedmill.serve.engine import Engine
from feedmill.sim.diary import Diary
from feedmill.sim.feeds.chain import ChainFeed
from feedmill.sim.feeds.chain_learning import Nights, NightsConfig
from feedmill.sim.feeds.events import Known
from feedmill.sim.live import live
from feedmill.sim.world import World

WHOLE = "whole chain"
Overrides = dict[str, Any]
"""Dotted path -> value, as ``--set`` takes them."""


def variants(raw: Mapping[str, Any]) -> dict[str, Overrides]:
    """The whole chain, and the chain without each of its parts, by what to say of them.

    Args:
        raw: a workspace's config; parts that it does not have are not taken away.
    """
    out: dict[str, Overrides] = {WHOLE: {}}
    prerank, channels = raw.get("prerank", {}), raw.get("retrieval", {}).get("channels", {})
    for name, block in channels.items():
        without: Overrides = {"retrieval.channels": {k: v for k, v in channels.items() if k != name}}
        if prerank.get("channel") == name:  # what it pre-ranks with goes with it
            without["prerank"] = {k: v for k, v in prerank.items() if k != "channel"} | {"kind": "none"}
        explores = block.get("kind", name) == "fresh"
        out[f"no {name}" + (" (exploration)" if explores else "")] = without
    if prerank.get("kind", "vector") != "none":
        out["no pre-rank"] = {"prerank.kind": "none"}
    if raw.get("rank", {}).get("kind", "") != "none":
        out["no rank"] = {"rank.kind": "none"}
    if raw.get("rank", {}).get("calibration", {}).get("kind", "none") != "none":
        out["no calibration"] = {"rank.calibration.kind": "none"}
    if raw.get("rerank", {}).get("rules"):
        out["no re-rank"] = {"rerank.rules": []}
    return out


def frozen(
    workspace: Workspace,
    world: World,
    known: Known,
    chosen: Mapping[str, Overrides],
    n_days: int,
    folder: Path,
    *,
    slate: int = 10,
    seed: int = 0,
) -> dict[str, Diary]:
    """Some days from one and the same moment on for each variant, with the models as they are: nobody learns.

    What is taken away was there while the models learned, and what it had brought is in the log and the models: this is
    what the part is worth to those who serve, and no more.

    Args:
        workspace: trained, and not being served; it stays as it is.
        world: as it was left when the workspace was; it stays as it is.
        known: of the feed that was there until then.
        chosen: see ``variants``.
        folder: for the copies, which are deleted again.
    """
    diaries: dict[str, Diary] = {}
    for name, overrides in chosen.items():
        place = folder / f"variant-{len(diaries)}"
        shutil.copytree(workspace.path, place, ignore=shutil.ignore_patterns("*.lock", "rollups", "traces.sqlite*"))
        try:
            with Engine.open(Workspace.open(place, overrides)) as engine:
                feed = ChainFeed(engine, known=copy.deepcopy(known), slate=slate, seed=seed)
                diaries[name] = live(copy.deepcopy(world), feed, n_days, slate=slate, what=name)
        finally:
            shutil.rmtree(place)
    return diaries


def learning(
    text: str,
    world: World,
    chosen: Mapping[str, Overrides],
    n_days: int,
    folder: Path,
    nights: NightsConfig | None = None,
    *,
    slate: int = 10,
    seed: int = 0,
) -> dict[str, Diary]:
    """A whole life for each variant: each begins with an empty log and learns from what it has shown itself.

    Args:
        text: of feedmill.toml.
        world: that nobody has lived in; it stays as it is.
    """
    diaries: dict[str, Diary] = {}
    for name, overrides in chosen.items():
        place = folder / f"variant-{len(diaries)}"
        Workspace.create(place, text)
        at = Workspace.open(place, overrides)
        try:
            with Engine.open(at) as engine:
                feed = ChainFeed(engine, Nights(at, nights), slate=slate, seed=seed)
                diaries[name] = live(copy.deepcopy(world), feed, n_days, slate=slate, what=name)
        finally:
            shutil.rmtree(place)
    return diaries
