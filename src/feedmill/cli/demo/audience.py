"""The demo's last step: people scroll through the running service, half of them with another config.

The audience is the log's own people with tastes fitted to what they did (``sim.from_log``), so that the truth is known:
what each config alone would have made of everybody.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np

from feedmill.cli import show
from feedmill.cli.demo.scroll import Scroll
from feedmill.cli.reports.experiment import opened
from feedmill.core.errors import WorkspaceError
from feedmill.core.workspace import Workspace
from feedmill.experiments.analysis.report import Report

if TYPE_CHECKING:
    from feedmill.core.events import EventBatch
    from feedmill.sim.world import World

VIEWS, SLATE, SEED = 10.0, 10, 0
NAME, LAYER, TREATED = "exploring", "rerank", "explored"
SET: Mapping[str, Any] = {"rerank.rules.0.temperature": 2.0}
WHY = "slates by chance from what is ranked (rerank.rules.0.temperature = 2)"
TIME = "time_per_user"


@dataclass(frozen=True, slots=True)
class Crowd:
    """An audience that can be made again, the same people with the same luck."""

    events: EventBatch

    def world(self) -> World:
        """As it is before the first of them comes."""
        from feedmill.sim.config import WorldConfig
        from feedmill.sim.world import World

        return World.from_log(self.events, WorldConfig(views_per_day=VIEWS), SEED)


def scroll_and_compare(url: str, at: Workspace) -> str:
    """A day of the audience with an experiment, and what is true; the experiment's name.

    Args:
        at: the workspace that is served at ``url``; its models stay as they are.
    """
    crowd = _crowd(at)
    with tempfile.TemporaryDirectory(prefix="feedmill-") as folder, ExitStack() as stack:
        alone = [stack.enter_context(_copied(at, Path(folder) / str(i), arm)) for i, arm in enumerate(({}, SET))]
        experiments = f"{url}/v1/experiments"
        name = _begin(experiments)
        try:
            _scroll(url, at, crowd, name)
            report = _report(at, name)  # while it runs: the day on which it stops is left out
        finally:
            _step(experiments, f"{name}/stop")
        show.out.print("[dim]Is it so? The same people meet each config alone.[/]")
        control, treated = (_alone(copy, crowd) for copy in alone)
    _say(report, treated / control - 1)
    return name


def _crowd(at: Workspace) -> Crowd:
    from feedmill.log.whole import open_log

    with closing(open_log(at)) as log:
        return Crowd(log.read(0, log.end)[0])


def _begin(url: str) -> str:
    """Create and start the experiment, by a name that was never used."""
    used = {e["name"] for e in _call("GET", url)["experiments"]}
    name = next(n for i in range(1, len(used) + 2) if (n := f"{NAME}-{i}" if i > 1 else NAME) not in used)
    arms = {"control": {"share": 0.5}, TREATED: {"share": 0.5, "set": dict(SET)}}
    _call("POST", url, {"name": name, "layer": LAYER, "arms": arms, "why": WHY, "metrics": [TIME], "by": "demo"})
    _step(url, f"{name}/start")
    return name


def _step(url: str, step: str) -> None:
    _call("POST", f"{url}/{step}", {"by": "demo"})


def _call(method: str, url: str, body: Any = None) -> Any:
    """What the service says.

    Raises:
        WorkspaceError: it refuses.
    """
    answer = httpx.request(method, url, json=body, timeout=30, trust_env=False)
    if answer.is_error:
        raise WorkspaceError(f"{method} {url}: {answer.status_code} {answer.text[:500]}", "the service to do so")
    return answer.json()


def _scroll(url: str, at: Workspace, crowd: Crowd, name: str) -> None:
    from feedmill.sim.feeds.http import HttpConfig, HttpFeed
    from feedmill.sim.live import live

    world = crowd.world()
    with opened(at) as (plan, _, _):
        arm = plan.members(world.users.ids, name)
    with HttpFeed(url, HttpConfig(slate=SLATE)) as feed, Scroll(feed, world, arm, ("control", TREATED)) as watched:
        live(world, watched, 1, slate=SLATE, what="")


def _report(at: Workspace, name: str) -> Report:
    """As ``feedmill report experiment`` makes it."""
    from feedmill.experiments.analysis.experiment import experiment_report

    with opened(at) as (plan, rollup, _):
        return experiment_report(plan, rollup, name, planned=2)


def _copied(at: Workspace, folder: Path, arm: Mapping[str, Any]) -> Any:
    """An engine on a copy of the workspace in which everybody gets one arm."""
    from feedmill.serve.engine import Engine

    folder.mkdir()
    shutil.copy(at.path / "feedmill.toml", folder)
    shutil.copytree(at.artifacts, folder / at.artifacts.name)
    if at.state.is_dir():
        shutil.copytree(at.state, folder / at.state.name)
    with closing(sqlite3.connect(at.log)) as source, closing(sqlite3.connect(folder / at.log.name)) as target:
        source.backup(target)
    return Engine.open(Workspace.open(folder, {**arm, "serve.clock": "newest"}), exclusive=True)


def _alone(engine: Any, crowd: Crowd) -> float:
    """Expected seconds per person who came, of a config that everybody gets."""
    from feedmill.sim.feeds.chain import ChainFeed
    from feedmill.sim.live import live

    rows = live(crowd.world(), ChainFeed(engine, slate=SLATE), 1, slate=SLATE, what="each config alone").people
    return float(rows.expected.sum()) / max(len(np.unique(rows.user)), 1)


def _say(report: Report, true: float) -> None:
    shown = {arm: found["items"] for arm, found in report.catalogue.items()}
    show.out.print("  films shown         " + ", ".join(f"{n:,} in {arm}" for arm, n in shown.items()))
    x = next((row.effect for row in report.rows if row.metric == TIME), None)
    if x is None or x.relative is None or x.relative_low is None or x.relative_high is None:
        show.out.print("  too few watched to compare watch time")
        return
    holds = "inside the interval" if x.relative_low <= true <= x.relative_high else "outside the interval"
    low, high = f"{x.relative_low:+.1%}", f"{x.relative_high:+.1%}"
    show.out.print(f"  watch time a person {x.relative:+.1%} \\[{low}, {high}], as the experiment measured it")
    show.out.print(f"  the truth           {true:+.1%}, {holds}")
