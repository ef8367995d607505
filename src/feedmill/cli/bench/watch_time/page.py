"""docs/benchmarks/watch-time.md filled from the figures that `feedmill bench watch-time --json` wrote.

Other pages that discuss heads are filled the same way: a block may name the heads that it shows,
`<!-- figures: table known: WCE 1; WCE 2; WCE 3 -->`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from feedmill.cli.bench import page as bench_page
from feedmill.cli.bench.page import NO_FIGURES, Figures, Fill, bounded, line, measured_with
from feedmill.cli.bench.watch_time import weights
from feedmill.cli.bench.watch_time.known import CLICKS
from feedmill.cli.bench.watch_time.runs import VARIANTS
from feedmill.cli.bench.watch_time.significance import N_FIFTHS, OF_TRUTH
from feedmill.cli.bench.watch_time.table import COMPARED, DEFAULT, TIMING
from feedmill.cli.bench.watch_time.task import NAMES
from feedmill.core.config import nearest
from feedmill.core.errors import DataError

Row = Mapping[str, Any]
ByHead = Mapping[str, Mapping[str, Row]]
LEVEL = 0.05

# Columns of each kind of table: metric, heading, digits.
QUALITY = (("MAE", "MAE s", 2), ("RMSE", "RMSE s", 2), ("XAUC", "XAUC", 4), ("XAUC per user", "per user", 4),
           ("PCOC", "PCOC", 3), ("slope", "slope", 2))  # fmt: skip
FIFTHS = tuple((f"PCOC fifth {k + 1}", f"fifth {k + 1}", 2) for k in range(N_FIFTHS))
TRUTH = (*((metric, metric, 3) for metric in OF_TRUTH), ("theory ratio", "by theory", 3))
COST = (
    (TIMING, TIMING, 3),
    ("parameters", "weights", 0),
    ("learning rate", "learning rate", 4),
    ("epochs", "epochs", 0),
)
VALIDATION = tuple((f"{m}, validation", m, digits) for m, digits in (("XAUC", 4), ("PCOC", 3), ("MAE", 2)))


def write(page: Path, found: Figures) -> None:
    """Replace the page's blocks.

    Raises:
        DataError: there is no such page, or a block that nobody fills.
    """
    bench_page.write(page, found, FILL)


def setup(found: Figures, name: str, page: Path) -> str:
    """Hardware, versions, and each task's split."""
    if not found:
        return NO_FIGURES
    splits = dict.fromkeys(f"{row['what'].partition(':')[0]} `{row['split']}`" for row in found if _task_of(row))
    return f"{measured_with(found)}Splits: {'; '.join(splits)}.\n"


def table(columns: Sequence[tuple[str, str, int]]) -> Fill:
    """A line per head; ``known`` or ``known: WCE 1; WCE 3`` says which."""

    def fill(found: Figures, name: str, page: Path) -> str:
        task, _, some = name.partition(":")
        heads = by_head(found, task.strip())
        wanted = [each.strip() for each in some.split(";") if each.strip()] or list(VARIANTS)
        for head in wanted:
            if head not in VARIANTS:
                raise DataError(f"{page}: figures of {head}", f"one of {list(VARIANTS)}", nearest(head, VARIANTS))
        shown = [h for h in wanted if any(metric in heads.get(h, {}) for metric, _, _ in columns)]
        if not shown:
            return NO_FIGURES
        used = [c for c in columns if any(c[0] in heads[h] for h in shown)]
        lines = [line(["", *(heading for _, heading, _ in used)]), "|---" * (len(used) + 1) + "|"]
        lines += [line([h, *(bounded(heads[h].get(metric), digits) for metric, _, digits in used)]) for h in shown]
        return "\n".join(lines) + "\n"

    return fill


def missing(found: Figures, name: str, page: Path) -> str:
    """Heads that a task cannot train, and why."""
    absent = [(h, rows["not measured"]["unit"]) for h, rows in by_head(found, name).items() if "not measured" in rows]
    return "".join(f"- {head}: {why}\n" for head, why in absent) or NO_FIGURES


