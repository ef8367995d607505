"""What watch times look like beside the distributions that losses assume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedmill.cli.charts import canvas
from feedmill.cli.charts.canvas import BLUE, GREY, INK, ORANGE, PALE, VERMILLION
from feedmill.cli.charts.formulas import Doubles, exponential, geometric
from feedmill.cli.charts.page import Picture

SHORT_S, NEAR, TIMES = 3, 0.05, 5.0  # a skip; to the end, give or take; where the ratios of the second panel end
FINE_S = 40  # bins of a second up to here, wider ones after: few rows are that long


def histogram(seconds: Doubles, duration: Doubles, folder: Path) -> Picture:
    """Share of rows per second of watch time with the two fits, and watched times of the duration where it is known.

    Args:
        seconds: float64[n].
        duration: float64[n], NaN = unknown.
    """
    is_known = duration > 0
    with canvas.canvas(folder / "labels.png", columns=1 + bool(is_known.any()), height=4.4) as grid:
        _watched(grid[0, 0], seconds)
        if is_known.any():
            _ratio(grid[0, 1], seconds[is_known] / duration[is_known])
    return _picture(seconds, duration)


def edges(seconds: Doubles) -> NDArray[np.int64]:
    """Whole seconds: 0, 1, … and from 40 s on a tenth more each time, up to all but 0.5 % of the rows."""
    last = int(np.ceil(np.quantile(seconds, 0.995))) + 1
    out = list(range(min(last, FINE_S) + 1))
    while out[-1] < last:
        out.append(out[-1] + max(1, round(out[-1] * 0.1)))
    return np.array(out, np.int64)


def _watched(axes: Any, seconds: Doubles) -> None:
    at = edges(seconds)
    width, n = np.diff(at), len(seconds)
    share = np.histogram(seconds, at)[0] / n / width
    axes.stairs(share, at, fill=True, color=PALE, label=f"{n:,} rows")
    whole = np.arange(at[-1])
    fit = geometric(float(np.floor(seconds).mean()), whole)
    axes.plot(whole + 0.5, fit, color=ORANGE, linewidth=5, alpha=0.9, label="geometric of the same mean")
    fit = exponential(float(seconds.mean()), whole, whole + 1)
    axes.plot(whole + 0.5, fit, color=INK, linewidth=1.3, linestyle=(0, (4, 2)), label="exponential of the same mean")
    axes.set_yscale("log")
    axes.set_ylim(share[share > 0].min() / 2, max(share.max(), fit[0]) * 2)
    axes.set_xlim(0, at[-1])
    axes.set_xlabel("watch time, seconds")
    axes.set_ylabel("share of rows per second")
    canvas.plain_log(axes.yaxis)
    axes.set_title("watch time")
    axes.legend(loc="upper right")


def _ratio(axes: Any, ratio: Doubles) -> None:
    bins = np.linspace(0, TIMES, int(TIMES * 20) + 1)
    share = np.histogram(np.minimum(ratio, TIMES), bins)[0] / len(ratio)
    for name, colour, of in (
        ("before its end", BLUE, bins[:-1] < 0.999),
        ("to its end, and on", VERMILLION, bins[:-1] > 0.999),
    ):
        part = np.where(of, share, np.nan)
        axes.stairs(part, bins, fill=True, color=colour, label=f"{name}: {np.nansum(part):.0%} of rows")
    axes.axvline(1, color=GREY, linewidth=1)
    axes.set_xlim(0, TIMES)
    axes.set_xlabel(f"watch time / duration (last bar: {TIMES:g} and more)")
    axes.set_ylabel("share of rows per 0.05")
    axes.set_title("the same as a share of the item's duration")
    axes.legend(loc="upper right")


def _picture(seconds: Doubles, duration: Doubles) -> Picture:
    mean = float(seconds.mean())
    long_s = float(np.quantile(seconds, 0.99))
    short, long = float((seconds < SHORT_S).mean()), float((seconds >= long_s).mean())
    said = exponential(mean, np.array([0, long_s]), np.array([SHORT_S, np.inf]))
    caption = (
        f"Mean {mean:.1f} s, median {np.median(seconds):.1f} s. Weighted cross-entropy is the likelihood of a "
        "geometric distribution, by the whole second what the exponential one is: a straight line here. "
        f"{short:.0%} of rows end within {SHORT_S} s, where the fit says {said[0]:.0%}; "
        f"{long:.1%} reach {long_s:.0f} s, where it says {said[1]:.1%}."
    )
    is_known = duration > 0
    if is_known.any():
        ratio = seconds[is_known] / duration[is_known]
        caption += (
            f" The right panel has what no such curve has: a spike at the full duration "
            f"({np.mean(abs(ratio - 1) < NEAR):.0%} of rows within {NEAR:.0%} of it), and views that outlast it "
            f"({np.mean(ratio > 1):.0%} of rows; {np.mean(ratio > 1.5):.0%} by half and more)."
        )
    alt = "Histogram of watch time in seconds on a logarithmic scale, with the geometric and exponential fits over it"
    alt += "; histogram of watch time over duration" if is_known.any() else ""
    return Picture("labels.png", "Labels, and what weighted cross-entropy assumes of them", alt, caption)
