"""The pictures of a simulation: watch time beside the oracle's, who comes and comes again, what is shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import msgspec

from feedmill.cli.charts import canvas, simulate_change
from feedmill.cli.charts.canvas import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, SKY, VERMILLION
from feedmill.cli.charts.page import Lines, Picture, write
from feedmill.cli.simulation.summary import Figure, Policy, Simulation

KNOWN = {"oracle": INK, "chain": BLUE, "fast": GREEN, "itemcf": ORANGE, "popular": PURPLE, "chance": GREY}
OTHERS = (SKY, VERMILLION, BLUE, GREEN, ORANGE, PURPLE)
NAN = float("nan")
MOST, LONGEST = 7, 22  # lines of a picture, letters of a name beside an axis
Colours = Mapping[str, str]


def page(simulation: Simulation, of: str, table: Lines, folder: Path) -> int:
    """Write index.html and its pictures; how many of these.

    Args:
        of: a sentence on what was simulated.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    few = msgspec.structs.replace(simulation, policies=drawn(simulation.policies))
    colours = colours_of(p.name for p in few.policies)
    pictures = [
        *([watch_time(few, colours, folder)] if few.policies else []),
        *simulate_change.experiment(simulation, folder),
        *simulate_change.stages(simulation, folder),
        *simulate_change.variants(simulation, folder),
        *([audience(few, colours, folder), shown(few, colours, folder)] if few.policies else []),
        *new_videos(few, colours, folder),
    ]
    write(folder / "index.html", "A simulated audience", of, table, pictures)
    return len(pictures)


def drawn(policies: Sequence[Policy]) -> list[Policy]:
    """All of them; of many, only those that are no variants of another: these have a picture of their own."""
    whole = list(policies)
    return whole if len(whole) <= MOST else [p for p in whole if not simulate_change.is_variant(p)][:MOST]


def colours_of(names: Iterable[str]) -> dict[str, str]:
    """A colour for each policy, the same in every picture and run; what the name says before a colon decides."""
    out: dict[str, str] = {}
    others = cycle(OTHERS)
    for name in names:
        own = KNOWN.get(name)
        if own is None or own in out.values():
            own = next((c for c in OTHERS if c not in out.values()), None) or next(others)
        out[name] = own
    return out


def watch_time(simulation: Simulation, colours: Colours, folder: Path) -> Picture:
    """Share of the oracle's watch time by day, and minutes per person on the settled days."""
    ours = [p for p in simulation.policies if p.name != "oracle"] or simulation.policies
    with canvas.canvas(folder / "watch-time.png", 2, 1, 4.4, width_ratios=[1.7, 1]) as grid:
        left, right = grid[0]
        for p in ours:
            _band(left, p, colours[p.name])
        top = max((d.share.high or d.share.value or 0 for p in ours for d in p.days), default=1)
        left.axhline(1, color=INK, linewidth=1.2, linestyle=(0, (4, 2)))
        left.annotate("the oracle", (0.01, 1), (0, 4), xycoords=("axes fraction", "data"), textcoords="offset points")
        left.set_ylim(0, max(1.1, 1.05 * top))
        left.yaxis.set_major_formatter(percent)
        left.set_title("Watch time of everybody, to the oracle's on the same day")
        _days(left, simulation.n_days)
        _legend(left)
        _bars(right, simulation.policies, colours)
        right.set_title(f"Minutes a day, from day {simulation.settled + 1}")
    return Picture(
        "watch-time.png",
        "Watch time",
        "Share of the oracle's watch time by day, and minutes per person and day, for each policy",
        f"{_order(simulation)} Bands and bars are 95 % intervals over people. The oracle knows what everybody would "
        "watch of everything and fills the slate by it; it is no upper bound of later days, as it does not plan.",
    )


