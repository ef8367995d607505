"""Which version is served: promote, roll back, list, and remove what is no longer needed."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from feedmill.core.clock import Clock, WallClock
from feedmill.core.errors import ArtifactError
from feedmill.publish import disk
from feedmill.publish.artifact import Artifact, load
from feedmill.publish.gate import Gate, figures_of, reasons
from feedmill.publish.manifest import VERSION_NAME, read
from feedmill.publish.pointer import current, history, point
from feedmill.publish.promotions import FOUND, PROMOTED, ROLLED_BACK, Promotion, note, promotions
from feedmill.publish.running import oldest_ms

REMOVED = ".removed"


class Version(NamedTuple):
    """One line of the list of versions."""

    version: str
    created_ms: int
    about: Mapping[str, Any]
    is_current: bool


def promote(
    root: Path,
    version: str,
    gate: Gate | None = None,
    *,
    force: bool = False,
    who: str = "",
    why: str = "",
    clock: Clock | None = None,
) -> list[str]:
    """Make a version the current one, in one atomic step; it is verified before.

    Args:
        gate: limits on what was measured of it, against the version it replaces and against bounds.
        force: promote it although the gate refuses; the history says so.
        who, why: for the history.

    Returns:
        What the gate was overruled in.

    Raises:
        ArtifactError: the version is missing or damaged, or the gate refuses it; the current one stays.
    """
    with disk.locked(root):
        candidate = load(root, version)
        lines = history(root)
        refused = _refused(root, gate, candidate, lines[0] if lines else "") if gate and lines[:1] != [version] else []
        if refused and not force:
            fix = f"look into it, change [publish.gate], or overrule it: `feedmill models promote {version} --force`"
            against = f"figures that hold against {lines[0]}" if lines else "figures within the bounds"
            raise ArtifactError("; ".join(refused), against, fix)
        if lines[:1] != [version]:
            _point(root, [version, *lines], PROMOTED, who, why, refused, clock)
        return refused


def rollback(
    root: Path, version: str | None = None, *, who: str = "", why: str = "", clock: Clock | None = None
) -> str:
    """Go back to the version promoted before the current one, or to a named one; returns it.

    What was promoted after it is no longer something to go back to. Without a name, damaged versions are skipped.

    Raises:
        ArtifactError: there is no earlier version, or the named one was never promoted, or does not load; the current
            one stays.
    """
    with disk.locked(root):
        lines = history(root)
        for i, earlier in enumerate(lines[1:], 1):
            if earlier == lines[0] or version not in (None, earlier):
                continue
            try:
                load(root, earlier)
            except ArtifactError:
                if version is not None:
                    raise
                continue
            _point(root, lines[i:], ROLLED_BACK, who, why, (), clock)
            return earlier
        raise ArtifactError(
            f"no version {version or 'before ' + (lines[0] if lines else 'the first')} to go back to",
            f"a version that was promoted earlier and still loads: {list(dict.fromkeys(lines[1:]))}",
            "promote one that `feedmill models list` has",
        )


def _point(
    root: Path,
    lines: Sequence[str],
    action: str,
    who: str,
    why: str,
    refused: Sequence[str],
    clock: Clock | None,
) -> None:
    """Move the pointer, then write down who did; a line that a crash kept from being written is made up for."""
    now_ms, before, told = (clock or WallClock()).now_ms(), current(root) or "", promotions(root)
    if before and (told[-1].version if told else "") != before:
        note(root, Promotion(now_ms, FOUND, before, told[-1].version if told else ""))
    point(root, lines)
    note(root, Promotion(now_ms, action, lines[0], before, who, why, tuple(refused)))


def _refused(root: Path, gate: Gate, new: Artifact, now: str) -> list[str]:
    """Held against the current version as measured on the same rows, if it was, else as it was in its own time."""
    about = _about(root, now)
    held: Mapping[str, Any] = {}
    if now and new.about.get("base") == now and "metrics_of_base" in new.about:
        held = {**new.about["metrics_of_base"], "run": about.get("run", {})}
    elif about.get("split") == new.about.get("split"):  # else the figures are of another kind
        held = figures_of(about)
    return reasons(gate, figures_of(new.about), held, now)


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


def verify(root: Path) -> dict[str, str]:
    """Every version's every file against its manifest: version -> what is wrong with it, "" if nothing is."""
    found = {}
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        if VERSION_NAME.fullmatch(folder.name):
            try:
                load(root, folder.name)
                found[folder.name] = ""
            except ArtifactError as e:
                found[folder.name] = e.given
    return found


def collect(root: Path, keep: int, pinned: Collection[str] = ()) -> list[str]:
    """Remove all but the newest ``keep`` versions.

    The current one, the one before it, and any as new as a publish under way (``publishing``) always stay. Each is
    renamed before it is deleted, so that half a version never bears its name; what a crash leaves goes the next time.

    Args:
        pinned: versions that somebody serves otherwise, such as the arms of an experiment.

    Returns:
        What was removed. A process that has a removed version mapped goes on reading it.
    """
    with disk.locked(root):
        for left in root.glob(f"{REMOVED}*"):
            shutil.rmtree(left)
        begun_ms = oldest_ms(root)
        listed = versions(root)
        stay = {*(v.version for v in listed[: max(keep, 0)]), *history(root)[:2], *pinned}
        stay |= {v.version for v in listed if begun_ms is not None and v.created_ms >= begun_ms}
        gone = [v.version for v in listed if v.version not in stay]
        for version in gone:
            (root / version).rename(root / f"{REMOVED}-{version}")
            shutil.rmtree(root / f"{REMOVED}-{version}")
        return gone


def _about(root: Path, version: str) -> Mapping[str, Any]:
    try:
        return dict(read(root / version).about) if version else {}
    except ArtifactError:
        return {}  # a damaged version is no reason to refuse a sound one
