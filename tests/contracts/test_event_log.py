"""Every registered event log against the suite; a new one is added to ``OPEN``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from contracts import event_log as suite
from feedmill.core.protocols import EventLog
from feedmill.log import LOGS
from feedmill.log.memory import MemoryLog
from feedmill.log.sqlite import SqliteLog


def open_memory(path: Path) -> EventLog:
    return MemoryLog()


OPEN: dict[str, Callable[[Path], EventLog]] = {"memory": open_memory, "sqlite": SqliteLog}
DURABLE = ("sqlite",)
CHECKS = [name for name in vars(suite) if name.startswith("check_")]
DURABLE_CHECKS = [name for name in vars(suite) if name.startswith("durable_")]


def test_every_registered_log_is_checked() -> None:
    assert set(OPEN) == set(LOGS)
    assert all(callable(LOGS[kind]) for kind in LOGS)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("kind", OPEN)
def test_log(kind: str, check: str, tmp_path: Path) -> None:
    getattr(suite, check)(OPEN[kind], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("check", DURABLE_CHECKS)
@pytest.mark.parametrize("kind", DURABLE)
def test_durable_log(kind: str, check: str, tmp_path: Path) -> None:
    getattr(suite, check)(OPEN[kind], tmp_path)
