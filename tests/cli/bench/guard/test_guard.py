"""The bench's streams are what they say they are, and the guard keeps a learner sane through them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from feedmill.cli.bench.guard import STOP, WHAT, month_rows, stream_rows, twice_rows
from feedmill.cli.bench.guard.month import DAY, OURS, alarms, broken, month, watchers
from feedmill.cli.bench.guard.page import write
from feedmill.cli.bench.guard.runs import lived
from feedmill.cli.bench.guard.twice import FIRSTS, WAYS, First, delay, primed
from feedmill.cli.bench.guard.world import DAMAGES, MINUTE_MS, START_MS, Plan, stream
from feedmill.cli.bench.page import figures
from feedmill.core.events import Kind

SHORT = Plan(warm=30, before=30, broken=15, after=15, feeds=40)


@pytest.mark.parametrize("damage", DAMAGES)
def test_only_the_time_of_the_break_is_damaged(damage: str) -> None:
    quiet, hit = stream(1, "none", SHORT), stream(1, damage, SHORT)
    np.testing.assert_array_equal(quiet.clicked, hit.clicked)
    low, high = (START_MS + m * MINUTE_MS for m in SHORT.stop)
    for before in (True, False):
        a, b = (s.events.take(_outside(s.events.numpy("time_ms"), low, high, before)) for s in (quiet, hit))
        kept = a.numpy("kind") != Kind.CLICK if not before else np.ones(len(a), np.bool_)
        kept_b = b.numpy("kind") != Kind.CLICK if not before else np.ones(len(b), np.bool_)
        assert a.take(np.flatnonzero(kept)).table.equals(b.take(np.flatnonzero(kept_b)).table)
    assert not quiet.events.table.equals(hit.events.table)


def _outside(time_ms: np.ndarray, low: int, high: int, before: bool) -> np.ndarray:
    return np.flatnonzero(time_ms < low if before else time_ms >= high)


def test_clicks_are_as_likely_as_they_are_said_to_be() -> None:
    of = stream(0, "none", SHORT)
    n, expected = of.clicked.sum(), of.chance.sum()
    assert abs(n - expected) < 4 * np.sqrt((of.chance * (1 - of.chance)).sum())
    kind = of.events.numpy("kind")
    assert (kind == Kind.CLICK).sum() == n
    assert (kind == Kind.IMPRESSION).sum() == len(of.chance)


def test_the_guard_sees_a_break_of_a_month_and_nothing_else() -> None:
    whole, made = month(0, 3), dict(watchers())[OURS]
    assert len(alarms(made(), whole)) == 0
    at = 2 * DAY + 720
    assert alarms(made(), broken(whole, at, 0.0), at - DAY, at + 30).tolist() == [at]


def test_a_break_that_got_into_the_baseline_hides_the_next_one_no_more() -> None:
    """Resumed three minutes too early, the guard took a fifth of the usual for chance; then half of the clicks go."""
    whole, early, none = month(0, 3), First(10, 0.0, resumed_min=3), First(0, 1.0)
    found = {}
    for way in WAYS:
        state = primed(whole, 2, way)
        found[way] = delay(whole, 2, way, state, early, 20, 0.5)
        assert delay(whole, 2, way, state, none, 0, 0.0) == 1
    assert np.isnan(found["whole baseline"])
    assert 1 <= found["without outliers"] <= 5


@pytest.mark.slow
def test_with_the_guard_a_learner_is_as_if_nothing_had_been() -> None:
    found = lived(0, STOP, Plan(warm=60, before=30, broken=30, after=30))
    broken_min = 30 + 2 + 5 + 1
    assert found[True].n_alarms == 1
    assert 0 < found[True].found_s <= 130
    assert found[True].quarantined_min <= broken_min
    lowest = {way: _lowest(seen.said, seen.chance, seen.minute) for way, seen in found.items()}
    assert lowest[True] > 0.85
    assert lowest[False] < 0.75


def _lowest(said: np.ndarray, chance: np.ndarray, minute: np.ndarray) -> float:
    return min(said[minute // 5 == k].mean() / chance[minute // 5 == k].mean() for k in np.unique(minute // 5)[6:])


@pytest.mark.slow
def test_the_page_is_filled(tmp_path: Path) -> None:
    rows = [*stream_rows(1, Plan(warm=40, before=20, broken=15, after=15), [STOP]), *month_rows(1, 3)]
    rows += twice_rows(1, 3)
    page = tmp_path / "loop.md"
    blocks = ("setup", "streams", "plot", "month", "twice")
    page.write_text("".join(f"<!-- figures: {WHAT} {b} -->\n<!-- end -->\n" for b in blocks))
    write(page, figures(rows))
    text = page.read_text()
    assert "| clicks stop | with | " in text
    assert f"| {OURS} | 0.0 | 100 %, 1.0 |" in text
    assert f"| {next(iter(FIRSTS))} | {STOP} | without outliers | 100 %, 1.0 |" in text
    assert (tmp_path / "loop-guard.png").stat().st_size > 5000
