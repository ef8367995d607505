"""What pictures are drawn from: numbers with known answers, and the files themselves where matplotlib is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feedmill.cli.charts import labels, ordinal, page, scores, targets
from feedmill.core.clock import rng
from feedmill.core.errors import DataError

SECONDS = rng(1, "charts").exponential(20.0, 4000)
DURATION = np.full(len(SECONDS), 30.0)
UNKNOWN = np.full(len(SECONDS), np.nan)


def figure(what: str, metric: str, value: float | None, spread: float = 0.0) -> dict[str, Any]:
    low, high = (None, None) if value is None else (value - spread, value + spread)
    return {"what": what, "metric": metric, "value": value, "low": low, "high": high}


def figures(task: str = "segmm") -> list[dict[str, Any]]:
    out = [figure(f"{task}: {v}", "XAUC", x, 0.01) for v, x in (("ordinal", 0.64), ("mse", 0.62), ("a slow one", 0.63))]
    out += [figure(f"{task}: {v}", "ms per 1,000 rows", x) for v, x in (("ordinal", 2), ("mse", 1), ("a slow one", 3))]
    out += [figure(f"{task}: mse", fifth, 0.9 * k, 0.1) for k, fifth in enumerate(scores.FIFTHS, 1)]
    return [
        *out,
        figure(f"{task}: mse", "MAE", 12.0),
        figure("ordinal - mse", "XAUC", 0.02),
        figure("x: y", "XAUC", None),
    ]


@pytest.mark.parametrize("longest", [0.5, 3.0, 39.0, 200.0, 3600.0])
def test_histogram_bins_rise_and_reach_all_but_the_longest(longest: float) -> None:
    edges = labels.edges(np.linspace(0, longest, 5000))
    assert edges[0] == 0
    assert (np.diff(edges) >= 1).all()
    assert edges[-1] >= 0.995 * longest
    assert len(edges) < 120


def test_a_head_that_knows_the_group_serves_its_mean() -> None:
    """Labels of few values: bins hold one each, so the area under the steps is the group's mean, to the letter."""
    t = np.tile([0.0, 2.0, 7.0, 30.0], 300)
    x = ordinal.sample(t, np.repeat([10.0, 20.0, 30.0, 40.0, 50.0, 60.0], 200))
    assert x.probs.tolist() == pytest.approx([1, 0.75, 0.5, 0.25])
    assert x.served == pytest.approx(x.mean) == pytest.approx(9.75)
    assert (x.t, x.label.tolist()) == (7.0, [1, 1, 1, 0])


def test_one_sample_without_durations_is_of_all_rows() -> None:
    x = ordinal.sample(SECONDS, UNKNOWN)
    assert "4,000 rows" in x.like
    assert x.probs[0] == 1
    assert (np.diff(x.probs) <= 0).all()
    assert x.served == pytest.approx(SECONDS.mean(), rel=1e-6)


def test_uneven_bins_bend_targets_low_and_widths_repair_them() -> None:
    uniform, exponential, equal = targets.cuts(SECONDS).values()
    assert targets.reads(uniform, "gaussian") == pytest.approx(1, abs=0.02)
    for bins in (exponential, equal):
        assert 0.75 < targets.reads(bins, "gaussian") < 0.95
        assert targets.reads(bins, "gaussian", by_width=True) == pytest.approx(1, abs=0.02)


def test_the_frontier_is_what_nothing_beats_on_both_sides() -> None:
    points = {
        "cheap": (1.0, 0.60),
        "dear": (3.0, 0.64),
        "beaten": (2.0, 0.59),
        "twin": (3.0, 0.63),
        "same": (2.5, 0.60),
    }
    assert scores.frontier(points) == ["cheap", "dear"]
    assert scores.frontier({}) == []


def test_figures_by_task_are_those_that_are_drawn() -> None:
    found = scores.by_task([*figures("known"), *figures("segmm")])
    assert list(found) == ["known", "segmm"]
    assert set(found["segmm"]) == {"ordinal", "mse", "a slow one"}
    assert "MAE" not in found["segmm"]["mse"]


@pytest.mark.parametrize("other", [[], [figure("census: mmoe", "AUC income", 0.9)], [figure("x", "XAUC", 0.6)]])
def test_figures_of_something_else_are_refused(other: list[dict[str, Any]]) -> None:
    with pytest.raises(DataError, match="bench watch-time --json"):
        scores.by_task(other)


def test_pictures_of_the_bench_say_what_one_sees(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    calibration, cost = scores.pictures(figures(), tmp_path)
    assert {x.file for x in (calibration, cost)} == {f.name for f in tmp_path.iterdir()}
    assert "(1 of 5)" in calibration.caption  # 0.9 and up by 0.9: only the first fifth's interval has 1 in it
    assert "mse (0.6200 at 1 ms), ordinal (0.6400 at 2 ms)" in cost.caption
    assert "slow" not in cost.caption


def test_figures_without_cost_or_fifths_leave_those_pictures_out(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    (only,) = scores.pictures([figure("a/b c: x", scores.XAUC, 0.6), figure("a/b c: x", scores.COST, 1.0)], tmp_path)
    assert only.file == "xauc-cost-a-b-c.png"


def test_a_page_shows_every_picture_and_escapes_what_it_is_given(tmp_path: Path) -> None:
    one = page.Picture("a.png", "t < 3", 'says "no"', "b & c")
    page.write(tmp_path / "i.html", "x", "of <y>", page.Lines(("h",), (("<1>",),)), [one])
    text = (tmp_path / "i.html").read_text("utf-8")
    for part in ('<img src="a.png" alt="says &quot;no&quot;">', "t &lt; 3", "b &amp; c", "of &lt;y&gt;", "&lt;1&gt;"):
        assert part in text
    assert "http" not in text  # self-contained
