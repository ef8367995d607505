"""The join bench's log is one that a joiner has all to do with, and its rows say what they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from feedmill.cli.bench.join import against_a_dict, chunks, config, durable
from feedmill.core.events import Kind
from feedmill.samples.joiner import Joiner


def test_its_log_is_in_order_and_joins() -> None:
    joiner, newest = Joiner(config()), 0
    for events in chunks(300_000):
        shown = events.numpy("time_ms")[events.numpy("kind") == Kind.IMPRESSION]
        assert shown[0] >= newest
        newest = shown[-1]
        joiner.feed(events, joiner.offset)
    counts = joiner.counts
    assert counts.uneven() == []
    assert counts.duplicate == counts.stale == counts.organic == 0
    click, like, watch = counts.kinds
    assert click.positive / click.closed == pytest.approx(0.2 * 0.964, abs=0.01)  # 10 s of a mean of 3
    assert like.positive / like.closed == pytest.approx(0.03 * 0.964, abs=0.005)
    assert watch.grown > 0


@pytest.mark.slow
def test_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [*against_a_dict(100_000), *durable(100_000)]
    assert [row.metric for row in rows] == ["throughput", "throughput"]
    assert all(row.value > 0 for row in rows)
    ratio = rows[0].ratio
    assert ratio is not None
    assert ratio > 1
