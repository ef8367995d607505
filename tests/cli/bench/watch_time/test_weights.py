from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feedmill.cli.bench.page import NO_FIGURES, figures
from feedmill.cli.bench.watch_time.task import Split, Task, watched
from feedmill.cli.bench.watch_time.weights import grouped, noise, table, weight_rows, weights
from watch_times import drawn

NOT_READ: Any = None


def task() -> Task:
    """Videos of 8 s, whose times spread little, and of 120 s, whose times spread much; every eighth length unknown."""
    seconds = np.concatenate([drawn(2000, 8.0), drawn(2000, 120.0, seed=1)])
    duration = np.repeat(np.float32([8, 120]), 2000)
    duration[::8] = np.nan
    n = len(seconds)
    row = np.arange(n, dtype=np.int32)
    part = Split(NOT_READ, watched(row, row, np.arange(n), seconds), duration, row)
    return Task("segmm", "x", NOT_READ, part, part, part)


def test_bias_cap_and_noise_of_labels() -> None:
    rows = {(r.what, r.metric): r.value for r in weight_rows(task())}
    t = task().train.seconds

    def of(name: str, metric: str) -> float:
        return rows[f"labels of segmm: {name}", metric]

    for name in ("WCE 3", "WCE 1, one factor", "WCE 1, learned factor"):
        assert of(name, "PCOC") == pytest.approx(1, abs=0.1 if "one" in name else 1e-3)
    assert of("WCE 1", "PCOC fifth 4") < of("WCE 1", "PCOC fifth 1") < 0.8
    assert of("WCE 1, one factor", "PCOC fifth 1") > 1.1
    assert of("WCE 1", "PCOC") <= of("WCE 1, no cap", "PCOC") == pytest.approx(of("MSE of log", "PCOC"), rel=1e-3)
    assert of("fraction", "PCOC") < of("WCE 1", "PCOC") < of("MSE of power", "PCOC") < 1
    assert of("WCE 2", "rows at the cap") == pytest.approx((t >= 127).mean())
    assert of("WCE 1", "seconds beyond the cap") == pytest.approx(np.maximum(t - 255, 0).sum() / t.sum(), rel=1e-5)
    assert of("WCE 2", "noise of rows") > of("WCE 1", "noise of rows") > of("WCE 3", "noise of rows") > 1


def test_noise_of_a_geometric_time_is_three_times_at_most() -> None:
    """Var(w) = m (1 + m), so that a row's gradient varies by p, its two answers' apart by p + 2 p^2: 1 + 2 p in all."""
    t = np.random.default_rng(0).geometric(0.1, (2, 200_000)) - 1.0
    p = t.mean() / (1 + t.mean())
    assert noise(weights(t, 3)) == pytest.approx(1 + 2 * p, rel=0.02)


def test_groups_are_of_similar_length_and_unknown_ones_apart() -> None:
    t, lasts = grouped(task().train.seconds.astype(np.float64), task().train.duration)
    assert t.shape == (20, 200)
    assert np.isnan(lasts[-2:]).all()
    assert lasts[0] == 8
    assert lasts[-4] == 120


def test_the_table_of_the_page(tmp_path: Path) -> None:
    found = figures(weight_rows(task()))
    lines = table(found, "segmm", tmp_path).splitlines()
    assert len(lines) == 2 + 11
    assert all(line.count("|") == lines[0].count("|") for line in lines)
    assert any(line.startswith("| WCE 3 | 1.00 |") for line in lines)
    assert table(found, "kuairec", tmp_path) == NO_FIGURES
