"""``feedmill keys``: who may ask a service for what."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from feedmill.cli import show
from feedmill.cli.options import HERE, Dir, workspace
from feedmill.core.clock import WallClock
from feedmill.core.errors import ConfigError
from feedmill.core.progress import console
from feedmill.serve.config import ServeConfig
from feedmill.serve.keys import ROLES, stored
from feedmill.serve.keys import create as make
from feedmill.serve.keys import revoke as end

keys_app = typer.Typer(no_args_is_help=True, help="API keys: create, list, revoke. A running service knows at once.")
_UNIT_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}


@keys_app.command()
def create(
    roles: Annotated[list[str], typer.Option("--role", help=f"One of {', '.join(ROLES)}; may be repeated.")],
    name: Annotated[str, typer.Option("--name", help="For people: whose it is.")] = "",
    expires: Annotated[str, typer.Option("--expires", help="90d, 12h, 30m, or a day: 2027-01-31 (UTC).")] = "",
    rate: Annotated[float | None, typer.Option("--rate", help="Requests per second, 0 = no limit.")] = None,
    folder: Dir = HERE,
) -> None:
    """Make a key and print it, this once: what is kept cannot be turned back into it."""
    at, now_ms = workspace(folder), WallClock().now_ms()
    was_open = not stored(at.keys)
    until = expiry(expires, now_ms) if expires else None
    key, token = make(at.keys, roles, now_ms, name=name, expires_ms=until, rate_per_s=rate)
    console.print(f"key {key.id} for {', '.join(key.roles)}; it is not shown again:")
    typer.echo(token)
    if was_open:
        console.print("this is the first key: from now on the service answers nobody without one")


@keys_app.command("list")
def list_(folder: Dir = HERE) -> None:
    """Every key that was ever made, with what it is worth."""
    at, now_ms = workspace(folder), WallClock().now_ms()
    keys = stored(at.keys)
    if not keys:
        typer.echo("no keys: the service answers everybody on this machine, and listens to no other")
        return
    usual = at.section("serve", ServeConfig).rate_per_s
    table = Table("id", "name", "roles", "state", "made (UTC)", "ends (UTC)", "per s", box=None, header_style="bold")
    for key in keys:
        rate = usual if key.rate_per_s is None else key.rate_per_s
        ends = key.revoked_ms or key.expires_ms
        table.add_row(
            key.id, escape(key.name), ", ".join(key.roles), key.state(now_ms), _time(key.created_ms),
            _time(ends) if ends else "never", f"{rate:g}" if rate else "no limit",
        )  # fmt: skip
    show.out.print(table)


@keys_app.command()
def revoke(ident: Annotated[str, typer.Argument(metavar="ID", help="As the list has it.")], folder: Dir = HERE) -> None:
    """End a key, at once and for good."""
    key = end(workspace(folder).keys, ident, WallClock().now_ms())
    typer.echo(f"key {key.id} is revoked")


def expiry(text: str, now_ms: int) -> int:
    """When "90d" from now, or the day "2027-01-31", is: milliseconds since 1970.

    Raises:
        ConfigError: it is neither.
    """
    if match := re.fullmatch(r"([0-9]{1,6})([mhd])", text):
        return now_ms + int(match[1]) * _UNIT_MS[match[2]]
    try:
        return int(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        raise ConfigError(f"--expires {text[:40]}", "90d, 12h, 30m, or a day such as 2027-01-31") from None


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1e3, UTC).strftime("%Y-%m-%d %H:%M")
