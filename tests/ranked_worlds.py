"""A workspace whose feed is ranked by a small model, trained for real on the log that it serves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from feedmill.core.batches import Part
from feedmill.core.workspace import Workspace
from feedmill.features.served.factored import FIRST, POOLED, with_items
from feedmill.log.sqlite import SqliteLog
from feedmill.publish import promote, write
from feedmill.retrieval import CHANNELS
from feedmill.samples.interactions import InterestConfig, interactions
from feedmill.state import State
from rankers import Trained
from worlds import tastes

CONFIG = """
[serve]
clock = "log"
port = 0
deadline_ms = 60_000
skew_share = 1.0
context = ["group"]
[retrieval.channels.popular]
limit = 40
[prerank]
kind = "none"
[rank]
kind = "mmoe"
[rerank.fusion]
weights = { click = 1.0, like = 1.0 }
"""


def half(part: Part) -> Part:
    """The part with its items' shares in float16."""
    small = {name: part.arrays[name].astype(np.float16) for name in (FIRST, POOLED) if name in part.arrays}
    return replace(part, arrays={**part.arrays, **small})


def factored(trained: Trained) -> Part:
    """The ranker as it is published, its items' shares beside it."""
    return with_items(trained.part, trained.state)


def ranked(folder: Path, part: Part) -> Workspace:
    """A workspace on ``worlds.tastes`` with this ranker promoted."""
    workspace = Workspace.create(folder, CONFIG)
    log, events, state = SqliteLog(workspace.log), tastes(), State()
    log.append(events)
    log.close()
    state.fold(events)
    counted = interactions(events, state, InterestConfig())
    popular = workspace.components("retrieval.channels", CHANNELS, own=["limit"])[0]
    about = {
        "n_users": len(state.users),
        "n_items": len(state.items),
        "users_digest": state.users.digest(len(state.users)),
        "items_digest": state.items.digest(len(state.items)),
    }
    parts = {"popular": popular.cls.build(counted, None, popular.config, 0), "rank": part}  # type: ignore[attr-defined]
    promote(workspace.artifacts, write(workspace.artifacts, parts, about))
    return workspace