def default(found: Figures, name: str, page: Path) -> str:
    """The head chosen on the validation rows, with what it got there and on the test."""
    heads = by_head(found, name)
    row = heads.get(DEFAULT, {}).get("XAUC, validation")
    if row is None:
        return NO_FIGURES
    own = heads[row["unit"]]
    on_test = ", ".join(f"{metric} {bounded(own.get(metric), digits)}" for metric, _, digits in QUALITY)
    before = ", ".join(f"{heading} {bounded(own.get(m), digits)}" for m, heading, digits in VALIDATION)
    return f"**{row['unit']}**. Validation: {before}. Test: {on_test}.\n"


def differences(found: Figures, name: str, page: Path) -> str:
    """Per metric: who is best, who is no worse as far as can be told, and how each stands to the default."""
    pairs = [row for row in found if _task_of(row) == name and " - " in row["what"]]
    heads = by_head(found, name)
    chosen = heads.get(DEFAULT, {}).get("XAUC, validation", {}).get("unit", "")
    lines = []
    for metric, best_of in COMPARED.items():
        values = {h: rows[metric]["value"] for h, rows in heads.items() if metric in rows and h in VARIANTS}
        if not values:
            continue
        best = best_of(values, key=lambda h: values[h])
        lines.append(f"- {metric}: best {best}. {_beside(pairs, metric, best)}")
        if chosen in values and chosen != best:
            lines.append(f"  Against the default, {chosen}: {_signs(pairs, metric, chosen)}")
    return "\n".join(lines) + "\n" if lines else NO_FIGURES


def _beside(pairs: Sequence[Row], metric: str, best: str) -> str:
    """Who may be as good as the best, or who is not, whichever are fewer."""
    rows = _of(pairs, metric, best)
    same, worse = ([_ours(row, best) for row in rows if (p_of(row) >= LEVEL) is wanted] for wanted in (True, False))
    if len(same) <= len(worse):
        return f"Not told apart from it (p ≥ {LEVEL}): {'; '.join(same) or 'none'}; all others are worse."
    return f"Significantly worse (p < {LEVEL}): {'; '.join(worse) or 'none'}; all others are not told apart from it."


def _signs(pairs: Sequence[Row], metric: str, against: str) -> str:
    rows = [row for row in _of(pairs, metric, against) if p_of(row) < LEVEL]
    is_better: Callable[[Row], bool] = lambda row: (row["value"] < 0) == (COMPARED[metric] is min)  # noqa: E731
    better, worse = ([_ours(r, against) for r in rows if is_better(r) is wanted] for wanted in (True, False))
    return f"significantly better: {'; '.join(better) or 'none'}; worse: {'; '.join(worse) or 'none'}."


def _of(pairs: Sequence[Row], metric: str, against: str) -> list[Row]:
    return [row for row in pairs if row["metric"] == metric and row["what"].endswith(f" - {against}")]


def _ours(row: Row, against: str) -> str:
    name: str = row["what"].partition(": ")[2]
    return name.removesuffix(f" - {against}")


def p_of(row: Row) -> float:
    """The p that a difference's unit states."""
    return float(row["unit"].split()[2])


def by_head(found: Figures, task: str) -> ByHead:
    """Rows of a task by head and metric."""
    out: dict[str, dict[str, Row]] = {}
    for row in found:
        if _task_of(row) == task and " - " not in row["what"]:
            out.setdefault(row["what"].partition(": ")[2], {})[row["metric"]] = row
    return out


def _task_of(row: Row) -> str:
    task: str = row["what"].partition(": ")[0]
    return task if task in (*NAMES, CLICKS) else ""


FILL: Mapping[str, Fill] = {
    "setup": setup,
    "table": table(QUALITY),
    "fifths": table((("PCOC", "all", 2), *FIFTHS)),
    "truth": table(TRUTH),
    "cost": table(COST),
    "validation": table(VALIDATION),
    "missing": missing,
    "default": default,
    "differences": differences,
    "weights": weights.table,
}
