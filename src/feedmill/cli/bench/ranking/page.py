"""docs/benchmarks/ranking.md and its plots, filled from the figures that `feedmill bench ranking --json` wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from feedmill.cli.bench import page as bench_page
from feedmill.cli.bench.page import NO_FIGURES, Figures, Fill, bounded, line, measured_with
from feedmill.cli.bench.ranking import PARTS
from feedmill.cli.bench.ranking.census import OURS, PEERS
from feedmill.cli.bench.ranking.study import COSINES, MODELS
from feedmill.datasets.census import HEADS

Row = Mapping[str, Any]


def write(page: Path, found: Figures) -> None:
    """Replace the page's blocks and draw its plots beside it.

    Raises:
        DataError: there is no such page, or a block that nobody fills.
    """
    bench_page.write(page, found, FILL)


def setup(found: Figures, name: str, page: Path) -> str:
    """Hardware, versions, and the splits of each part."""
    if not found:
        return NO_FIGURES
    splits = dict.fromkeys(f"{part_of(row)} `{row['split']}`" for row in found if row["split"])
    return f"{measured_with(found)}Splits: {', '.join(splits)}.\n"


def study(found: Figures, name: str, page: Path) -> str:
    """Last losses and their spread: a line per model, a column per cosine."""
    rows = {(row["what"], row["metric"]): row for row in found if part_of(row) == "study"}
    cosines = [p for p in COSINES if (f"study: p={p}, labels", "correlation") in rows]
    if not cosines:
        return NO_FIGURES
    heads = [f"p = {p} (labels {rows[f'study: p={p}, labels', 'correlation']['value']:.2f})" for p in cosines]
    lines = [line(["", *heads]), "|---" * (len(cosines) + 1) + "|"]
    for metric, shown in (("final loss", "loss"), ("final loss, spread", "spread")):
        for model in MODELS:
            cells = [bounded(rows.get((f"study: p={p}, {model}", metric)), 3) for p in cosines]
            lines.append(line([f"{model}, {shown}", *cells]))
    units = {rows[at]["unit"] for at in rows if at[1] in ("final loss", "final loss, spread")}
    return "\n".join(lines) + f"\n\nLoss: {'; spread: '.join(sorted(units))}.\n"


def census(found: Figures, name: str, page: Path) -> str:
    """A line per contestant: both AUC, rows per second, and how many times faster than whom."""
    by_name = _by_name(found, "census")
    if not by_name:
        return NO_FIGURES
    lines = [line(["", *(f"AUC {head}" for head in HEADS), "k rows/s", "times as fast as"]), "|---|---|---|---|---|"]
    missing = []
    for who in (*OURS, *PEERS):
        rows = by_name.get(who, {})
        # a run with one rival calls it "rows/s": it comes first, and of the same rival it alone counts
        speeds = [rows[metric] for metric in sorted(rows) if metric.startswith("rows/s")]
        if speeds:
            beside = {row["peer"]: row for row in reversed(speeds) if row["ratio"]}
            times = "; ".join(f"{peer} {row['ratio']:.2f}" for peer, row in reversed(beside.items()))
            aucs = [bounded(rows.get(f"AUC {head}"), 4) for head in HEADS]
            lines.append(line([who, *aucs, bounded(speeds[0], 1), times]))
        elif rows:
            missing.append(f"{who} ({next(iter(rows.values()))['unit']})")
    text = "\n".join(lines) + "\n"
    return text + (f"\nNot measured: {'; '.join(missing)}.\n" if missing else "")


def differences(found: Figures, name: str, page: Path) -> str:
    """What our models have more than a peer's, and the bound by multiply-adds."""
    by_name = _by_name(found, "census")
    lines = [line(["", *(f"AUC {head}" for head in HEADS)]), "|---|---|---|"]
    pairs = {who: rows for who, rows in by_name.items() if " - " in who}
    lines += [
        line([who, *(bounded(rows.get(f"AUC {head}"), 4, signed=True) for head in HEADS)])
        for who, rows in pairs.items()
    ]
    text = "\n".join(lines) + "\n" if pairs else NO_FIGURES
    for who, rows in by_name.items():
        bound = rows.get("rows/s")
        if who.endswith("alone") and bound:
            text += f"\n{who}: {bound['value']:.1f} {bound['unit']}: {bound['ratio']:.2f}.\n"
    return text


