"""Rows that have moved since a version was published: a small file beside it, which a running server takes up.

::

    artifacts/deltas/
      3f9a1c07b2de/        the version that they change
        00000041.npz       every row that has moved since, as of its 41st step; later ones hold what earlier ones do

The newest alone is enough: for a server that has missed some, for one that starts, and for the learner that goes on.
"""

from __future__ import annotations

import io
import os
import shutil
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from feedmill.core.errors import ArtifactError
from feedmill.publish import disk
from feedmill.publish.artifact import Artifact
from feedmill.publish.manifest import VERSION_NAME

FOLDER, ABOUT, SUFFIX = "deltas", "about", ".npz"
KEPT = 50  # files of a version, to go back to
MOVING = ("embedding", "online", "lr.weight", "lr.bias")  # arrays of a part whose rows may move while it serves


class Change(NamedTuple):
    """Rows int32[n] of the first axis of an array, ascending, and their values [n, …]."""

    rows: NDArray[np.int32]
    values: NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False)
class Delta:
    """Everything that has moved since ``base``.

    Attributes:
        base: the version whose rows these are.
        seq: steps since; the larger of two is the newer.
        changes: part -> array -> rows.
        about: as JSON values: ``offset`` of the log, before which all closed that was learned from; how it went.
    """

    base: str
    seq: int
    changes: Mapping[str, Mapping[str, Change]]
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        """Rows of embeddings and weights together."""
        return sum(len(c.rows) for arrays in self.changes.values() for c in arrays.values())


def apply(artifact: Artifact, delta: Delta) -> None:
    """Put the rows into the arrays of an artifact that was loaded with ``private``; all of them, or none.

    Whoever reads the arrays sees the new rows at once, so nobody may be reading: hold what requests wait for.

    Raises:
        ArtifactError: the delta is of another version, names what the artifact has not, or the arrays are not private.
    """
    if delta.base != artifact.version:
        raise ArtifactError(
            f"a delta of version {delta.base}", f"one of {artifact.version}, which is served",
            "serve the version that it changes, or wait for the next delta",
        )  # fmt: skip
    found: list[tuple[NDArray[Any], Change]] = []
    for name, arrays in delta.changes.items():
        for key, change in arrays.items():
            part = artifact.part(name)
            if key in MOVING:
                found.append((_target(part.arrays.get(key), change, f"{name}/{key}"), change))
    for array, change in found:
        array[change.rows] = change.values


def _target(array: NDArray[Any] | None, change: Change, name: str) -> NDArray[Any]:
    rows, values = change
    if array is None or values.shape != (len(rows), *array.shape[1:]):
        raise ArtifactError(f"a delta of {name} with values {list(values.shape)}", "rows of the version's array")
    if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < len(array):
        raise ArtifactError(f"a delta of row {int(rows.max())} of {name}", f"rows below {len(array)}")
    if not np.isfinite(values).all():
        raise ArtifactError(f"a delta of {name} that is not finite", "numbers", "go back to the delta before it")
    if not array.flags.writeable:
        raise ArtifactError(f"{name} is mapped read-only", "an artifact loaded with private = delta.MOVING")
    return array


def write(root: Path, delta: Delta) -> Path:
    """Store a delta, whole or not at all; deltas of versions that are gone, and old ones, go.

    Args:
        root: the folder of all versions.

    Raises:
        ArtifactError: the folder cannot be written, or ``base`` is no version.
    """
    if not VERSION_NAME.fullmatch(delta.base):
        raise ArtifactError(f"a delta of version {delta.base!r}", "12 hex digits")
    about = {"base": delta.base, "seq": delta.seq, **delta.about}
    arrays: dict[str, NDArray[Any]] = {ABOUT: np.frombuffer(msgspec.json.encode(about), np.uint8)}
    for name, changes in delta.changes.items():
        for key, change in changes.items():
            arrays |= {f"{name}/{key}/rows": change.rows, f"{name}/{key}/values": change.values}
    raw = io.BytesIO()
    np.savez(raw, allow_pickle=False, **arrays)
    folder = root / FOLDER / delta.base
    path = folder / f"{delta.seq:08d}{SUFFIX}"
    try:
        with disk.locked(root):
            folder.mkdir(parents=True, exist_ok=True)
            temporary = folder / f".{path.name}.new"
            with temporary.open("wb") as file:
                file.write(raw.getvalue())
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            disk.sync(folder)
            _collect(root, folder)
    except OSError as e:
        fix = "free space or mend the folder's permissions; what is served has not changed"
        raise ArtifactError(f"cannot write {path}: {e.strerror or e}", "a folder with room", fix) from e
    return path


def newest(
    root: Path, base: str, *, after: int = 0, upto: int | None = None, fits: Callable[[Delta], bool] | None = None
) -> Delta | None:
    """The newest delta of a version that can be read; None where there is none.

    Args:
        after: only one of more steps.
        upto: only one that has learned from no event at or after this offset of the log.
        fits: only one of which this is true.
    """
    for path in reversed(_files(root / FOLDER / base)):
        if int(path.stem) <= after:
            return None
        try:
            delta = read(path)
        except ArtifactError:
            continue  # the one before it is as good, but older
        is_old = upto is None or int(delta.about.get("offset", 0)) <= upto
        if is_old and (fits is None or fits(delta)):
            return delta
    return None


def read(path: Path) -> Delta:
    """A delta as it was written.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:  # which verifies checksums
            arrays = {name: stored[name] for name in stored.files}
        about = msgspec.json.decode(arrays.pop(ABOUT).tobytes())
        changes: dict[str, dict[str, Change]] = {}
        for name, array in arrays.items():
            part, key, what = name.split("/")
            if what == "rows":
                changes.setdefault(part, {})[key] = Change(array, arrays[f"{part}/{key}/values"])
        return Delta(about.pop("base"), about.pop("seq"), changes, about)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, msgspec.DecodeError) as e:
        raise ArtifactError(f"{path}: {e}", "a delta that feedmill wrote", "delete it: the one before serves") from None


def _files(folder: Path) -> list[Path]:
    """Oldest first."""
    return sorted(p for p in folder.glob(f"*{SUFFIX}") if p.stem.isdigit()) if folder.is_dir() else []


def _collect(root: Path, folder: Path) -> None:
    for path in _files(folder)[:-KEPT]:
        path.unlink(missing_ok=True)
    for other in (root / FOLDER).iterdir():
        if other != folder and not (root / other.name).is_dir():
            shutil.rmtree(other, ignore_errors=True)
