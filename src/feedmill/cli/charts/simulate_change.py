"""What a change of a feed does: an experiment beside its truth, variants of a feed, what each stage loses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from feedmill.cli.charts import canvas
from feedmill.cli.charts.canvas import BLUE, GREEN, GREY, INK, ORANGE, PALE, VERMILLION
from feedmill.cli.charts.page import Picture
from feedmill.cli.simulation.summary import Policy, Simulation, Stage


def experiment(simulation: Simulation, folder: Path) -> list[Picture]:
    """The change day by day with its interval, and the true one; nothing without an experiment."""
    x = simulation.experiment
    if x is None:
        return []
    looks = [look for look in x.looks if look.change.value is not None]
    with canvas.canvas(folder / "experiment.png", height=3.8) as grid:
        axes = grid[0, 0]
        days = [look.day + 1 for look in looks]
        low, high = ([100 * (getattr(look.change, side) or 0) for look in looks] for side in ("low", "high"))
        axes.fill_between(days, low, high, color=PALE, linewidth=0, label="95 % interval")
        change = [100 * (look.change.value or 0) for look in looks]
        axes.plot(days, change, color=BLUE, marker="o", markersize=4, label="estimate so far")
        axes.axhline(0, color=INK, linewidth=1)
        if x.truth is not None:
            axes.axhline(100 * x.truth, color=VERMILLION, linestyle=(0, (4, 2)), label="true change")
        axes.yaxis.set_major_formatter(_signed)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel("up to day")
        axes.set_title("Change of watch time per person, treatment against control")
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    truth = "" if x.truth is None else f" The true change is {x.truth:+.1%}: each arm alone with the whole audience."
    caption = (
        f"{x.policy} with {told(x.treatment)}, on {x.people.get('treatment', 0):,} of "
        f"{sum(x.people.values()):,} people: {x.change.interval()}.{truth}"
    )
    alt = "Relative change of watch time by day with its interval, beside the true change"
    return [Picture("experiment.png", "The experiment", alt, caption)]


def variants(simulation: Simulation, folder: Path) -> list[Picture]:
    """What a part or a setting is worth: variants of a feed beside that feed; nothing without variants."""
    found = [p for p in simulation.policies if p.more.value is not None and is_variant(p)][::-1]
    if not found:
        return []
    with canvas.canvas(folder / "variants.png", height=1.3 + 0.36 * len(found)) as grid:
        axes = grid[0, 0]
        for y, p in enumerate(found):
            x = p.more
            low, high = 100 * (x.low or 0), 100 * (x.high or 0)
            colour = VERMILLION if high < 0 else GREEN if low > 0 else GREY
            axes.plot([low, high], [y, y], color=colour, linewidth=4, solid_capstyle="butt")
            axes.plot(100 * (x.value or 0), y, "o", color="white", markeredgecolor=colour, markersize=6)
        axes.axvline(0, color=INK, linewidth=1)
        axes.set_yticks(range(len(found)), [p.name for p in found])
        axes.set_ylim(-0.7, len(found) - 0.3)
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_formatter(_signed)
        axes.set_title(f"Watch time of the same people, against {found[-1].beside}")
    worst = min(found, key=lambda p: p.more.value or 0)
    caption = (
        f"From day {simulation.settled + 1} on, 95 % intervals over people; grey is not told apart from 0. "
        f"Most is lost by {worst.name}: {signed(worst.more.value)}."
    )
    return [Picture("variants.png", "Variants", "Change of watch time by each variant with its interval", caption)]


def is_variant(p: Policy) -> bool:
    """Whether it is compared with a feed of its own kind: ``chain, no itemcf`` with ``chain``."""
    kinds = [re.split("[:, ]", name)[0] for name in (p.name, p.beside)]
    return kinds[0] == kinds[1]


def stages(simulation: Simulation, folder: Path) -> list[Picture]:
    """The best slate that is still possible after each stage of a chain, and what its channels bring, to the oracle's;
    nothing without a chain."""
    name = next((name for name, found in simulation.stages.items() if found), None)
    if name is None:
        return []
    found, channels = simulation.stages[name], simulation.channels.get(name, [])
    with canvas.canvas(folder / "stages.png", 2, 1, height=1.4 + 0.42 * len(found), width_ratios=[1.5, 1]) as grid:
        left, right = grid[0]
        _steps(left, found)
        left.set_title("Best slate still possible after each stage")
        for y, x in enumerate(channels[::-1]):
            right.plot([x.alone or 0, x.without or 0], [y, y], color=PALE, linewidth=2, zorder=1)
            right.plot(x.alone or 0, y, "o", color=BLUE, markersize=7, label="from it alone" if not y else None)
            right.plot(x.without or 0, y, "s", color=ORANGE, markersize=7, label="without it" if not y else None)
        right.set_yticks(range(len(channels)), [x.name for x in channels[::-1]])
        right.set_ylim(-0.7, len(channels) - 0.3)
        right.set_xlim(0, 1.05)
        right.grid(visible=False, axis="y")
        right.xaxis.set_major_formatter(_whole)
        right.set_title("Best slate of channels")
        if channels:
            right.figure.legend(*right.get_legend_handles_labels(), loc="outside lower right", ncols=2)
    stage, lost = _worst(found)
    alt = "Watch time of the best slate from what is left after each stage, and of each channel, to the oracle's"
    caption = (
        f"{name}, share of the watch time of the oracle's slates for the same people at the same moments. Most is lost "
        f"by {stage}: {lost:.1%}. Red is what a stage gives away; green is what a better order brings back. "
        "Right: a channel whose squares stand far to the right can be spared."
    )
    return [Picture("stages.png", "What each stage loses", alt, caption)]


def told(settings: dict[str, object]) -> str:
    """Overrides in words."""
    return ", ".join(f"{path} = {value}" for path, value in settings.items())


def signed(x: float | None) -> str:
    """A change."""
    return "-" if x is None else f"{x:+.1%}"


def _steps(axes: Any, found: list[Stage]) -> None:
    before = 1.0
    for y, stage in zip(range(len(found) - 1, -1, -1), found, strict=True):
        left = stage.left or 0.0
        axes.barh(y, min(left, before), color=BLUE, height=0.62)
        axes.barh(y, abs(before - left), left=min(left, before), color=VERMILLION if left < before else GREEN,
                  height=0.62)  # fmt: skip
        axes.text(1.02, y, f"{100 * left:.1f} %", va="center", fontsize=9.5)
        before = left
    axes.set_yticks(range(len(found)), [s.name for s in found[::-1]])
    axes.set_xlim(0, 1.16)
    axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1])
    axes.xaxis.set_major_formatter(_whole)
    axes.grid(visible=False, axis="y")


def _whole(x: float, _: int = 0) -> str:
    return f"{100 * x:.0f} %"


def _signed(x: float, _: int = 0) -> str:
    return f"{x:+.3g} %" if x else "0"


def _worst(found: list[Stage]) -> tuple[str, float]:
    before, worst = 1.0, ("nothing", 0.0)
    for stage in found:
        left = stage.left or 0.0
        if before - left > worst[1]:
            worst = (stage.name, before - left)
        before = left
    return worst
