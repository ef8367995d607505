"""Processes that tests of durable logs start and kill. Imports little, so that they start quickly."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np

from feedmill.core.clock import rng
from feedmill.core.events import EventBatch
from feedmill.core.protocols import EventLog


def batch(ids: Sequence[str], start: int = 0, source: str = "", source_row: int = 0) -> EventBatch:
    """Clicks that can be told apart by ``time_ms`` = start, start + 1, …"""
    times = np.arange(start, start + len(ids), dtype=np.int64)
    columns = {"time_ms": times, "kind": [1] * len(ids), "user_id": "u", "event_id": list(ids)}
    return EventBatch.of(columns, source=source, source_row=source_row)


def plain(n: int, start: int = 0, source: str = "", source_row: int = 0) -> EventBatch:
    """The same without event ids."""
    return batch([""] * n, start, source, source_row)


def start(target: Callable[..., None], *args: Any) -> tuple[BaseProcess, Connection]:
    """Runs ``target(*args, connection)`` in a process of its own; the process, and what it sends.

    A fork of a clean process: quick, and there are no threads to break.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["contracts.event_log_writer", "feedmill.log.sqlite", "pytest"])
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=target, args=(*args, theirs))
    before = os.environ.get("PYTHONPATH")
    # The fork server starts with the first process and, before Python 3.13, is not told of sys.path.
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)
    process.start()
    os.environ.pop("PYTHONPATH")
    if before is not None:
        os.environ["PYTHONPATH"] = before
    theirs.close()
    return process, ours


def append_for_ever(
    open_log: Callable[[Path], EventLog], path: Path, writer: int, start: int, seed: int, acks: Connection
) -> None:
    """Appends events "writer-start", … and, each time ``append`` has returned, sends how many there are."""
    log, random = open_log(path), rng(seed, "writer", writer)
    while True:
        stop = start + int(random.integers(1, 40))
        log.append(batch([f"{writer}-{k}" for k in range(start, stop)]))
        acks.send(stop)
        start = stop
