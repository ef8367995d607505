"""How a simulation looks in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Group
from rich.markup import escape
from rich.table import Table

from feedmill.cli.simulation.summary import Channel, Day, Experiment, Figure, Policy, Simulation, Stage

MOST_DAYS = 8  # columns
ORACLE = "oracle"


def by_day(policy: Policy) -> Table:
    """Days as columns: people, minutes, share of the oracle, new videos. Of many days, some, the last among them."""
    table = Table(box=None, header_style="bold", padding=(0, 1), title=None)
    table.add_column(escape(policy.name), style="", header_style="bold", min_width=22, no_wrap=True)
    days = some(policy.days)
    for day in days:
        table.add_column(f"day {day.day + 1}", justify="right", no_wrap=True)
    lines: list[tuple[str, Callable[[Day], str]]] = [
        ("people who came", lambda d: f"{d.people:,}"),
        ("minutes each", lambda d: short(d.minutes)),
        ("of the oracle's", lambda d: share(d.share.value)),
        ("  at the same moment", lambda d: share(d.now.value)),
        ("views of new videos", lambda d: share(d.new_share)),
    ]
    if policy.name == ORACLE:
        del lines[2:4]
    for words, cell in lines:
        table.add_row(words, *(cell(day) for day in days))
    return table


def some(days: Sequence[Day]) -> list[Day]:
    """At most ``MOST_DAYS`` of them, evenly, the first and the last among them."""
    n = len(days)
    if n <= MOST_DAYS:
        return list(days)
    return [days[round(k * (n - 1) / (MOST_DAYS - 1))] for k in range(MOST_DAYS)]


def comparison(x: Simulation) -> Table:
    """A line for each policy, on the settled days."""
    title = f"{settled(x)}, ± half a 95 % interval over people"
    table = Table(title=title, title_justify="left", title_style="", box=None, header_style="bold", padding=(0, 1))
    for column in ("", *COMPARISON):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for p in x.policies:
        table.add_row(*(escape(cell) for cell in compared(p)))
    return table


def settled(x: Simulation) -> str:
    """The days that count, from 1."""
    first = min(x.settled, x.n_days - 1) + 1
    return f"days {first} to {x.n_days}" if first < x.n_days else f"day {first}"


COMPARISON = ("minutes a day", "of the oracle's", "at the moment", "more than", "")


def compared(p: Policy) -> tuple[str, ...]:
    """The cells of ``comparison``."""
    oracle = p.name == ORACLE
    shares = ("", "") if oracle else (p.share.percent(), p.now.percent())
    more = ("", "") if p.more.value is None or oracle else (p.more.change(), p.beside)
    return p.name, str(p.minutes), *shares, *more


def people(x: Simulation) -> Table:
    """Who comes, comes again, and what newcomers meet."""
    columns = ("day 1", f"day {x.n_days}", "come next day", "newcomers", "first day, s", "others")
    table = Table("people", box=None, header_style="bold", padding=(0, 1))
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for p in x.policies:
        first, last = (f"{p.days[k].people:,}" for k in (0, -1))
        again = (p.retention[0].percent() if p.retention else "-", p.first_day.again.percent())
        table.add_row(escape(p.name), first, last, *map(escape, again), *map(
            escape, (str(p.first_day.view_s), short(p.first_day.view_s_others.value))))  # fmt: skip
    return table


def videos(x: Simulation) -> Table:
    """What is shown, and how new videos fare."""
    columns = ("topics apart", "seen", "Gini", "new", "100 in 2 days", "unseen", "half")
    table = Table("videos", box=None, header_style="bold", padding=(0, 1))
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for p in x.policies:
        new = [d.new_share for d in p.days[x.settled :] if d.new_share is not None]
        half = p.new_videos.median_hours
        cells = (
            share(p.shown.topics_apart.value), share(p.shown.coverage), short(p.shown.gini),
            share(sum(new) / len(new) if new else None), p.new_videos.enough.percent(),
            share(p.new_videos.unseen.value), "-" if half is None else f"{half:.0f} h",
        )  # fmt: skip
        table.add_row(escape(p.name), *map(escape, cells))
    return table


def stages(name: str, found: Sequence[Stage]) -> Table:
    """What can still be reached after each stage."""
    table = Table(f"{escape(name)}, after", box=None, header_style="bold", padding=(0, 1))
    for column in ("best slate left, of the oracle's", "lost here"):
        table.add_column(column, justify="right", no_wrap=True)
    before = 1.0
    for stage in found:
        left = stage.left if stage.left is not None else 0.0
        lost = before - left
        table.add_row(escape(stage.name), share(left), share(lost if abs(lost) >= 0.0005 else 0.0))
        before = left
    return table


def channels(name: str, found: Sequence[Channel]) -> Table:
    """What each channel brings, and what the others would do without it."""
    table = Table(f"{escape(name)}, best slate", box=None, header_style="bold", padding=(0, 1))
    for column in ("from it alone", "without it"):
        table.add_column(column, justify="right", no_wrap=True)
    for x in found:
        table.add_row(escape(x.name), share(x.alone), share(x.without))
    return table


def ending(x: Simulation) -> Group:
    """What the command ends with: the policies side by side, and the experiment if there was one."""
    return Group(comparison(x), *map(escape, experiment(x.experiment) if x.experiment else []))


def experiment(x: Experiment) -> list[str]:
    """In sentences."""
    sets = ", ".join(f"{path} = {value}" for path, value in x.treatment.items())
    n = f"{x.people['treatment']:,} people against {x.people['control']:,}"
    out = [f"experiment: {x.policy} with {sets}; {n}"]
    cuped = f", {x.cut:.0%} of the variance taken off by the {x.warm_up} days before" if x.cut else ""
    out.append(f"  measured, both at once: {x.change.interval()} watch time per person, p = {x.p:.2g}{cuped}")
    if x.truth is not None:
        low, high = x.change.low, x.change.high
        inside = low is not None and high is not None and low <= x.truth <= high
        where = "inside the interval" if inside else "outside the interval"
        out.append(f"  true, each alone with everybody: {x.truth:+.1%}, {where}")
    return out


def share(x: Figure) -> str:
    """A share."""
    return "-" if x is None else f"{x:.1%}"


def short(x: Figure) -> str:
    """A number."""
    return "-" if x is None else f"{x:.3g}"
