"""Which version is served: promote, roll back, list, and remove what is no longer needed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from feedmill.core.errors import ArtifactError
from feedmill.publish import disk
from feedmill.publish.artifact import load
from feedmill.publish.gate import Gate, reasons
from feedmill.publish.manifest import VERSION_NAME, read
from feedmill.publish.pointer import current, history, point

REMOVED = ".removed"


class Version(NamedTuple):
    """One line of the list of versions."""

    version: str
    created_ms: int
    about: Mapping[str, Any]
    is_current: bool


def promote(root: Path, version: str, gate: Gate | None = None) -> None:
    """Make a version the current one, in one atomic step; it is verified before.

    Args:
        gate: limits on ``about["metrics"]`` against those of the version it replaces.

    Raises:
        ArtifactError: the version is missing or damaged, or the gate refuses it; the current one stays.
    """
    with disk.locked(root):
        candidate = load(root, version)
        lines = history(root)
        if gate and lines:
            refused = reasons(gate, candidate.about.get("metrics", {}), _metrics(root, lines[0]))
            if refused:
                fix = f"look into the loss, change [publish.gate], or promote {version} by hand"
                raise ArtifactError("; ".join(refused), f"metrics that hold against {lines[0]}", fix)
        if lines[:1] != [version]:
            point(root, [version, *lines])


def rollback(root: Path) -> str:
    """Go back to the version promoted before the current one and return it; damaged ones are skipped.

    Raises:
        ArtifactError: there is no earlier version that loads; the current one stays.
    """
    with disk.locked(root):
        lines = history(root)
        for i, version in enumerate(lines[1:], 1):
            if version == lines[0]:
                continue
            try:
                load(root, version)
            except ArtifactError:
                continue
            point(root, lines[i:])
            return version
        raise ArtifactError(
            f"no version before {lines[0] if lines else 'the first'} to go back to",
            "a version that was promoted earlier and still loads",
            "promote one that `feedmill models list` has",
        )


def versions(root: Path) -> list[Version]:
    """Every version whose manifest is sound, newest first; files are not verified."""
    served = current(root)
    found = []
    for folder in root.iterdir() if root.is_dir() else ():
        if VERSION_NAME.fullmatch(folder.name):
            try:
                m = read(folder)
            except ArtifactError:
                continue
            found.append(Version(m.version, m.created_ms, m.about, m.version == served))
    return sorted(found, key=lambda v: (-v.created_ms, v.version))


def collect(root: Path, keep: int) -> list[str]:
    """Remove all but the newest ``keep`` versions; the current one and the one before it always stay.

    Returns:
        What was removed. A process that has a removed version mapped goes on reading it.
    """
    with disk.locked(root):
        listed = [v.version for v in versions(root)]
        stay = {*listed[: max(keep, 0)], *history(root)[:2]}
        gone = [v for v in listed if v not in stay]
        for version in gone:
            (root / version).rename(root / REMOVED)  # so that half a version never bears its name
            shutil.rmtree(root / REMOVED)
        return gone


def _metrics(root: Path, version: str) -> Mapping[str, Any]:
    try:
        return dict(read(root / version).about.get("metrics", {}))
    except ArtifactError:
        return {}  # a damaged version is no reason to refuse a sound one
