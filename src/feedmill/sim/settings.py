"""The workspace that a simulated audience's feed lives in."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from feedmill.core.workspace import Workspace


def template() -> str:
    """The commented feedmill.toml of such a workspace: tuned on the default world."""
    return (resources.files("feedmill.sim") / "sim.toml").read_text("utf-8")


def make(folder: Path | str) -> Workspace:
    """A new one.

    Raises:
        WorkspaceError: there is a workspace already, or the folder cannot be made.
    """
    return Workspace.create(folder, template())
