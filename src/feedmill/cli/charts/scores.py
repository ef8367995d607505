"""How heads compare, from the figures of `feedmill bench watch-time`: calibration by duration, XAUC against cost."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np

from feedmill.cli.charts import canvas
from feedmill.cli.charts.canvas import BLUE, GREY, INK, VERMILLION
from feedmill.cli.charts.page import Picture
from feedmill.core.errors import DataError

Row = Mapping[str, Any]
Scores = Mapping[str, Mapping[str, Row]]  # variant -> metric -> row
FIFTHS = tuple(f"PCOC fifth {k}" for k in range(1, 6))
XAUC, COST = "XAUC", "ms per 1,000 rows"
LABELS = "labels of "  # where a row is not of a head
COLUMNS, TITLE_WIDTH = 5, 25  # panels in a row; letters in a line above one
LOW, HIGH = 0.4, 2.5  # of the calibration panels; what lies outside is drawn at the border as an arrow


def by_task(found: Sequence[Row]) -> dict[str, Scores]:
    """Figures by task and variant, in the order of the file; what has none of these metrics is left out.

    Raises:
        DataError: the figures are of something else.
    """
    out: dict[str, dict[str, dict[str, Row]]] = {}
    for row in found:
        task, sign, variant = row["what"].partition(": ")
        if task.startswith(LABELS):  # what labels alone say, no head
            continue
        if sign and row.get("value") is not None and row["metric"] in (*FIFTHS, XAUC, COST):
            out.setdefault(task, {}).setdefault(variant, {})[row["metric"]] = row
    tasks = {task: of for task, of in out.items() if any({*FIFTHS, XAUC} & set(metrics) for metrics in of.values())}
    if not tasks:
        raise DataError(
            f"{len(found)} figures, none of which is the XAUC of a watch-time head or its PCOC by fifths of duration",
            "the file of `feedmill bench watch-time --json`",
            "run feedmill bench watch-time --json figures.json, and name that file",
        )
    return dict(tasks)


def pictures(found: Sequence[Row], folder: Path) -> list[Picture]:
    """Both for each task that has what they show.

    Raises:
        DataError: see ``by_task``.
    """
    out = []
    for task, scores in by_task(found).items():
        by_duration = {name: of for name, of in scores.items() if all(fifth in of for fifth in FIFTHS)}
        costed = {name: of for name, of in scores.items() if XAUC in of and COST in of}
        out += [calibration(task, by_duration, folder)] if by_duration else []
        out += [xauc_cost(task, costed, folder)] if costed else []
    return out


def calibration(task: str, scores: Scores, folder: Path) -> Picture:
    """Predicted over actual mean by fifth of duration, a panel per variant with its intervals; a log scale."""
    name = f"calibration-{_slug(task)}.png"
    columns = min(COLUMNS, len(scores))
    n_rows = -(-len(scores) // columns)
    right = 0
    with canvas.canvas(folder / name, columns, n_rows, 1.3 + 1.4 * n_rows, sharex=True, sharey=True) as grid:
        for axes, (variant, of) in zip(grid.ravel(), scores.items(), strict=False):
            right += _fifths(axes, variant, [of[fifth] for fifth in FIFTHS])
        for axes in grid.ravel()[len(scores) :]:
            axes.set_visible(False)
        for axes in grid.ravel()[len(scores) - columns : len(scores)]:  # the lowest that are seen
            axes.tick_params(labelbottom=True)
        figure = grid[0, 0].figure
        figure.supxlabel("fifth of the items' duration, shortest to longest", fontsize=10.5)
        figure.supylabel("mean predicted / watched", fontsize=10.5)
    return Picture(
        name,
        f"Calibration by duration: {task}",
        f"Predicted over actual mean watch time in five ranges of duration, a panel for each of {len(scores)} heads",
        f"1 is calibrated, above it reads high. A dot is a fifth of the rows by duration, with its 95 % interval; blue "
        f"where that contains 1 ({right} of {5 * len(scores)}), orange where it does not. An arrow at the border lies "
        f"outside {LOW:g} to {HIGH:g}.",
    )


def xauc_cost(task: str, scores: Scores, folder: Path) -> Picture:
    """Left: variants by XAUC with their intervals. Right: the same over what 1,000 rows cost to score."""
    name = f"xauc-cost-{_slug(task)}.png"
    ranked = sorted(scores, key=lambda v: scores[v][XAUC]["value"])
    rank = {variant: len(ranked) - place for place, variant in enumerate(ranked)}
    best = frontier({v: (scores[v][COST]["value"], scores[v][XAUC]["value"]) for v in scores})
    shape = {"width_ratios": (1, 1)}
    with canvas.canvas(folder / name, 2, 1, max(3.6, 1.0 + 0.235 * len(ranked)), gridspec_kw=shape) as grid:
        left, right = grid[0]
        for place, variant in enumerate(ranked):
            colour = VERMILLION if variant in best else BLUE
            _interval(left, scores[variant][XAUC], place, colour)
            cost, xauc = (scores[variant][metric]["value"] for metric in (COST, XAUC))
            right.plot(cost, xauc, "o", color=colour, markersize=6, zorder=3)
        left.set_yticks(range(len(ranked)), [f"{v}  {rank[v]}" for v in ranked], fontsize=9)
        left.set_ylim(-0.7, len(ranked) - 0.3)
        left.set_xlabel("XAUC: share of pairs in the right order")
        _frontier(right, best, scores, rank)
    words = ", ".join(f"{v} ({scores[v][XAUC]['value']:.4f} at {scores[v][COST]['value']:.3g} ms)" for v in best)
    return Picture(
        name,
        f"XAUC against cost: {task}",
        f"{len(ranked)} heads by XAUC with intervals; the same as points over milliseconds per 1,000 rows",
        "Left: the share of pairs of rows that a head puts in the order of how long they were watched, with 95 % "
        "intervals. Right: the same over the milliseconds that the exported graph, trunk and head, takes for 1,000 "
        f"rows. Orange, numbered by rank: no other head reads better and costs less, intervals aside: {words}.",
    )


def frontier(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Names of which no other has a lower cost and at least the XAUC; cheapest first. Points are (cost, XAUC)."""
    out: list[str] = []
    for name in sorted(points, key=lambda v: (points[v][0], -points[v][1])):
        if not out or points[name][1] > points[out[-1]][1]:
            out.append(name)
    return out


