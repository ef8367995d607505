"""The pictures of the ranking page: the study's curves as small multiples, and the contestants on Census-Income."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from feedmill.cli.bench.ranking.census import OURS
from feedmill.cli.bench.ranking.study import COSINES, MODELS
from feedmill.cli.bench.retrieval.plot import OURS as OUR_COLOUR
from feedmill.cli.bench.retrieval.plot import THEIRS, pyplot
from feedmill.datasets.census import HEADS

Row = Mapping[str, Any]
COLOURS = dict(zip(MODELS, ("#b0643c", "#7a7a7a", "#1f6f8b"), strict=True))
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)
STEP, LAST = "loss at step ", "final loss, median"


def curves(rows: Sequence[Row], file: Path) -> bool:
    """Above: median loss and the middle 80 % of seeds over steps, a panel per cosine. Below: the last losses.

    False = matplotlib is not there.
    """
    library = pyplot()
    if library is None:
        return False
    cosines = [p for p in COSINES if any(row["what"].startswith(f"study: p={p},") for row in rows)]
    shape = {"height_ratios": (3, 1.3)}
    figure, grid = library.subplots(
        2, len(cosines), figsize=(3.1 * len(cosines), 4.4), sharey="row", squeeze=False, gridspec_kw=shape
    )
    for column, cosine in enumerate(cosines):
        for place, model in enumerate(MODELS):
            own = [row for row in rows if row["what"] == f"study: p={cosine}, {model}"]
            _curve(grid[0, column], own, model)
            _last(grid[1, column], own, model, place)
        label = next(r["value"] for r in rows if r["what"] == f"study: p={cosine}, labels")
        grid[0, column].set_title(f"p = {cosine}; labels' correlation {label:.2f}", fontsize=9, loc="left")
        grid[0, column].set_xlabel("step", fontsize=8)
        grid[1, column].set_xlabel("last tenth: median, 10..90 % of seeds", fontsize=8)
    right = max(row["high"] for row in rows if row["metric"] == LAST)
    for axes in grid[1]:
        axes.set_xlim(0, right * 1.05)  # one scale, so that the panels compare
    grid[0, 0].set_ylabel("mean squared error", fontsize=8)
    grid[0, -1].legend(fontsize=8, frameon=False)
    _save(library, figure, grid.ravel(), file)
    return True


def _curve(axes: Any, own: Sequence[Row], model: str) -> None:
    points = sorted((int(r["metric"].removeprefix(STEP)), r) for r in own if r["metric"].startswith(STEP))
    steps = [at for at, _ in points]
    axes.plot(steps, [r["value"] for _, r in points], color=COLOURS[model], label=model, linewidth=1.4)
    low, high = ([r[side] for _, r in points] for side in ("low", "high"))
    axes.fill_between(steps, low, high, color=COLOURS[model], alpha=0.18, linewidth=0)
    axes.set_yscale("log")
    axes.set_yticks([tick for tick in TICKS if min(low) * 0.8 < tick < max(high) * 1.2])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()


def _last(axes: Any, own: Sequence[Row], model: str, place: int) -> None:
    for row in own:
        if row["metric"] == LAST:
            axes.plot([row["low"], row["high"]], [-place, -place], color=COLOURS[model], linewidth=5, alpha=0.35)
            axes.plot(row["value"], -place, "o", color=COLOURS[model], markersize=5)
    axes.set_yticks([-i for i in range(len(MODELS))], list(MODELS), fontsize=8)
    axes.set_ylim(-len(MODELS) + 0.4, 0.6)


def contestants(rows: Sequence[Row], file: Path) -> bool:
    """A dot with the seeds' spread for each contestant, a panel per label; False = matplotlib is not there."""
    library = pyplot()
    if library is None:
        return False
    figure, grid = library.subplots(1, len(HEADS), figsize=(8.4, 3.2), squeeze=False, sharey=True)
    names = list(dict.fromkeys(r["what"].partition(": ")[2] for r in rows if r["metric"] == f"AUC {HEADS[0]}"))
    names = [name for name in names if " - " not in name][::-1]
    for axes, head in zip(grid[0], HEADS, strict=True):
        by_name = {r["what"].partition(": ")[2]: r for r in rows if r["metric"] == f"AUC {head}"}
        for place, name in enumerate(names):
            row, colour = by_name[name], OUR_COLOUR if name in OURS else THEIRS
            axes.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=4, alpha=0.5)
            axes.plot(row["value"], place, "o", color=colour, markersize=5)
            axes.annotate(f"{row['value']:.4f}", (row["high"], place), (5, 0), textcoords="offset points", fontsize=7,
                          va="center")  # fmt: skip
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.set_title(f"test AUC, {head.replace('_', ' ')}", fontsize=9, loc="left")
        axes.margins(x=0.2)
    _save(library, figure, grid.ravel(), file)
    return True


def _save(library: Any, figure: Any, every: Sequence[Any], file: Path) -> None:
    for axes in every:
        axes.tick_params(labelsize=8)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    figure.tight_layout(pad=1.2)
    figure.savefig(file, metadata={"Date": None}, bbox_inches="tight")
    library.close(figure)
