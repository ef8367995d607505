"""The bench's log is one that every table has rows of."""

from __future__ import annotations

from pathlib import Path

from feedmill.cli.bench.rollup import N_EXPERIMENTS, N_ITEMS, generated
from feedmill.log.memory import MemoryLog
from feedmill.metrics.rollup.rollup import Rollup


def test_the_generated_log_fills_every_table_and_is_the_same_again(tmp_path: Path) -> None:
    events = generated(600)
    assert events.table.equals(generated(600).table)
    log, rollup = MemoryLog(), Rollup(tmp_path)
    log.append(events)
    assert rollup.update(log) == 600 + N_ITEMS
    assert rollup.read("tried")["experiment"].n_unique() == N_EXPERIMENTS
    days = rollup.read("days")
    assert (days["impressions"].sum(), days["requests"].sum(), days["watches"].sum()) == (400, 40, 80)
    assert rollup.read("items").height == N_ITEMS