def audience(simulation: Simulation, colours: Colours, folder: Path) -> Picture:
    """People a day, who of them comes again, and seconds of a view on the first day."""
    with canvas.canvas(folder / "audience.png", 3, 1, 4.2) as grid:
        came, again, first = grid[0]
        for p in simulation.policies:
            look = _look(p, colours)
            came.plot([d.day + 1 for d in p.days], [d.people for d in p.days], **look)
            again.plot(range(1, len(p.retention) + 1), _known([x.value for x in p.retention]), **look)
        came.set_title("People who came")
        came.set_ylim(0, 1.05 * max(d.people for p in simulation.policies for d in p.days))
        came.yaxis.set_major_formatter("{x:,.0f}")
        _days(came, simulation.n_days)
        again.set_title("Come again so many days later")
        again.set_ylim(0, 1)
        again.set_xlabel("days")
        again.yaxis.set_major_formatter(percent)
        again.xaxis.get_major_locator().set_params(integer=True)
        _first_day(first, simulation.policies)
        _legend(came)
    return Picture(
        "audience.png",
        "Who comes, and comes again",
        "People by day, retention, and expected seconds of a view of newcomers and others, for each policy",
        "People come back, or leave for good, by how much they liked what they saw. Right: expected seconds of a "
        "view of newcomers on their first day (filled, 95 %) and of all others on the same days (hollow). What lies "
        "between is what the policy does not know yet of a person, or what newcomers are like.",
    )


def shown(simulation: Simulation, colours: Colours, folder: Path) -> Picture:
    """How far topics of a slate are apart, how evenly videos are seen, and how old they are."""
    with canvas.canvas(folder / "shown.png", 3, 1, 4.2) as grid:
        topics, even, ages = grid[0]
        for y, p in enumerate(simulation.policies[::-1]):
            x = p.shown.topics_apart
            if x.value is not None and x.low is not None and x.high is not None:
                topics.plot([x.low, x.high], [y, y], color=colours[p.name], linewidth=4, solid_capstyle="butt")
                topics.plot(x.value, y, "o", color=colours[p.name], markersize=7)
            if p.shown.coverage is not None and p.shown.gini is not None:
                even.plot(p.shown.coverage, p.shown.gini, "o", color=colours[p.name], markersize=8)
        for p in simulation.policies:
            ages.plot(range(len(p.shown.by_age) - 1), p.shown.by_age[:-1], **_look(p, colours))
        _names(topics, simulation.policies)
        topics.xaxis.set_major_formatter(percent)
        topics.set_title("Topics apart, pairs of a slate")
        even.set_xlim(0, 1.05)
        even.set_ylim(0, 1.05)
        even.xaxis.set_major_formatter(percent)
        even.set_title("Gini of views over videos")
        even.set_xlabel("share of videos seen at all")
        ages.set_title("Views by age of the video")
        ages.set_xlabel("days since it was published")
        ages.set_ylim(bottom=0)
        ages.yaxis.set_major_formatter(percent)
        _legend(ages)
    return Picture(
        "shown.png",
        "What is shown",
        "Topic diversity of slates, coverage and Gini index, views by age of the video, for each policy",
        "Left: 1 - the share of topics that two videos of a slate have in common. Middle: to the right more of the "
        "catalogue is seen at all, "
        "further down views are shared out more evenly. Right: what is older than the axis has the rest.",
    )


def new_videos(simulation: Simulation, colours: Colours, folder: Path) -> list[Picture]:
    """The share of new videos that have had 100 views by their age; nothing where none came."""
    ours = [p for p in simulation.policies if p.new_videos.videos]
    if not ours:
        return []
    with canvas.canvas(folder / "new-videos.png", 2, 1, 4.2, width_ratios=[1.7, 1]) as grid:
        left, right = grid[0]
        for p in ours:
            days = [h / 24 for h in p.new_videos.hours]
            left.step(days, p.new_videos.reached, where="post", **_look(p, colours, marked=False))
        left.set_title("New videos that have had 100 views, by age")
        left.set_ylim(0, max(0.02, 1.1 * max(x for p in ours for x in p.new_videos.reached)))
        left.set_xlim(left=0)
        left.set_xlabel("days since it was published")
        left.yaxis.set_major_formatter(percent)
        _legend(left)
        unseen = [p.new_videos.unseen.value or 0 for p in ours[::-1]]
        right.barh(range(len(ours)), unseen, color=[colours[p.name] for p in ours[::-1]], height=0.6)
        _names(right, ours)
        right.set_xlim(0, 1)
        right.xaxis.set_major_formatter(percent)
        right.set_title("Nobody saw in two days")
    return [
        Picture(
            "new-videos.png",
            "New videos",
            "Share of new videos with 100 views by age, and share that nobody saw in two days, for each policy",
            f"Of {max(p.new_videos.videos for p in ours):,} videos that were published meanwhile. Those that "
            "were still waiting at the end count as long as they were watched (Kaplan and Meier).",
        )
    ]


