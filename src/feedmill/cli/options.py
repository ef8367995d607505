"""Options that several commands share, declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from feedmill.core.errors import ConfigError
from feedmill.core.workspace import Workspace

Dir = Annotated[Path, typer.Option("--dir", "-d", help="The workspace folder.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", help="Override a parameter: -s rerank.fusion.weights.like=0.8"),
]
Json = Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file.")]
HERE = Path()


def workspace(folder: Path, settings: list[str] | None = None) -> Workspace:
    """The workspace of a command with its ``--set`` overrides, values read as TOML."""
    return Workspace.open(folder, dict(_pair(s) for s in settings or ()))


def _pair(text: str) -> tuple[str, Any]:
    import tomllib

    path, sign, value = text.partition("=")
    if not sign or not path.strip():
        raise ConfigError(f"--set {text}", "path=value", "for example --set serve.port=9000")
    try:
        return path.strip(), tomllib.loads(f"v = {value}")["v"]
    except tomllib.TOMLDecodeError:
        return path.strip(), value.strip()
