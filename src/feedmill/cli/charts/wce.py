"""Weighted cross-entropy: what its three schemes serve, and how hard they pull."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from feedmill.cli.charts import canvas
from feedmill.cli.charts.canvas import BLUE, GREEN, GREY, INK, VERMILLION
from feedmill.cli.charts.formulas import WCE_CAP, Doubles, wce_gradient, wce_logit_gradient, wce_seconds
from feedmill.cli.charts.page import Picture

SCHEMES = (
    (1, "scheme 1, w = log2(t + 1)", VERMILLION, "-"),
    (2, "scheme 2, w = log2(t + 1) + 1", BLUE, "--"),
    (3, "scheme 3, w = t", GREEN, "-."),
)
LABEL_S = 20.0  # whose gradient is drawn
LEFT_S, RIGHT_S = 1.0, 100.0
BELOW, ABOVE = 10.0, 30.0  # as far off, on either side


def curves(folder: Path) -> Picture:
    """Seconds over the probability p of each scheme, and over its logit."""
    capped = {scheme: float(wce_seconds(scheme, np.array(WCE_CAP))) for scheme in (1, 2)}
    with canvas.canvas(folder / "wce-curves.png", columns=2, height=4.4) as grid:
        left, right = grid[0]
        p, z = np.linspace(0.001, 0.996, 2000), np.linspace(-2.5, 6, 600)
        for scheme, name, colour, dash in SCHEMES:
            left.plot(p, wce_seconds(scheme, p / (1 - p)), color=colour, linestyle=dash, label=name)
            right.plot(z, wce_seconds(scheme, np.exp(z)), color=colour, linestyle=dash)
            if scheme < 3:
                at, top = WCE_CAP / (1 + WCE_CAP), capped[scheme]
                for axes, x in ((left, at), (right, np.log(WCE_CAP))):
                    axes.plot(x, top, "o", color=colour, markersize=7)
                    axes.annotate(f"w = {WCE_CAP:g}: {top:.0f} s", (x, top), (-8, 2), textcoords="offset points",
                                  ha="right", color=colour)  # fmt: skip
        _frame(left, "p, the sigmoid of the logit", "seconds served", "over the probability")
        left.set_ylim(0, 320)
        left.legend(loc="upper left")
        _frame(right, "z, the logit", "seconds served", "over the logit")
        right.set_yscale("log")
        right.set_ylim(0.1, 20_000)
        right.set_xlim(-2.5, 6)
        canvas.plain_log(right.yaxis)
    return Picture(
        "wce-curves.png",
        "Weighted cross-entropy: what is served",
        "Seconds served by the three schemes of weighted cross-entropy over the probability, and over the logit",
        "Scheme 3 serves the odds: exponential in the logit, a straight line on the right. Schemes 1 and 2 serve two "
        "to the power of the odds: exponential twice over, so a logit that is off by a little is off by many seconds, "
        f"and odds are capped when served. The dots are the cap of {WCE_CAP:g} on w: {capped[1]:.0f} s under scheme 1, "
        f"{capped[2]:.0f} s under 2.",
    )


def gradient(folder: Path) -> Picture:
    """The gradient at a label of 20 s, by prediction in seconds and by logit, beside a symmetric loss's."""
    t = np.geomspace(LEFT_S, RIGHT_S, 800)
    near, far = wce_gradient(np.array([BELOW, ABOVE]), LABEL_S)
    with canvas.canvas(folder / "wce-gradient.png", columns=2, height=4.4) as grid:
        left, right = grid[0]
        _pull(left, t, wce_gradient(t, LABEL_S), 1 / (LABEL_S * (1 + LABEL_S)))
        left.set_ylim(-0.5, 0.2)
        for x, y, shift in ((BELOW, near, (40, -26)), (ABOVE, far, (0, 34))):
            left.plot(x, y, "o", color=INK, markersize=6)
            left.annotate(f"{y:+.3f} at {x:.0f} s", (x, y), shift, textcoords="offset points", ha="left",
                          arrowprops={"arrowstyle": "-", "color": GREY})  # fmt: skip
        _frame(left, "predicted watch time t̂, seconds", "dL/dt̂, per second", "by the second")
        _pull(right, t, wce_logit_gradient(t, LABEL_S), 1 / (1 + LABEL_S))
        right.set_ylim(-10, 5)
        _frame(right, "predicted watch time t̂, seconds", "dL/dz, per unit of the logit", "by the logit, z = ln t̂")
        left.legend(loc="lower right")
    return Picture(
        "wce-gradient.png",
        f"Weighted cross-entropy: the pull of a row of {LABEL_S:.0f} s",
        f"Gradient of the loss at a label of {LABEL_S:.0f} s over the prediction: steep below the label, flat above",
        f"Too low by {LABEL_S - BELOW:.0f} s pulls {-near / far:.1f} times as hard as too high by "
        f"{ABOVE - LABEL_S:.0f} s; far above, one second more hardly counts. The dashed line is squared error with the "
        "same slope at the label. What reaches the network is the right panel: there too the pull from below grows up "
        f"to w = {LABEL_S:.0f}, and the pull from above stays under 1.",
    )


def _pull(axes: Any, t: Doubles, gradient: Doubles, slope: float) -> None:
    axes.plot(t, (t - LABEL_S) * slope, color=GREY, linestyle="--", label="squared error, scaled")
    axes.plot(t, gradient, color=BLUE, label=f"weighted cross-entropy, w = {LABEL_S:.0f}")
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.axvline(LABEL_S, color=INK, linewidth=0.8, linestyle=":")
    axes.set_xlim(0, RIGHT_S)


def _frame(axes: Any, x: str, y: str, title: str) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title)
