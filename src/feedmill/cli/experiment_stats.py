"""``feedmill experiment power`` and ``aa``: what an experiment on this log's users could tell, before there is one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from feedmill.cli import show
from feedmill.cli.options import HERE, Dir, Json, Set, workspace, writable
from feedmill.core.errors import DataError

if TYPE_CHECKING:
    from feedmill.experiments.analysis.aa import Rate
    from feedmill.experiments.analysis.power import Prospect

Metrics = Annotated[
    list[str] | None, typer.Option("--metric", "-m", help="A measure per user, such as time_per_user; may be repeated.")
]
Days = Annotated[int, typer.Option(min=1, help="How long an experiment lasts: the log's last whole days are read.")]


def power(
    folder: Dir = HERE,
    settings: Set = None,
    metric: Metrics = None,
    days: Days = 14,
    effect: Annotated[float, typer.Option(help="Relative: 0.02 is +2 %.")] = 0.02,
    absolute: Annotated[float | None, typer.Option(help="Instead: in units of the metric.")] = None,
    alpha: Annotated[float, typer.Option(min=1e-6, max=0.5, help="False positives that are accepted.")] = 0.05,
    chance: Annotated[float, typer.Option("--power", min=0.05, max=0.999, help="To find the effect.")] = 0.8,
    share: Annotated[float, typer.Option(min=0.001, max=0.999, help="Of all users, in the arm.")] = 0.5,
    control: Annotated[float, typer.Option(min=0.001, max=0.999, help="Of all users, in the control.")] = 0.5,
    json: Json = None,
) -> None:
    """What an experiment could tell: users needed for an effect, and the least effect found with those there are."""
    from feedmill.cli.reports.experiment import opened
    from feedmill.experiments.analysis.everyone import Everyone
    from feedmill.experiments.analysis.experiment import north_stars
    from feedmill.experiments.analysis.power import Design, prospect

    writable(json)
    if share + control > 1 + 1e-9:
        raise DataError(f"shares {share:g} and {control:g}", "1 together, at most", "lower one of them")
    design = Design(alpha=alpha, power=chance, share=share, share_control=control)
    plans: dict[str, Prospect] = {}
    notes = []
    with opened(workspace(folder, settings)) as (_, rollup, _):
        users = Everyone(rollup, days)
    for name in metric or north_stars():
        try:
            plans[name] = prospect(users.units(name), design, effect, absolute)
        except DataError as error:
            notes.append(f"{name}: {error.given}")
    wanted = f"{absolute:+g}" if absolute is not None else f"{effect:+.3g} of the value"
    title = (
        f"{len(users):,} users from {users.first} to {users.last}; effect {wanted}, alpha {alpha:g}, power {chance:g}"
    )
    _print_plans(title, plans, notes)
    if json is not None:
        Path(json).write_bytes(msgspec.json.format(msgspec.json.encode(plans), indent=1) + b"\n")


def aa(
    folder: Dir = HERE,
    settings: Set = None,
    metric: Metrics = None,
    days: Days = 14,
    splits: Annotated[int, typer.Option(min=100, help="How often users are split.")] = 5000,
    share: Annotated[float, typer.Option(min=0.01, max=0.99, help="Of the users, in the arm.")] = 0.5,
    seed: Annotated[int, typer.Option(help="Of the splits.")] = 0,
    json: Json = None,
) -> None:
    """A/A tests: split this log's users at random again and again; 5 % of the splits should look different."""
    from feedmill.cli.reports.experiment import opened
    from feedmill.core.progress import progress
    from feedmill.experiments.analysis.aa import Splits, false_positives
    from feedmill.experiments.analysis.everyone import Everyone
    from feedmill.experiments.analysis.experiment import north_stars

    writable(json)
    rates: dict[str, Rate] = {}
    notes = []
    names = metric or north_stars()
    with opened(workspace(folder, settings)) as (_, rollup, _):
        users = Everyone(rollup, days)
    with progress("A/A tests", total=splits * len(names)) as advance:
        for name in names:
            try:
                rates |= false_positives({name: users.units(name)}, Splits(splits, share, seed), advance=advance)
            except DataError as error:
                notes.append(f"{name}: {error.given}")
    _print_rates(f"{len(users):,} users from {users.first} to {users.last}, {splits:,} splits", rates, notes)
    if json is not None:
        Path(json).write_bytes(msgspec.json.format(msgspec.json.encode(rates), indent=1) + b"\n")


def _print_plans(title: str, plans: dict[str, Prospect], notes: list[str]) -> None:
    table = _table(title, ("metric", "value", "CUPED", "users needed", "least effect", "power"))
    for name, x in plans.items():
        cut = f"{x.baseline.cut:.0%}" if x.baseline.cut > 0 else "-"
        is_any = math.isfinite(x.least_effect) and x.baseline.value
        least = f"{x.least_effect:.3g} ({x.least_effect / x.baseline.value:.1%})" if is_any else "none"
        table.add_row(name, f"{x.baseline.value:.4g}", cut, f"{x.users:,}", least, f"{x.power:.0%}")
    _say(table, notes)


def _print_rates(title: str, rates: dict[str, Rate], notes: list[str]) -> None:
    table = _table(title, ("metric", "told apart", "95 %", ""))
    for name, x in rates.items():
        verdict = "as it should be" if x.low <= 0.05 <= x.high else "too often" if x.low > 0.05 else "too seldom"
        table.add_row(name, f"{x.share:.2%}", escape(f"[{x.low:.2%}, {x.high:.2%}]"), verdict)
    _say(table, notes)


def _table(title: str, columns: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left", title_style="", box=None, header_style="bold", padding=(0, 1))
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if not place or not column else "right", no_wrap=True)
    return table


def _say(table: Table, notes: list[str]) -> None:
    show.out.print(table)
    for note in notes:
        show.out.print(f"[dim]{escape(note)}[/]")