def percent(x: float, _: int = 0) -> str:
    """Of an axis."""
    return f"{100 * x:.3g} %"


def _band(axes: Any, p: Policy, colour: str) -> None:
    days = [d.day + 1 for d in p.days]
    low, high = _known([d.share.low for d in p.days]), _known([d.share.high for d in p.days])
    axes.fill_between(days, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.plot(days, _known([d.share.value for d in p.days]), **_look(p, {p.name: colour}))


def _bars(axes: Any, policies: Sequence[Policy], colours: Colours) -> None:
    for y, p in enumerate(policies[::-1]):
        x = p.minutes
        if x.value is None:
            continue
        axes.barh(y, x.value, color=colours[p.name], height=0.6)
        if x.low is not None and x.high is not None:
            axes.plot([x.low, x.high], [y, y], color=INK, linewidth=1.4)
        words = f"{x.value:.3g}"
        axes.annotate(words, (x.high or x.value, y), (5, 0), textcoords="offset points", va="center", fontsize=9.5)
    _names(axes, policies)
    axes.margins(x=0.14)


def _first_day(axes: Any, policies: Sequence[Policy]) -> None:
    for y, p in enumerate(policies[::-1]):
        new, others = p.first_day.view_s, p.first_day.view_s_others
        if new.value is None or others.value is None:
            continue
        axes.plot([new.value, others.value], [y, y], color=GREY, linewidth=1.4, zorder=1)
        if new.low is not None and new.high is not None:
            axes.plot([new.low, new.high], [y, y], color=BLUE, linewidth=4, alpha=0.35, solid_capstyle="butt")
        axes.plot(others.value, y, "o", markerfacecolor="white", markeredgecolor=BLUE, markersize=7)
        axes.plot(new.value, y, "o", color=BLUE, markersize=7)
    _names(axes, policies)
    axes.set_xlim(left=0)
    axes.set_xlabel("seconds")
    axes.set_title("Per view, first day and others")


def _names(axes: Any, policies: Sequence[Policy]) -> None:
    """Of the policies, from top to bottom."""
    names = [p.name if len(p.name) <= LONGEST else f"{p.name[: LONGEST - 1]}…" for p in policies[::-1]]
    axes.set_yticks(range(len(policies)), names)
    axes.set_ylim(-0.7, len(policies) - 0.3)
    axes.grid(visible=False, axis="y")


def _look(p: Policy, colours: Colours, *, marked: bool = True) -> dict[str, Any]:
    dash = (0, (4, 2)) if p.name == "oracle" else "-"
    mark = "o" if marked and len(p.days) < 16 else None
    return {"color": colours[p.name], "label": p.name, "linestyle": dash, "marker": mark, "markersize": 3.5}


def _legend(axes: Any) -> None:
    """Of one panel, for all: a line under the picture."""
    axes.figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left", ncols=6)


def _known(values: Sequence[Figure]) -> list[float]:
    return [NAN if v is None else v for v in values]


def _days(axes: Any, n: int) -> None:
    axes.set_xlabel("day")
    axes.set_xlim(1 - 0.03 * n, n + 0.03 * n)
    axes.xaxis.get_major_locator().set_params(integer=True, nbins=8)


def _order(simulation: Simulation) -> str:
    known = [p for p in simulation.policies if p.share.value is not None and p.name != "oracle"]
    if not known:
        return ""
    said = ", ".join(f"{p.name} {p.share.percent()}" for p in sorted(known, key=lambda p: p.share.value or 0))
    return f"Of the oracle's watch time from day {simulation.settled + 1} on: {said}."
