"""Hard and distilled targets of one row over three ways to cut bins, and where their means lie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from feedmill.cli.charts import canvas
from feedmill.cli.charts.canvas import BLUE, INK, VERMILLION
from feedmill.cli.charts.formulas import Bins, Doubles, distilled, equal_frequency
from feedmill.cli.charts.page import Picture

LABEL_S, SPREAD_S = 22.0, 60.0  # whose targets are drawn; how far the panels reach
N_BINS, WIDTH_S, SCALE = 20, 5.0, 40.0  # equal-frequency bins; seconds of a uniform one; exp(x / 40) - 1
Noise = Literal["gaussian", "laplace"]
NOISES: Mapping[Noise, tuple[str, str]] = {"gaussian": (BLUE, "o"), "laplace": (VERMILLION, "s")}


def cuts(seconds: Doubles) -> dict[str, Bins]:
    """Uniform bins of 5 s, exponential ones, exp(x / 40) - 1, and equal-frequency ones, up to the longest watch."""
    longest = float(seconds.max())
    edges = {
        f"uniform, {WIDTH_S:g} s": np.arange(WIDTH_S, longest, WIDTH_S),
        f"exponential, exp(x / {SCALE:g}) - 1": np.expm1(np.arange(1, int(SCALE * np.log1p(longest)) + 1) / SCALE),
        f"{N_BINS} of equal frequency": equal_frequency(seconds, N_BINS),
    }
    return {name: Bins.cut(inner, seconds) for name, inner in edges.items()}


def target(bins: Bins, noise: Noise, *, by_width: bool = False) -> Doubles:
    """float64[K] the row's target over the bins, each at its mean, of sigma = 1.5 times the root of the label."""
    width = np.maximum(bins.upper - bins.lower, 1e-6) if by_width else None
    return distilled(bins.means, LABEL_S, noise, 1.5 * LABEL_S**0.5, width)


def reads(bins: Bins, noise: Noise, *, by_width: bool = False) -> float:
    """Seconds that the target itself stands for, over its label: a perfect fit serves this."""
    return float(target(bins, noise, by_width=by_width) @ bins.means) / LABEL_S


def targets(seconds: Doubles, folder: Path) -> Picture:
    """A panel for each way to cut bins: the hard target as a bar, the distilled ones as dots."""
    found = cuts(seconds)
    with canvas.canvas(folder / "targets.png", columns=len(found), height=4.6) as grid:
        for axes, (name, bins) in zip(grid[0], found.items(), strict=True):
            _panel(axes, bins)
            axes.set_title(name)
        grid[0, 0].set_ylabel("probability of the bin in the target")
        grid[0, 0].figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    said = "; ".join(
        f"{name}: {reads(bins, 'gaussian'):.2f} and {reads(bins, 'laplace'):.2f} of the label, with each bin weighed "
        f"by its width {reads(bins, 'gaussian', by_width=True):.2f} and {reads(bins, 'laplace', by_width=True):.2f}"
        for name, bins in found.items()
    )
    return Picture(
        "targets.png",
        f"Softmax: hard and distilled targets of a row of {LABEL_S:.0f} s",
        "Target probabilities over watch time for a hard label and for Gaussian and Laplace noise, on uniform, "
        "exponential and equal-frequency bins",
        "The hard target puts all on the row's own bin; the distilled ones spread over its neighbours by distance in "
        "seconds, sigma = 1.5 √t. A dot is a bin at its mean. Where bins are narrow there are more of them, so they "
        "get more of the target, and its mean moves that way: served as such it reads low. The targets' means, for "
        f"Gaussian and Laplace noise: {said}. Centres fitted to read labels back repair it too (recalibrate).",
    )


def _panel(axes: Any, bins: Bins) -> None:
    own = int(bins.of(np.array([LABEL_S]))[0])
    soft = {noise: target(bins, noise) for noise in NOISES}
    top = 1.3 * max(float(q.max()) for q in soft.values())
    axes.bar(bins.lower[own], top, bins.upper[own] - bins.lower[own], align="edge", color="#d5d5d5",
             label="hard: 1 in its own bin")  # fmt: skip
    axes.axvline(LABEL_S, color=INK, linewidth=0.9, linestyle=":", label=f"the label t, {LABEL_S:g} s")
    for place, (noise, (colour, mark)) in enumerate(NOISES.items()):
        axes.plot(bins.means, soft[noise], marker=mark, color=colour, markersize=4 if len(bins.means) < 100 else 2.5,
                  linewidth=0.8, label=f"distilled, {noise.capitalize()}")  # fmt: skip
        axes.text(0.97, 0.97 - 0.07 * place, f"mean {reads(bins, noise):.2f} t", color=colour, ha="right", va="top",
                  transform=axes.transAxes)  # fmt: skip
    axes.set_xlim(0, SPREAD_S)
    axes.set_ylim(0, top)
    axes.set_xlabel("watch time, seconds")
