"""``feedmill models``: which versions there are and which one serves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from feedmill.cli import show
from feedmill.cli.options import HERE, Dir, workspace

models_app = typer.Typer(no_args_is_help=True, help="Published versions: list, promote, roll back.")


@models_app.command("list")
def list_(folder: Dir = HERE) -> None:
    """Every version, newest first; * marks the one that serves."""
    from feedmill.publish import versions

    table = Table("", "version", "made (UTC)", "split", "NDCG@10 after rank", box=None, header_style="bold")
    for v in versions(workspace(folder).artifacts):
        made = datetime.fromtimestamp(v.created_ms / 1e3, UTC).strftime("%Y-%m-%d %H:%M")
        ndcg = v.about.get("metrics", {}).get("ndcg_10", {}).get("after rank")
        table.add_row("*" if v.is_current else "", v.version, made, str(v.about.get("split", "")), str(ndcg or ""))
    show.out.print(table)


@models_app.command()
def promote(version: Annotated[str, typer.Argument()], folder: Dir = HERE) -> None:
    """Serve this version; a running service takes it up by itself."""
    from feedmill.publish import promote as run

    run(workspace(folder).artifacts, version)
    typer.echo(f"promoted {version}")


@models_app.command()
def rollback(folder: Dir = HERE) -> None:
    """Serve the version before the current one again."""
    from feedmill.publish import rollback as run

    typer.echo(f"rolled back to {run(workspace(folder).artifacts)}")