def table(found: Figures, name: str, page: Path) -> str:
    """Any part as it was printed."""
    rows = [row for row in found if part_of(row) == name]
    measured = [row for row in rows if row["value"] is not None]
    text = NO_FIGURES
    if measured:
        lines = [line(["", "metric", "value", "unit", "peer", "ratio"]), "|---" * 6 + "|"]
        for row in measured:
            ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
            who = row["what"].partition(": ")[2]
            lines.append(line([who, row["metric"], bounded(row, 4), row["unit"], row["peer"], ratio]))
        text = "\n".join(lines) + "\n"
    missing = [f"{row['what'].partition(': ')[2]}: {row['unit']}" for row in rows if row["value"] is None]
    return text + (f"\n{'; '.join(missing)}.\n" if missing else "")


def wide(found: Figures, name: str, page: Path) -> str:
    """A line for each thing of a part, a column for each metric; things without a common one in tables apart."""
    tables: list[tuple[list[str], dict[str, dict[str, Row]]]] = []
    for what, rows in _by_name(found, name).items():
        measured = {metric: row for metric, row in rows.items() if row["value"] is not None}
        fits = (t for t in tables if set(t[0]) & set(measured))
        table = next(fits, None)
        if table is None:
            tables.append(table := ([], {}))
        table[0].extend(metric for metric in measured if metric not in table[0])
        table[1][what] = measured
    text = "\n".join(_wide(metrics, lines) for metrics, lines in tables if metrics)
    missing = [f"{row['what'].partition(': ')[2]}: {row['unit']}" for row in found
               if part_of(row) == name and row["value"] is None]  # fmt: skip
    return (text or NO_FIGURES) + (f"\n{'; '.join(missing)}.\n" if missing else "")


def _wide(metrics: Sequence[str], lines: Mapping[str, Mapping[str, Row]]) -> str:
    out = [line(["", *metrics]), "|---" * (len(metrics) + 1) + "|"]
    out += [line([what, *(_number(rows.get(metric)) for metric in metrics)]) for what, rows in lines.items()]
    units = dict.fromkeys(row["unit"] for rows in lines.values() for row in rows.values())
    return "\n".join(out) + f"\n\n{'; '.join(units)}.\n"


def _number(row: Row | None) -> str:
    """With four decimals; a count without any."""
    return bounded(row, 4 if row and row["value"] != round(row["value"]) else 0)


def trees(found: Figures, name: str, page: Path) -> str:
    """A line per label and number of trees: each alone, both, and both over the better one alone."""
    rows = {
        what: of["normalised entropy"] for what, of in _by_name(found, "trees").items() if "normalised entropy" in of
    }
    both = {what: row for what, row in rows.items() if ": GBDT + LR, " in what}
    if not both:
        return NO_FIGURES
    lines = [line(["", "LR alone", "trees alone", "trees of the pair", "both", "ratio"]), "|---" * 6 + "|"]
    for what, row in both.items():
        task, _, n = what.partition(": GBDT + LR, ")
        others = ("LR alone", f"trees alone, {n}", f"the trees of GBDT + LR by themselves, {n}")
        cells = [bounded(rows.get(f"{task}: {other}"), 4) for other in others]
        lines.append(line([f"{task}, {n}", *cells, bounded(row, 4), f"{row['ratio']:.3f}"]))
    drifting = {what: of for what, of in _by_name(found, "trees").items() if "progressive normalised entropy" in of}
    return "\n".join(lines) + "\n" + (f"\n{_wide(['progressive normalised entropy'], drifting)}" if drifting else "")


def plot(found: Figures, name: str, page: Path) -> str:
    """A picture beside the page, and the line that shows it."""
    from feedmill.cli.bench.ranking import plot as ranking_plot

    file = page.with_name(f"{page.stem}-{name}.svg")
    rows = [row for row in found if part_of(row) == name and row["value"] is not None]
    if not rows:
        return NO_FIGURES
    draw, shows = {
        "study": (ranking_plot.curves, "Loss over steps of each model at each cosine of the weights"),
        "census": (ranking_plot.contestants, "AUC of each model on Census-Income"),
    }[name]
    if not draw(rows, file):
        return "The plot needs matplotlib: pip install 'feedmill[report]'.\n"
    return f"![{shows}]({file.name})\n"


def part_of(row: Row) -> str:
    """The part that a row belongs to."""
    part: str = row["what"].partition(": ")[0]
    return part if part in PARTS else ""


def _by_name(found: Figures, part: str) -> dict[str, dict[str, Row]]:
    by_name: dict[str, dict[str, Row]] = {}
    for row in found:
        if part_of(row) == part:
            by_name.setdefault(row["what"].partition(": ")[2], {})[row["metric"]] = row
    return by_name


FILL: Mapping[str, Fill] = {
    "setup": setup,
    "study": study,
    "census": census,
    "differences": differences,
    "table": table,
    "wide": wide,
    "trees": trees,
    "plot": plot,
}
