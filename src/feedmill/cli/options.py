"""Options that several commands share, declared once."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar

import typer

from feedmill.core.errors import ConfigError, DataError
from feedmill.core.progress import console
from feedmill.core.workspace import Workspace

P = ParamSpec("P")
R = TypeVar("R")
Dir = Annotated[Path, typer.Option("--dir", "-d", help="The workspace folder.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", help="Override a parameter: -s rerank.fusion.weights.like=0.8"),
]
Json = Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file.")]
HERE = Path()


def writable(path: Path | None) -> None:
    """Refuse, before the work, a file that could not be written after it.

    Raises:
        DataError: its folder does not exist.
    """
    if path is not None and not path.parent.is_dir():
        raise DataError(f"no folder {path.parent} to write {path.name} into", "a folder", f"mkdir -p {path.parent}")


def interruptible(command: Callable[P, R]) -> Callable[P, R]:
    """The command, which says on Ctrl-C what became of its work."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except KeyboardInterrupt:
            console.print("\nstopped. What was acknowledged is in the log; run the same command again to go on.")
            raise typer.Exit(130) from None

    return run


def workspace(folder: Path, settings: list[str] | None = None) -> Workspace:
    """The workspace of a command with its ``--set`` overrides, values read as TOML."""
    return Workspace.open(folder, dict(_pair(s) for s in settings or ()))


def timezone(at: Workspace) -> str:
    """Whose midnights part the days of a workspace: samples, exports, reports, nights.

    Raises:
        ConfigError: ``[samples.join]`` cannot be used.
    """
    from feedmill.samples.joiner.config import Groups, JoinConfig

    config = at.section("samples.join", JoinConfig)
    Groups.of(config)
    return config.timezone


def _pair(text: str) -> tuple[str, Any]:
    import tomllib

    path, sign, value = text.partition("=")
    if not sign or not path.strip():
        raise ConfigError(f"--set {text}", "path=value", "for example --set serve.port=9000")
    try:
        return path.strip(), tomllib.loads(f"v = {value}")["v"]
    except tomllib.TOMLDecodeError:
        return path.strip(), value.strip()
