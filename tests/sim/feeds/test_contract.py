"""The chain, in process and behind a real server, against the suite of feeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from contracts import feed as suite
from contracts.feed import SLOTS, Make
from feedmill.core.workspace import Workspace
from feedmill.serve.engine import Engine
from feedmill.serve.server import running
from feedmill.sim.feed import Feed
from feedmill.sim.feeds.chain import ChainFeed
from feedmill.sim.feeds.chain_learning import Nights, NightsConfig
from feedmill.sim.feeds.http import HttpConfig, HttpFeed
from feedmill.sim.world import World
from sim.feeds.test_chain import COUNTED

CHECKS = [name for name in vars(suite) if name.startswith("check_")]
NOT_BEHIND_A_SERVER = {"check_same_seed_same_bytes"}  # sessions come in at the same time
ONCE = NightsConfig(then="none")
Prepare = Callable[[str], Workspace]


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def prepare(tmp_path: Path) -> Prepare:
    def made(more: str = "") -> Workspace:
        return Workspace.create(tmp_path / f"feed{len(list(tmp_path.iterdir()))}", COUNTED.replace("[serve]", more))

    return made


@pytest.mark.parametrize("check", CHECKS)
def test_the_chain_in_process(check: str, prepare: Prepare, closing: ExitStack) -> None:
    def make(_: World) -> Feed:
        at = prepare("[serve]")
        return ChainFeed(closing.enter_context(Engine.open(at)), Nights(at, ONCE), slate=SLOTS)

    _run(check, make)


@pytest.mark.slow
@pytest.mark.parametrize("check", [c for c in CHECKS if c not in NOT_BEHIND_A_SERVER])
def test_the_chain_behind_a_server(check: str, prepare: Prepare, closing: ExitStack) -> None:
    def make(_: World) -> Feed:
        at = prepare("[serve]\nport = 0\nfollow_s = 0.05")
        url = closing.enter_context(running(at))
        return closing.enter_context(HttpFeed(url, HttpConfig(slate=SLOTS, at_once=4), Nights(at, ONCE)))

    _run(check, make)


def _run(check: str, make: Make) -> None:
    getattr(suite, check)(make)
