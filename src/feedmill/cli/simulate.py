"""``feedmill simulate``: an audience whose tastes are known lives with one feed after another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from feedmill.cli import show
from feedmill.cli.options import Json, writable
from feedmill.core.errors import ConfigError, DataError

if TYPE_CHECKING:
    from feedmill.cli.simulation.run import Plan

SIMULATION = Path("simulation")
DEFAULT = ("chance", "popular", "itemcf", "fast")
Folder = Annotated[Path, typer.Option("--dir", "-d", help="The folder of the simulation.")]


def simulate(
    folder: Folder = SIMULATION,
    days: Annotated[int, typer.Option(min=1, max=3650, help="Days that the audience lives with each feed.")] = 7,
    users: Annotated[int, typer.Option(min=1, help="People on the first day.")] = 1000,
    videos: Annotated[int, typer.Option(min=1, help="Videos on the first day.")] = 2000,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            "--policy", "-p",
            help="chance, popular, itemcf, fast, chain, the address of a service, or with settings: "
            "fast:explore_slots=1. May be repeated; the oracle runs beside them.",
        ),
    ] = None,
    treatment: Annotated[
        list[str] | None,
        typer.Option("--treatment", "-t", help="PATH=VALUE: an experiment of the only --policy with this setting."),
    ] = None,
    ablation: Annotated[
        bool, typer.Option("--ablation", help="Also the chain without each of its parts: each learns anew.")
    ] = False,
    slate: Annotated[int, typer.Option(min=1, max=100, help="Videos of a slate.")] = 10,
    views: Annotated[float, typer.Option(min=1, help="Videos a day and person; the real figure is 425.")] = 30.0,
    settings: Annotated[
        list[str] | None, typer.Option("--set", "-s", help="A parameter of the world: -s taste.drift_share=0.5")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the world and of all chance in it.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="200 people, 500 videos, 3 days.")] = False,
    json: Json = None,
) -> None:  # fmt: skip
    """Let an audience whose tastes are known live with feeds, and compare what it watched.

    Same people, same videos, same luck for every feed. Without options: four simple feeds and the oracle, in about two
    minutes. Ctrl-C keeps the days that are over.
    """
    from feedmill.cli.simulation import run, tables
    from feedmill.cli.simulation.summary import write

    writable(json)
    size = (3, 200, 500) if quick else (days, users, videos)
    named = policy or (["chain"] if ablation else list(DEFAULT))
    plan = planned(folder, size, named, treatment or [], settings or [], (views, slate, seed), ablation=ablation)
    show.out.print(f"{size[1]:,} people, {size[2]:,} videos, {views:g} views a day each, {size[0]} days, seed {seed}")
    runs = run.Runs(plan)
    for told in runs:
        show.out.print()
        show.out.print(tables.by_day(told))
        write(runs.so_far(), folder)
    found = runs.so_far()
    if not found.policies:
        show.out.print("stopped before the first day was over: there is nothing to keep")
        raise typer.Exit(130)
    write(found, folder)
    show.out.print()
    show.out.print(tables.ending(found))
    if json is not None:
        json.write_bytes((folder / "simulation.json").read_bytes())
    show.out.print(f"\n[dim]next: feedmill report simulate --dir {folder} --out {folder / 'report'}[/]")
    if runs.stopped:
        show.out.print("stopped: what was over by then is above, and kept")
        raise typer.Exit(130)


def planned(
    folder: Path, size: tuple[int, int, int], policies: list[str], treatment: list[str], settings: list[str],
    other: tuple[float, int, int], *, ablation: bool = False,
) -> Plan:  # fmt: skip
    """What is to be run, checked before anything is.

    Args:
        size: days, people, videos.
        other: views a day, videos of a slate, seed.
        ablation: the chains without each of their parts, too.

    Raises:
        ConfigError: a policy, a setting or a treatment that there is not.
        DataError: a service that does not answer, a folder that cannot be made.
    """
    from feedmill.cli.simulation import policies as feeds
    from feedmill.cli.simulation.run import Plan
    from feedmill.core.config import convert, override
    from feedmill.sim.config import WorldConfig

    n_days, n_users, n_videos = size
    views, slate, seed = other
    given: dict[str, Any] = {"n_users": n_users, "n_videos": n_videos, "views_per_day": views}
    world = convert(override(given, _pairs(settings, "--set")), WorldConfig, "world")
    parsed = [feeds.parse(text) for text in dict.fromkeys(policies)]
    if ablation:
        parsed = [x for p in parsed for x in (p, *(feeds.ablated(p) if p.kind == "chain" else []))]
    changes = _pairs(treatment, "--treatment")
    if changes:
        if len(parsed) != 1:
            raise ConfigError(f"--treatment with {len(parsed)} policies", "one policy that it changes",
                              "for example -p fast -t explore_slots=2")  # fmt: skip
        feeds.check(parsed[0].changed(changes))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise DataError(f"--dir {folder}: {e.strerror}", "a folder to keep the simulation in") from None
    return Plan(world, parsed, changes, n_days, slate, seed, folder)


def _pairs(texts: list[str], of: str) -> dict[str, Any]:
    from feedmill.cli.simulation.policies import pairs

    out: dict[str, Any] = {}
    for text in texts:
        out |= pairs(text, of)
    return out
