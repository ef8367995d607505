"""``feedmill report simulate``: what an audience made of feeds, and where the chain loses watch time."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape

from feedmill.cli import show
from feedmill.cli.charts.page import Lines
from feedmill.cli.simulation import tables
from feedmill.cli.simulation.summary import Simulation, read
from feedmill.core.errors import DataError


def report_simulate(folder: Path, out: Path | None, json: Path | None) -> None:
    """Print the tables; a page of pictures and JSON where asked for.

    Raises:
        DataError: no simulation there, or a folder that cannot be made.
        ConfigError: matplotlib is not installed and --out is given.
    """
    x = read(folder)
    show.out.print(escape(heading(x)))
    for table in (tables.comparison(x), tables.people(x), tables.videos(x)):
        show.out.print()
        show.out.print(table)
    for name, found in x.stages.items():
        show.out.print()
        show.out.print(tables.stages(name, found))
        show.out.print()
        show.out.print(tables.channels(name, x.channels[name]))
    if x.experiment is not None:
        show.out.print()
        for line in tables.experiment(x.experiment):
            show.out.print(escape(line))
    if out is not None:
        from feedmill.cli.charts.simulate import page

        _folder(out)
        rows = [tables.compared(p) for p in x.policies]
        n = page(x, f"{heading(x)}.", Lines(("policy", *tables.COMPARISON), rows), out)
        show.out.print(f"\nwrote {out / 'index.html'} and {n} pictures")
    if json is not None:
        json.write_bytes((folder / "simulation.json").read_bytes())


def heading(x: Simulation) -> str:
    """What was simulated."""
    days = f"{x.n_days} day{'s' * (x.n_days > 1)}"
    return f"{x.users:,} people and {x.videos:,} videos on the first day, {days}, slates of {x.slate}, seed {x.seed}"


def _folder(out: Path) -> None:
    from feedmill.cli.charts import canvas

    canvas.pyplot()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise DataError(f"--out {out}: {e.strerror}", "a folder for the page and its pictures") from e