def _fifths(axes: Any, variant: str, rows: Sequence[Row]) -> int:
    n_right = 0
    for place, row in enumerate(rows, 1):
        value = row["value"]
        low, high = (value if row.get(side) is None else row[side] for side in ("low", "high"))
        is_right = low <= 1 <= high
        n_right += is_right
        at, colour = float(np.clip(value, LOW, HIGH)), BLUE if is_right else VERMILLION
        mark = "o" if at == value else "^" if value > HIGH else "v"
        axes.plot([place, place], np.clip([low, high], LOW, HIGH), color=colour, linewidth=3, alpha=0.4)
        axes.plot(place, at, mark, color=colour, markersize=5, clip_on=False)
    axes.axhline(1, color=INK, linewidth=0.8)
    axes.set_yscale("log")
    axes.set_ylim(LOW, HIGH)
    axes.set_yticks([0.5, 1, 2], ["0.5", "1", "2"], fontsize=9)
    axes.minorticks_off()
    axes.set_xticks(range(1, 6))
    axes.tick_params(labelsize=9)
    axes.set_xlim(0.5, 5.5)
    axes.set_title(fill(variant, TITLE_WIDTH), fontsize=9)
    return n_right


def _interval(axes: Any, row: Row, place: int, colour: str) -> None:
    if row.get("low") is not None and row.get("high") is not None:
        axes.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=4, alpha=0.35)
    axes.plot(row["value"], place, "o", color=colour, markersize=5)


def _frontier(axes: Any, best: Sequence[str], scores: Scores, rank: Mapping[str, int]) -> None:
    cost, xauc = ([scores[v][metric]["value"] for v in best] for metric in (COST, XAUC))
    axes.plot(cost, xauc, color=VERMILLION, linewidth=1, drawstyle="steps-post", zorder=2)
    for name, x, y in zip(best, cost, xauc, strict=True):
        axes.annotate(str(rank[name]), (x, y), (-7, 4), textcoords="offset points", ha="right", color=INK)
    axes.set_xlabel("cost, ms per 1,000 rows")
    axes.set_ylabel("XAUC")
    axes.margins(x=0.12, y=0.06)
    axes.grid(color=GREY, alpha=0.25)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
