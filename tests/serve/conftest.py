"""A real workspace of the small world, and copies of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from feedmill.core.workspace import Workspace
from feedmill.log.sqlite import SqliteLog
from feedmill.serve.engine import Engine
from serve.keyed import made_keys, served
from serve.world import CONFIG, Make, Open, train, world


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained workspace to copy."""
    workspace = Workspace.create(tmp_path_factory.mktemp("trained") / "feed", CONFIG)
    log = SqliteLog(workspace.log)
    log.append(world())
    log.close()
    train(workspace)
    return workspace.path


@pytest.fixture
def make(trained: Path, tmp_path: Path) -> Make:
    """Opens a fresh copy of the trained workspace with overrides by dotted path."""

    def made(**overrides: Any) -> Workspace:
        folder = tmp_path / f"feed{len(list(tmp_path.iterdir()))}"
        shutil.copytree(trained, folder)
        return Workspace.open(folder, {k.replace("__", "."): v for k, v in overrides.items()})

    return made


@pytest.fixture(scope="module")
def trained_copy(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A copy for the tests of one file to share."""
    folder = tmp_path_factory.mktemp("shared") / "feed"
    shutil.copytree(trained, folder)
    return Workspace.open(folder)


@pytest.fixture
def opened(make: Make) -> Iterator[Open]:
    """Engines on copies of the trained workspace (or on the one given), closed in the end."""
    engines: list[Engine] = []

    def open_(workspace: Workspace | None = None, **overrides: Any) -> Engine:
        engines.append(Engine.open(workspace or make(**overrides)))
        return engines[-1]

    yield open_
    for engine in engines:
        engine.close()


@pytest.fixture(scope="module")
def engine(trained_copy: Workspace) -> Iterator[Engine]:
    """One for the tests of a file to share."""
    with Engine.open(trained_copy) as opened:
        yield opened


@pytest.fixture(scope="module")
def tokens(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Keys of that engine's workspace: one of each role, and of each kind that does not hold."""
    return made_keys(engine.workspace.keys, tmp_path_factory.mktemp("other") / "keys.json")


@pytest.fixture(scope="module")
def http(engine: Engine, tokens: dict[str, str]) -> Iterator[httpx.Client]:
    """A client of that engine's service, which has keys."""
    with served(engine) as client:
        yield client
