"""A run made ready to be asked: a counting channel counts, a channel of vectors trains its model first."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from feedmill.cli.bench.retrieval.runs import Run
from feedmill.core.config import convert
from feedmill.core.errors import DataError
from feedmill.core.protocols import Channel
from feedmill.core.registry import Registry
from feedmill.core.workspace import Workspace
from feedmill.serve.full_ranking import Task
from feedmill.state import State, StateConfig

STEP = 65_536


class Ready(NamedTuple):
    """A channel and the task as it sees it, with the seconds of counting or training."""

    channel: Channel
    task: Task
    fit_s: float


def fit_run(name: str, run: Run, task: Task, seed: int) -> Ready:
    """Build or train, then open.

    Raises:
        DataError: it trains, and what training needs is not installed.
        ConfigError: an unknown kind or parameter.
    """
    from feedmill.retrieval import CHANNELS

    table: Registry[Any] = CHANNELS
    cls = table[run.kind]
    config = convert(run.config, cls.Config, name)
    start = time.perf_counter()
    if hasattr(cls, "build"):
        part = cls.build(task.interactions, task.state, config, seed)
    else:
        part, task = _trained(name, run, task, seed)
    seconds = time.perf_counter() - start
    return Ready(cls(name, config, part, task.state), task, seconds)


def _trained(name: str, run: Run, task: Task, seed: int) -> tuple[Any, Task]:
    """The part that ``feedmill train`` would make of the training log, nothing held out of it."""
    try:
        from feedmill.train import fit
    except ModuleNotFoundError as e:
        raise DataError(f"{name} needs {e.name}", "the train extra", "pip install 'feedmill[train]'") from None
    from feedmill.log.memory import MemoryLog

    raw = {
        "evaluate": {"split": "none"},
        "rank": {"kind": "none"},
        "retrieval": {"channels": {name: {"kind": run.kind, **run.config}}},
        **run.sections,
        "train": {"seed": seed, **run.sections.get("train", {})},
    }
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder), raw)
        log = MemoryLog()
        for at in range(0, len(task.events), STEP):
            log.append(task.events[at : at + STEP])
        part = fit(workspace, log).parts[name]
        if "state" in raw:
            state = State(workspace.section("state", StateConfig))
            state.fold(task.events)
            task = replace(task, state=state)
    return part, task
