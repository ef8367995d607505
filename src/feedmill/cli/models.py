"""``feedmill models``: which versions there are, which one serves, and who decided so."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from feedmill.cli import show
from feedmill.cli.options import HERE, Dir, workspace
from feedmill.core.errors import ArtifactError
from feedmill.core.workspace import Workspace

models_app = typer.Typer(no_args_is_help=True, help="Published versions: list, promote, roll back, verify, collect.")
Why = Annotated[str, typer.Option("--why", help="For the history.")]


@models_app.command("list")
def list_(folder: Dir = HERE) -> None:
    """Every version, newest first; * marks the one that serves."""
    from feedmill.publish import versions

    table = Table("", "version", "made (UTC)", "events", "split", "NDCG@10 after rank", box=None, header_style="bold")
    for v in versions(workspace(folder).artifacts):
        ndcg = v.about.get("metrics", {}).get("ndcg_10", {}).get("after rank")
        events, split = v.about.get("offset", ""), str(v.about.get("split", ""))
        table.add_row("*" if v.is_current else "", v.version, _time(v.created_ms), str(events), split, str(ndcg or ""))
    show.out.print(table)


@models_app.command()
def promote(
    version: Annotated[str, typer.Argument()],
    folder: Dir = HERE,
    force: Annotated[bool, typer.Option("--force", help="Even if the gate refuses; the history says so.")] = False,
    why: Why = "",
) -> None:
    """Serve this version, if the gate lets it; a running service takes it up by itself."""
    from feedmill.publish import PublishConfig
    from feedmill.publish import promote as run

    at = workspace(folder)
    gate = at.section("publish", PublishConfig).gate
    for reason in run(at.artifacts, version, gate, force=force, who=_who(), why=why):
        typer.echo(f"overruled: {reason}")
    typer.echo(f"promoted {version}")


@models_app.command()
def rollback(
    version: Annotated[str | None, typer.Argument(help="Default: the one before the current one.")] = None,
    folder: Dir = HERE,
    why: Why = "",
) -> None:
    """Serve an earlier version again."""
    from feedmill.publish import rollback as run

    typer.echo(f"rolled back to {run(workspace(folder).artifacts, version, who=_who(), why=why)}")


@models_app.command()
def history(folder: Dir = HERE) -> None:
    """Who made which version serve, when and why."""
    from feedmill.publish import promotions

    table = Table("when (UTC)", "what", "version", "before", "who", "why", box=None, header_style="bold")
    for p in promotions(workspace(folder).artifacts):
        why = "; ".join(filter(None, [p.why, *(f"overruled: {r}" for r in p.refused)]))
        table.add_row(_time(p.time_ms), p.action, p.version, p.before, escape(p.who), escape(why))
    show.out.print(table)


@models_app.command()
def verify(folder: Dir = HERE) -> None:
    """Every file of every version against its manifest."""
    from feedmill.publish import verify as run

    found = run(workspace(folder).artifacts)
    for version, wrong in found.items():
        typer.echo(f"{version}  {wrong or 'sound'}")
    if damaged := [version for version, wrong in found.items() if wrong]:
        fix = "train again, promote another version, or restore the folder from a copy"
        raise ArtifactError(f"{len(damaged)} of {len(found)} versions are damaged", "files as they were written", fix)


@models_app.command()
def gc(
    folder: Dir = HERE,
    keep: Annotated[int | None, typer.Option("--keep", min=0, help="Newest versions; default publish.keep.")] = None,
    pin: Annotated[list[str] | None, typer.Option("--pin", help="A version that stays; may be repeated.")] = None,
) -> None:
    """Remove old versions; the current one, the one before it, canaries and what is being published stay."""
    from feedmill.publish import PublishConfig, collect

    at = workspace(folder)
    n = at.section("publish", PublishConfig).keep if keep is None else keep
    gone = collect(at.artifacts, n, [*(pin or ()), *canaries(at)])
    typer.echo(f"removed {', '.join(gone)}" if gone else "nothing to remove")


def canaries(at: Workspace) -> set[str]:
    """The versions that arms of experiments are served by, or will be."""
    from feedmill.experiments import ExperimentsConfig, store
    from feedmill.log.whole import open_log

    log = open_log(at)
    try:
        return store.restore(at.experiments, log, at.section("experiments", ExperimentsConfig)).versions
    finally:
        log.close()


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name for this user id
        return ""


def _time(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1e3, UTC).strftime("%Y-%m-%d %H:%M")
