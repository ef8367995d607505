"""Tables of docs/benchmarks/ranking.md from figures."""

from __future__ import annotations

import math
from pathlib import Path

from feedmill.cli.bench import page as bench_page
from feedmill.cli.bench.ranking import absent
from feedmill.cli.bench.ranking import page as ranking_page
from feedmill.metrics.rows import BenchRow


def filled(block: str, rows: list[BenchRow], folder: Path) -> list[str]:
    page = folder / "ranking.md"
    page.write_text(f"<!-- figures: {block} -->\n<!-- end -->\n")
    ranking_page.write(page, bench_page.figures(rows))
    return page.read_text().splitlines()[1:-1]


def row(what: str, metric: str, value: float, unit: str = "of 3 logs") -> BenchRow:
    return BenchRow(what=what, metric=metric, value=value, low=value - 0.1, high=value + 0.1, unit=unit)


def test_things_with_a_common_metric_share_a_table(tmp_path: Path) -> None:
    rows = [
        row("personal: plain", "AUC", 0.7),
        BenchRow(what="personal: plain", metric="weights", value=1200.0, unit="weights"),
        row("personal: gated", "AUC", 0.75),
        row("personal: gated", "AUC over plain", 0.05),
        row("personal: other", "seconds", 3.5),
        absent("personal", "not installed: x"),
    ]
    assert filled("wide personal", rows, tmp_path) == [
        "|  | AUC | weights | AUC over plain |",
        "|---|---|---|---|",
        "| plain | 0.7000 [0.6000, 0.8000] | 1,200 |  |",
        "| gated | 0.7500 [0.6500, 0.8500] |  | 0.0500 [-0.0500, 0.1500] |",
        "",
        "of 3 logs; weights.",
        "",
        "|  | seconds |",
        "|---|---|",
        "| other | 3.5000 [3.4000, 3.6000] |",
        "",
        "of 3 logs.",
        "",
        "not measured: not installed: x.",
    ]


def test_trees_stand_beside_what_they_are_compared_with(tmp_path: Path) -> None:
    ne = "normalised entropy"
    both = BenchRow(what="trees: Adult: GBDT + LR, 10 trees", metric=ne, value=0.5, peer="LR alone", ratio=0.91)
    rows = [
        BenchRow(what="trees: Adult: LR alone", metric=ne, value=0.55),
        BenchRow(what="trees: Adult: trees alone, 10 trees", metric=ne, value=0.6),
        both,
        row("trees: drifting world: trees stay", "progressive normalised entropy", 0.9),
    ]
    assert filled("trees", rows, tmp_path) == [
        "|  | LR alone | trees alone | trees of the pair | both | ratio |",
        "|---|---|---|---|---|---|",
        "| Adult, 10 trees | 0.5500 | 0.6000 |  | 0.5000 | 0.910 |",
        "",
        "|  | progressive normalised entropy |",
        "|---|---|",
        "| drifting world: trees stay | 0.9000 [0.8000, 1.0000] |",
        "",
        "of 3 logs.",
    ]


def test_nothing_measured_says_so(tmp_path: Path) -> None:
    nothing = [BenchRow(what="personal: plain", metric="AUC", value=math.nan)]
    assert filled("wide personal", nothing, tmp_path)[0] == "No figures."
    assert filled("trees", nothing, tmp_path) == ["No figures."]
