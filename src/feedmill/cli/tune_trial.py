"""Trying one setting of one channel: built on a part of the training log, measured on the rest of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedmill.cli.tune_space import SPACES, Space, space_of
from feedmill.core.batches import Part
from feedmill.core.config import nearest, override
from feedmill.core.errors import ConfigError, DataError
from feedmill.core.workspace import Workspace, component
from feedmill.retrieval import CHANNELS
from feedmill.samples import InterestConfig, interactions, split
from feedmill.samples.splits import EvaluateConfig
from feedmill.serve.config import ChannelOwn
from feedmill.serve.evaluate import Line, evaluate
from feedmill.state import Replay

Changes = Mapping[str, Any]
OBJECTIVE_KEYS = ("learning_rate", "epochs", "temperature")  # of [train.NAME], whatever the model
NOT_HERE = ("prerank", "rerank", "experiments", "publish")  # sections that a channel alone does not need


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One setting and what it gave.

    Attributes:
        changes: parameter -> value; empty = as configured.
        line: of the channel: NDCG@10, Recall@10 and @50 with intervals.
        per_user: float64[U] NDCG@10, for pairing.
        n_users: held-out users asked.
        seconds: of building or training, and of asking.
    """

    changes: Changes
    line: Line
    per_user: NDArray[np.float64]
    n_users: int
    seconds: float

    @property
    def score(self) -> float:
        return self.line.ndcg_10.mean


class Judge:
    """Tries settings of one channel of a workspace.

    The test is not touched: the log is cut to the training side of the configured split, and the same protocol holds
    out of that. With ``last_item`` it is the item before the last (``skip = 1``), with ``global_time`` the end of what
    comes before the cut; a workspace that trains on all is held out by ``last_item``.

    Attributes:
        kind, cls: of the channel.
        counts: whether it is built by counting; else a model is trained.
        block: the section that is searched, and ``configured``, what it says now.
        replay: the log it tries on, and ``held``, what is held out of that.
        n_users: held-out users.

    Args:
        name: the channel's name in the config, or a kind, which is then tried with its defaults.

    Raises:
        ConfigError: there is no such channel, or one that does not learn from behaviour.
        DataError: nothing is left to hold out.
    """

    def __init__(self, workspace: Workspace, name: str, replay: Replay, seed: int) -> None:
        self.name, self.seed = name, seed
        block = _block(workspace, name)
        chosen = component(block, CHANNELS, f"retrieval.channels.{name}", name, ChannelOwn.__struct_fields__)
        self.kind, self.cls = chosen.kind, chosen.cls
        self.counts = hasattr(self.cls, "build")
        self.block = f"retrieval.channels.{name}" if self.counts else f"train.{name}"
        raw = {section: value for section, value in workspace.raw.items() if section not in NOT_HERE}
        raw |= {"rank": {"kind": "none"}, "prerank": {"kind": "none"}}
        retrieval = {k: v for k, v in raw.get("retrieval", {}).items() if k != "merge"}
        self._raw = {**raw, "retrieval": {**retrieval, "channels": {name: block}}}
        self.configured: Changes = block if self.counts else raw.get("train", {}).get(name, {})
        self._path = workspace.path
        config = workspace.section("evaluate", EvaluateConfig)
        if config.split == "none":
            self._raw["evaluate"] = {**raw.get("evaluate", {}), "split": "last_item"}
            self.replay = replay
        else:
            self.replay = replay.taken(split(replay.events, config).train)
        self.held = split(self.replay.events, self._workspace({}).section("evaluate", EvaluateConfig))
        if not len(self.held.test):
            raise DataError("nothing is left to hold out", "users with three items or more", "ingest more events")
        self.n_users = len(set(self.replay.events.table.column("user_id").take(self.held.test).to_pylist()))
        self._about = {**_ids(self.replay), "seed": seed}

    def space(self) -> Space:
        """What there is to search; see ``tune_space``.

        Raises:
            ConfigError: nothing.
        """
        if self.counts:
            found = space_of(self.kind, self.cls.Config)
        else:
            from feedmill.models import TOWERS

            model: Any = TOWERS[self._raw.get("train", {}).get(self.name, {}).get("kind", self.name)]
            known = {*OBJECTIVE_KEYS, *model.Config.__struct_fields__}
            found = {k: v for k, v in SPACES["model"].items() if k in known}
        if not found:
            raise ConfigError(f"{self.name}: no parameter has a range", "--range name=low..high, or name=a,b,c")
        return found

    def try_(self, changes: Changes, n_users: int) -> Trial:
        """Build or train with these changes, then ask ``n_users`` of the held-out users, a seeded draw."""
        start = time.perf_counter()
        at = self._workspace({**{f"{self.block}.{k}": v for k, v in changes.items()}, "evaluate.max_users": n_users})
        part, about = self._part(at)
        found = evaluate(at, {self.name: part}, about, self.replay, self.held)
        line = next(line for line in found.lines if line.what == self.name)
        return Trial(changes, line, found.per_user[self.name], found.n_users, time.perf_counter() - start)

    def _part(self, at: Workspace) -> tuple[Part, Mapping[str, Any]]:
        if not self.counts:
            from feedmill.train.fit import fit_replay

            fitted = fit_replay(at, self.replay)
            return fitted.parts[self.name], {**fitted.about, "seed": self.seed}
        training, state = self.replay.events.take(np.flatnonzero(self.held.train)), self.replay.state()
        state.fold(training)
        pairs = interactions(training, state, at.section("samples.interest", InterestConfig))
        chosen = at.components("retrieval.channels", CHANNELS, ChannelOwn.__struct_fields__)[0]
        made: Any = chosen.cls
        part: Part = made.build(pairs, state, chosen.config, self.seed)
        return part, self._about

    def _workspace(self, changes: Changes) -> Workspace:
        return Workspace(self._path, override(self._raw, changes))


def _block(workspace: Workspace, name: str) -> Mapping[str, Any]:
    channels = workspace.raw.get("retrieval", {}).get("channels", {})
    if name not in channels and name not in CHANNELS:
        known = [*channels, *CHANNELS]
        raise ConfigError(f'no channel "{name}"', f"one of {sorted(set(known))}", nearest(name, known))
    block = channels.get(name, True)
    table = {} if block is True or block is False else dict(block)
    cls: Any = CHANNELS[table.get("kind", name)]
    if not hasattr(cls, "build") and table.get("kind", name) != "vector":
        raise ConfigError(f'channel "{name}" does not learn from what users did', "a channel that does")
    return table


def _ids(replay: Replay) -> dict[str, Any]:
    """What an artifact says of the rows it knows."""
    state = replay.state()
    tables = (("users", state.users), ("items", state.items))
    return {f"n_{name}": len(ids) for name, ids in tables} | {f"{name}_digest": ids.digest() for name, ids in tables}
