"""Relevance against diversity: curves over theta, what a window does, and what picking costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from feedmill.cli.charts import canvas
from feedmill.cli.charts.canvas import BLUE, GREEN, GREY, INK, PURPLE, VERMILLION
from feedmill.cli.charts.page import Picture
from feedmill.cli.reports.diversity_points import CONFIGURED, VALUE, WITHOUT_THETA, Latency, Point

LOOKS = {"MMR": (BLUE, "o", "-"), "DPP": (VERMILLION, "s", "--"), "DPP quality": (GREEN, "D", "-.")}
ALONE = {VALUE: (INK, "X", 8), CONFIGURED: (PURPLE, "*", 11)}
MEASURES = {
    "vectors": "1 - mean cosine of two items' vectors",
    "topics": "1 - mean share of common topics of two items",
}
RELEVANCE = {"kept": "share of the best possible value", "ndcg": "NDCG of held-out items"}


def curves(points: Sequence[Point], k: int, window: float, folder: Path) -> list[Picture]:
    """Value kept over diversity, a curve over theta for each kind; the same of NDCG where something is held out.

    Args:
        points: of one k and one window; of value alone and the configured rules, which have none.

    Returns:
        None of a log that has neither vectors nor topics.
    """
    if not known(points):
        return []
    out = [_curves("kept", points, k, window, folder)]
    return [*out, _curves("ndcg", points, k, window, folder)] if any(p.ndcg is not None for p in points) else out


def _curves(relevance: str, points: Sequence[Point], k: int, window: float, folder: Path) -> Picture:
    measures = known(points)
    name = f"{relevance}-diversity.png"
    with canvas.canvas(folder / name, len(measures), 1, 4.6, sharey=True) as grid:
        for axes, measure in zip(grid[0], measures, strict=True):
            for kind in LOOKS:
                _curve(axes, measure, relevance, [p for p in points if p.rule == kind])
            for rule, (colour, mark, size) in ALONE.items():
                for p in (p for p in points if p.rule == rule):
                    x, y = getattr(p, measure), getattr(p, relevance)
                    axes.plot(x, y, mark, color=colour, markersize=size, label=rule, zorder=4)
            axes.set_xlabel(f"diversity: {MEASURES[measure]}")
        grid[0, 0].set_ylabel(f"{RELEVANCE[relevance]}, first {k}")
        grid[0, 0].legend(loc="lower left")
    return Picture(
        name,
        f"{'Value' if relevance == 'kept' else 'NDCG'} against diversity by theta",
        f"Curves of MMR and DPP over theta: {RELEVANCE[relevance]} against diversity of the first {k} items",
        f"First {k} slots, window {window:g}; the numbers at the points are theta. Up and to the right is better: of "
        "two curves the upper one pays less for the same variety. "
        + (_told(points) if relevance == "kept" else _told_ndcg(points)),
    )


def _curve(axes: Any, measure: str, relevance: str, points: Sequence[Point]) -> None:
    there = [p for p in points if getattr(p, measure) is not None and getattr(p, relevance) is not None]
    if not there:
        return
    colour, mark, dash = LOOKS[there[0].rule]
    x, y = ([getattr(p, of) for p in there] for of in (measure, relevance))
    axes.plot(x, y, marker=mark, linestyle=dash, color=colour, markersize=5, label=there[0].rule)
    side = -1 if there[0].rule == "MMR" else 1
    last = None
    for p, a, b in zip(there, x, y, strict=True):
        near = (
            last is not None and abs(a - last[0]) < 0.05 * _span(axes, 0) and abs(b - last[1]) < 0.05 * _span(axes, 1)
        )
        if p.theta is not None and not near:
            axes.annotate(f"{p.theta:g}", (a, b), (7 * side, 5 * side - 3), textcoords="offset points", color=colour,
                          fontsize=8.5, ha="left" if side > 0 else "right")  # fmt: skip
            last = a, b


def _span(axes: Any, which: int) -> float:
    low, high = (axes.get_xlim, axes.get_ylim)[which]()
    return float(high - low)


def windows(points: Sequence[Point], k: int, theta: float, folder: Path) -> list[Picture]:
    """Value kept and diversity over the window, a line per kind; nothing where only one window was tried.

    Args:
        points: of one k and one theta; of value alone, which has neither, for reference.
    """
    tried = sorted({p.window for p in points if p.window is not None})
    measures = known(points)
    if len(tried) < 2 or not measures:
        return []
    panels = ["kept", *measures]
    with canvas.canvas(folder / "window.png", len(panels), 1, 3.8) as grid:
        for axes, panel in zip(grid[0], panels, strict=True):
            for kind, (colour, mark, dash) in LOOKS.items():
                of = sorted((p for p in points if p.rule == kind), key=lambda p: p.window or 0)
                axes.plot([str(p.window) for p in of], [getattr(p, panel) for p in of], marker=mark, linestyle=dash,
                          color=colour, label=kind)  # fmt: skip
            for p in (p for p in points if p.rule == VALUE):
                axes.axhline(getattr(p, panel), color=GREY, linewidth=1.2, label=VALUE)
            axes.set_xlabel("window, slots")
            axes.set_title(RELEVANCE[panel] if panel == "kept" else f"diversity by {panel}")
        grid[0, 0].legend(loc="best")
    picture = Picture(
        "window.png",
        "What the window does",
        f"Value kept and diversity of MMR and DPP over windows of {tried[0]} to {tried[-1]} slots",
        f"First {k} slots at theta {theta:g}. A longer window compares a slot with more of those before it, at a price "
        f"in value; a window of more than the {k} slots changes nothing more here.",
    )
    return [picture]


def latency(found: Sequence[Latency], theta: float, window: float, folder: Path) -> Picture:
    """Milliseconds over k, p50 and p99 of each kind."""
    with canvas.canvas(folder / "latency.png", 2, 1, 3.6) as grid:
        for axes, metric in zip(grid[0], ("p50_ms", "p99_ms"), strict=True):
            for kind in dict.fromkeys(x.rule for x in found):
                of = [x for x in found if x.rule == kind]
                colour, mark, dash = LOOKS[kind]
                k = [x.k for x in of]
                axes.plot(k, [getattr(x, metric) for x in of], marker=mark, linestyle=dash, color=colour, label=kind)
            axes.set_xticks(sorted({x.k for x in found}))
            axes.set_ylim(bottom=0)
            axes.set_xlabel("picks, k")
            axes.set_title({"p50_ms": "the middle call", "p99_ms": "the slowest 1 %"}[metric])
        grid[0, 0].set_ylabel("milliseconds")
        grid[0, 0].legend(loc="upper left")
    slowest = max(found, key=lambda x: x.p50_ms)
    return Picture(
        "latency.png",
        "What picking costs",
        "Milliseconds of MMR and DPP over the number of picks, p50 and p99",
        f"One call of the rule, theta {theta:g}, window {window:g}: gathering the candidates' vectors and topics, "
        f"picking, and the notes; {found[0].n:,} calls each. The middle call takes {slowest.p50_ms:.2f} ms at most "
        f"({slowest.rule}, k = {slowest.k}). Measured on this machine as it was: what else ran shows in the right "
        "panel.",
    )


def known(points: Sequence[Point]) -> list[str]:
    """The measures of diversity that this log has."""
    return [m for m in MEASURES if any(getattr(p, m) is not None for p in points)]


def _told(points: Sequence[Point]) -> str:
    measures = known(points)
    plain = next((p for p in points if p.rule == VALUE), None)
    if not measures or plain is None:
        return ""
    said, measure = [], measures[0]
    for kind in LOOKS:
        of = [p for p in points if p.rule == kind and p.kept >= 0.95 and getattr(p, measure) is not None]
        if of and kind != WITHOUT_THETA:
            best = max(of, key=lambda p: getattr(p, measure))
            said.append(f"{kind} {getattr(best, measure):.3f} (theta {best.theta:g}, {best.kept:.1%})")
    if not said:
        return ""
    alone = f"By {measure}, value alone has {getattr(plain, measure):.3f}"
    return f"{alone}; the most for at least 95 % of the value: {'; '.join(said)}."


def _told_ndcg(points: Sequence[Point]) -> str:
    better = [p for p in points if p.ndcg_more and p.ndcg_more[1] > 0]
    worse = [p for p in points if p.ndcg_more and p.ndcg_more[2] < 0]
    n = sum(p.ndcg_more is not None for p in points) - 1
    surely = f"{len(better)} are surely better than value alone, {len(worse)} surely worse"
    return f"Of {n} settings {surely} (95 %, paired by users)."
