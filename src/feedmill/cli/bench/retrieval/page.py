"""docs/benchmarks/retrieval.md and its plots, filled from the figures that `feedmill bench retrieval --json` wrote."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from feedmill.cli.bench import page as bench_page
from feedmill.cli.bench.page import NO_FIGURES, Figures, Fill, measured_with
from feedmill.cli.bench.retrieval.runs import Run, runs

RECALL, NDCG = "Recall@20", "NDCG@20"


def write(page: Path, found: Figures) -> None:
    """Replace the page's blocks and draw its plots beside it.

    Raises:
        DataError: there is no such page, or a block that nobody fills.
    """
    bench_page.write(page, found, FILL)


def table(found: Figures, split: str, page: Path) -> str:
    """Rows by Recall@20, best first; what could not be measured at the end, with the reason."""
    by_name: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in found:
        at, _, name = row["what"].partition(": ")
        if at == split and " - " not in name:
            by_name.setdefault(name, {})[row["metric"]] = row
    if not by_name:
        return NO_FIGURES
    lines = ["| | Recall@20 | NDCG@20 | fit | answer |", "|---|---|---|---|---|"]
    ranked = sorted(by_name.items(), key=lambda x: -_value(x[1].get(RECALL)))
    lines += [_line(name, rows) for name, rows in ranked if _value(rows.get(RECALL)) >= 0]
    absent = [f"{name} ({rows[RECALL]['unit']})" for name, rows in ranked if _value(rows.get(RECALL)) < 0]
    text = "\n".join(lines) + "\n"
    return text + (f"\nNot measured: {'; '.join(absent)}.\n" if absent else "")


def _line(name: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    fit = f"{rows['fit']['value']:,.1f} s" if "fit" in rows else ""
    answer = f"{rows['answer']['value']:.2f} ms" if "answer" in rows else ""
    return f"| {name} | {_cell(rows[RECALL])} | {_cell(rows.get(NDCG))} | {fit} | {answer} |"


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None or row["value"] is None:
        return ""
    bounds = f" [{_short(row['low'])}, {_short(row['high'])}]" if row["low"] is not None else ""
    return f"{_short(row['value'])}{bounds}"


def _short(x: float) -> str:
    return f"{x:.4f}".replace("0.", ".", 1)


def _value(row: Mapping[str, Any] | None) -> float:
    value = row["value"] if row else None
    return -1.0 if value is None or math.isnan(value) else float(value)


def gains(found: Figures, split: str, page: Path) -> str:
    """What each merge adds to its channels, paired over users."""
    lines = ["| | Recall@20 | NDCG@20 |", "|---|---|---|"]
    by_name: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in found:
        at, _, name = row["what"].partition(": ")
        if at == split and " - " in name:
            by_name.setdefault(name, {})[row["metric"]] = row
    lines += [f"| {name} | {_signed(r.get(RECALL))} | {_signed(r.get(NDCG))} |" for name, r in by_name.items()]
    return "\n".join(lines) + "\n"


def _signed(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    return f"{row['value']:+.4f} [{row['low']:+.4f}, {row['high']:+.4f}]"


def setup(found: Figures, split: str, page: Path) -> str:
    """Hardware, versions and the splits' hashes, as the rows carry them."""
    if not found:
        return NO_FIGURES
    hashes = {row["what"].partition(": ")[0]: row["split"] for row in found}
    return f"{measured_with(found)}Splits: {', '.join(f'{k} `{v}`' for k, v in hashes.items())}.\n"


def choices(found: Figures, split: str, page: Path) -> str:
    """How the parameters of each row were chosen, and what they are."""
    lines = [
        f"- **{name}**: {_parameters(run)}. {run.chosen[0].upper()}{run.chosen[1:]}."
        for name, run in runs(split).items()
    ]
    return "\n".join(lines) + "\n"


def _parameters(run: Run) -> str:
    if run.channels:
        weights = ", ".join(f"{c} {run.weights.get(c, 1):g}" for c in run.channels)
        return f"{weights}; scores scaled by their {run.scale}, the first {run.depth} of each"
    values = ", ".join(f"{k} = {msgspec.json.encode(v).decode()}" for k, v in run.config.items())
    return f"`{run.kind}`{': ' if values else ''}{values}"


def plot(found: Figures, split: str, page: Path) -> str:
    """A picture of Recall@20 with intervals beside the page, and the line that shows it."""
    from feedmill.cli.bench.retrieval.plot import bars

    rows = [
        (row["what"].partition(": ")[2], row)
        for row in found
        if row["metric"] == RECALL and row["what"].startswith(f"{split}: ") and " - " not in row["what"]
    ]
    measured = sorted(((name, row) for name, row in rows if _value(row) >= 0), key=lambda x: x[1]["value"])
    if not measured:
        return NO_FIGURES
    file = page.with_name(f"{page.stem}-{split}.svg")
    if not bars(measured, list(runs(split)), f"Recall@20, {split}", file):
        return "The plot needs matplotlib: pip install 'feedmill[report]'.\n"
    return f"![Recall@20 of every channel on {split}]({file.name})\n"


FILL: Mapping[str, Fill] = {
    "table": table,
    "gains": gains,
    "setup": setup,
    "choices": choices,
    "plot": plot,
}
