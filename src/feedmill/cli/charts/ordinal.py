"""Ordinal regression on one sample: the steps it predicts, and the seconds under them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedmill.cli.charts import canvas
from feedmill.cli.charts.canvas import BLUE, INK, PALE, VERMILLION
from feedmill.cli.charts.formulas import Bins, Doubles, equal_frequency
from feedmill.cli.charts.page import Picture

N_BINS = 20
N_GROUPS = 5
PLACE = 0.7  # of the sample among its like, by watch time


class Sample(NamedTuple):
    """One row as ordinal regression sees it.

    Attributes:
        t: its watch time in seconds; ``label`` K of 1 and 0, ones up to its own bin.
        means: K seconds, of all rows in each bin.
        probs: K, P(t > lower edge) among rows like it.
        like: in words, those rows; ``mean`` their mean seconds.
    """

    t: float
    label: Doubles
    means: Doubles
    probs: Doubles
    like: str
    mean: float

    @property
    def served(self) -> float:
        """Sum of (m_k - m_(k-1)) p_k, m_0 = 0: the area under the steps."""
        return float(np.diff(self.means, prepend=0.0) @ self.probs)


def sample(seconds: Doubles, duration: Doubles) -> Sample:
    """A row from the middle fifth of durations, seven tenths up among its like; without durations, of all rows."""
    is_like, like = _like(duration)
    bins = Bins.cut(equal_frequency(seconds, N_BINS), seconds)
    k = np.arange(len(bins.means))
    group = seconds[is_like]
    t = float(np.quantile(group, PLACE, method="nearest"))
    probs = (bins.of(group)[:, None] >= k).mean(axis=0)
    label = (bins.of(np.array([t]))[0] >= k).astype(np.float64)
    return Sample(t, label, bins.means, probs, like, float(group.mean()))


def ordinal(seconds: Doubles, duration: Doubles, folder: Path) -> Picture:
    """Probabilities of one sample as steps over seconds, so that the area is what is served; its label over them."""
    x = sample(seconds, duration)
    at = np.concatenate([[0.0], x.means])
    with canvas.canvas(folder / "ordinal.png", height=4.6) as grid:
        axes = grid[0, 0]
        axes.stairs(x.probs, at, fill=True, color=PALE, label=f"p_k; the area is what is served, {x.served:.1f} s")
        axes.stairs(x.probs, at, color=BLUE, linewidth=1.4)
        own = x.means[int(x.label.sum()) - 1]
        axes.plot(
            [0, own, own, at[-1]], [1, 1, 0, 0], color=VERMILLION, linestyle="--", label="label: 1 up to its own bin"
        )
        axes.axvline(x.t, color=INK, linewidth=1, linestyle=":", label=f"watched, {x.t:.1f} s")
        axes.plot(x.means, np.zeros(len(x.means)), "|", color=INK, markersize=11, clip_on=False)
        axes.set_xlim(0, at[-1])
        axes.set_ylim(0, 1.05)
        axes.set_xlabel("watch time, seconds; a tick is the mean of a bin")
        axes.set_ylabel("P(watched longer than the bin's lower edge)")
        axes.legend(loc="upper right")
    return Picture(
        "ordinal.png",
        "Ordinal regression: the probabilities of one sample",
        "Falling steps of probability over watch time, one for each bin; over them the label's ones and zeros",
        f"One row, watched {x.t:.1f} s, and what a perfect head that knew only that it is one of {x.like} would say of "
        f"it: the share of them that got past each of {len(x.means)} bins' lower edges. The first is 1. A step is as "
        f"wide as its bin's mean is from the one before, so the area is the seconds served: {x.served:.1f}, where "
        f"those rows' mean is {x.mean:.1f}. The row's own label is the dashed line: ones up to its bin, then zeros.",
    )


def _like(duration: Doubles) -> tuple[NDArray[np.bool_], str]:
    is_known = duration > 0
    if is_known.sum() < 10 * N_GROUPS:
        return np.ones(len(duration), np.bool_), f"{len(duration):,} rows"
    low, high = np.quantile(duration[is_known], [2 / N_GROUPS, 3 / N_GROUPS])
    return (duration >= low) & (duration <= high), f"the rows whose item lasts {low:.0f} to {high:.0f} s"
