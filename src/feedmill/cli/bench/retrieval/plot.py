"""One picture: a dot with its interval for each channel, ours apart from other libraries'."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

OURS, THEIRS = "#1f6f8b", "#b0b0b0"


def pyplot() -> Any:
    """matplotlib's, drawing SVG of the same bytes for the same figures; None where it is not installed."""
    try:
        import matplotlib as mpl
    except ModuleNotFoundError:
        return None
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "feedmill"
    from matplotlib import pyplot as library

    return library


def bars(rows: Sequence[tuple[str, Mapping[str, Any]]], ours: Collection[str], title: str, file: Path) -> bool:
    """Draw rows, lowest first, to an SVG of the same bytes for the same figures; False = matplotlib is not there."""
    library = pyplot()
    if library is None:
        return False
    figure, axes = library.subplots(figsize=(7, 0.9 + 0.28 * len(rows)))
    for place, (name, row) in enumerate(rows):
        value, colour = row["value"], OURS if name in ours else THEIRS
        axes.barh(place, value, color=colour, height=0.7)
        axes.errorbar(value, place, xerr=[[value - row["low"]], [row["high"] - value]], color="#333333", capsize=2)
        axes.text(row["high"], place, f"  {value:.4f}", va="center", fontsize=8)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows], fontsize=8)
    axes.set_xlim(0, max((row["high"] for _, row in rows), default=1) * 1.12)
    axes.set_title(f"{title}, 95 % intervals over users", fontsize=9, loc="left")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    handles = [library.Rectangle((0, 0), 1, 1, color=c) for c in (OURS, THEIRS)]
    axes.legend(handles, ["feedmill", "other libraries"], fontsize=8, frameon=False, loc="lower right")
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})
    library.close(figure)
    return True
