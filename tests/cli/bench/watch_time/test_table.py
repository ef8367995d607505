"""The bench on a small generated log, and the page made of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feedmill.cli.bench import page as bench_page
from feedmill.cli.bench.page import NO_FIGURES
from feedmill.cli.bench.watch_time import chosen, runs
from feedmill.cli.bench.watch_time import page as watch_page
from feedmill.cli.bench.watch_time.known import clicks, known
from feedmill.cli.bench.watch_time.runs import OF_CLICKS, VARIANTS, Budget, run
from feedmill.cli.bench.watch_time.significance import Measured
from feedmill.cli.bench.watch_time.table import TIMING, default_of, task_rows, theory
from feedmill.core.errors import DataError
from feedmill.core.workspace import component
from feedmill.metrics.rows import BenchRow
from feedmill.models import RANKERS, WATCH_TIME

SOME = ("WCE 3", "softmax", "finish", "YouTube")


@pytest.fixture(scope="module")
def rows() -> list[BenchRow]:
    return task_rows(known(True), {name: VARIANTS[name] for name in SOME}, quick=True)


def value(rows: list[BenchRow], head: str, metric: str) -> BenchRow:
    (row,) = [row for row in rows if row.what == f"known: {head}" and row.metric == metric]
    return row


@pytest.mark.parametrize("name", VARIANTS)
def test_every_head_is_one_there_is(name: str) -> None:
    component({**runs.TRUNK, "watch_time": dict(VARIANTS[name])}, RANKERS, "rank")
    assert ": " not in name
    assert ";" not in name
    assert " - " not in name


def test_every_kind_is_in_the_table() -> None:
    assert {block["kind"] for block in VARIANTS.values()} == set(WATCH_TIME)
    assert set(OF_CLICKS) <= set(VARIANTS)


def test_what_theory_says() -> None:
    task = known(True)
    ratio = {name: theory(VARIANTS[name], task) for name in ("WCE 3", "fraction, weighted", "WCE 1", "fraction")}
    assert ratio["WCE 3"] == pytest.approx(1, abs=1e-3)
    assert ratio["fraction, weighted"] == pytest.approx(1, abs=1e-3)
    assert ratio["WCE 1"] == pytest.approx(0.476, abs=0.01)  # 2^E[log2(1 + t)] - 1 over E[t], from many draws
    assert ratio["fraction"] == pytest.approx(0.206, abs=0.01)


@pytest.mark.slow
def test_rows_are_measured_with_intervals(rows: list[BenchRow]) -> None:
    for head in ("WCE 3", "softmax"):
        for metric in ("MAE", "RMSE", "XAUC", "XAUC per user", "PCOC", "PCOC fifth 1", "slope", "true mean ratio"):
            row = value(rows, head, metric)
            assert row.low is not None
            assert row.high is not None
            assert row.low <= row.value <= row.high
            assert row.split.startswith(known(True).split)
    assert value(rows, "WCE 3", "true mean ratio").value == pytest.approx(1, abs=0.1)
    assert value(rows, "softmax", "parameters").value > value(rows, "WCE 3", "parameters").value
    assert value(rows, "finish", "XAUC").value > 0.5
    assert not [row for row in rows if row.what == "known: finish" and row.metric == "MAE"]
    assert "not watched" in value(rows, "YouTube", "not measured").unit
    assert value(rows, "WCE 3", TIMING).value > 0


@pytest.mark.slow
def test_all_but_timings_are_the_same_again(rows: list[BenchRow]) -> None:
    again = task_rows(known(True), {"WCE 3": VARIANTS["WCE 3"]}, quick=True)
    same = [r for r in again if r.metric != TIMING and "WCE 3" in r.what]
    assert len(same) > 15
    assert same == [r for r in rows if r.metric != TIMING and r.what == "known: WCE 3"]


@pytest.mark.slow
def test_youtubes_odds_where_few_are_watched() -> None:
    task = clicks(True)
    done = run(VARIANTS["YouTube"], task, Budget.of(True, task))
    assert done.gives == "seconds"
    assert all(np.isfinite(p).all() for p in done.test)


@pytest.mark.slow
def test_the_page_shows_them(rows: list[BenchRow], tmp_path: Path) -> None:
    page = tmp_path / "watch-time.md"
    kinds = [f"{kind} known" for kind in watch_page.FILL if kind != "setup"]
    page.write_text("".join(f"<!-- figures: {k} -->\n<!-- end -->\n" for k in ["setup", *kinds, "table known: WCE 3"]))
    watch_page.write(page, bench_page.figures(rows))
    text = page.read_text()
    assert text.count("| WCE 3 |") >= 5
    assert "- MAE: best " in text
    assert "- YouTube: " in text
    assert known(True).split in text


def test_the_default_is_the_best_order_among_the_calibrated() -> None:
    def at(value: float) -> Measured:
        return Measured(value, np.linspace(value - 0.05, value + 0.05, 21))

    found = {
        "PCOC": {"a": at(1.0), "b": at(0.97), "low": at(0.8)},
        "XAUC": {"a": at(0.6), "b": at(0.62), "low": at(0.7), "finish": at(0.8)},
    }
    assert default_of(found) == "b"
    assert default_of({"PCOC": {"low": at(0.8)}, "XAUC": {"low": at(0.7)}}) == ""


def test_differences_are_told_by_their_p() -> None:
    def row(what: str, metric: str, x: float, unit: str = "") -> BenchRow:
        return BenchRow(what=f"segmm: {what}", metric=metric, value=x, low=x, high=x, unit=unit)

    heads = [row("WCE 3", "MAE", 12.0), row("softmax", "MAE", 11.0), row("ordinal", "MAE", 11.1)]
    default = [row("default", "XAUC, validation", 0.6, "ordinal"), row("ordinal", "XAUC, validation", 0.6)]
    pairs = [
        row("WCE 3 - softmax", "MAE", 1.0, "p = 0.0010 after Holm, of 2 comparisons"),
        row("ordinal - softmax", "MAE", 0.1, "p = 0.4000 after Holm, of 2 comparisons"),
        row("WCE 3 - ordinal", "MAE", 0.9, "p = 0.0020 after Holm, of 2 comparisons"),
        row("softmax - ordinal", "MAE", -0.1, "p = 0.4000 after Holm, of 2 comparisons"),
    ]
    text = watch_page.differences(bench_page.figures([*heads, *default, *pairs]), "segmm", Path())
    assert "- MAE: best softmax. Not told apart from it (p ≥ 0.05): ordinal; all others are worse." in text
    assert "Against the default, ordinal: significantly better: none; worse: WCE 3." in text
    assert "Significantly worse" not in text
    assert watch_page.default(bench_page.figures([*heads, *default]), "segmm", Path()).startswith("**ordinal**")


def test_without_figures_the_page_says_so() -> None:
    for fill in watch_page.FILL.values():
        assert fill([], "segmm", Path()) == NO_FIGURES


def test_a_block_of_a_head_that_there_is_not() -> None:
    with pytest.raises(DataError, match="figures of WCE 4"):
        watch_page.FILL["table"]([], "segmm: WCE 3; WCE 4", Path())


def test_the_budget_is_the_same_for_all_heads_and_by_task() -> None:
    task = known(True)
    assert Budget.of(False, task).epochs == (12,)
    real = task._replace(test=replace(task.test, true_mean=None))
    assert Budget.of(False, real) == Budget()
    assert Budget.of(True, real) == Budget.of(True, task)


def test_names_that_are_nothing() -> None:
    with pytest.raises(DataError, match="--only WCE 4"):
        chosen(["WCE 4"])
    assert chosen(["segmm"]) == (["segmm"], VARIANTS)
    tasks, heads = chosen(["WCE 3", "clicks"])
    assert (tasks, list(heads)) == (["clicks"], ["WCE 3"])


def test_a_head_that_cannot_be_trained_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: Any) -> None:
        raise DataError("4 rows for 50 bins", "more rows")

    monkeypatch.setattr("feedmill.cli.bench.watch_time.table.run", refuse)
    rows = task_rows(known(True), {"softmax": VARIANTS["softmax"]}, quick=True)
    (row,) = rows
    assert row.unit.startswith("4 rows for 50 bins")
