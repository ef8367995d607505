"""Writing an artifact: whole and verified by its hashes, or not there at all."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Part
from feedmill.core.clock import Clock, WallClock
from feedmill.core.errors import ArtifactError
from feedmill.publish import artifact, disk
from feedmill.publish.manifest import MANIFEST, FileEntry, PartEntry, check_names, make

UNFINISHED = ".writing"


class _Hashed:
    """A file that hashes and counts what is written to it, so that nothing is read back."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._sha, self._size = file, hashlib.sha256(), 0

    def write(self, data: bytes | memoryview) -> int:
        self._sha.update(data)
        self._size += memoryview(data).nbytes
        return self._file.write(data)

    def entry(self) -> FileEntry:
        return FileEntry(self._sha.hexdigest(), self._size)


def write(root: Path, parts: Mapping[str, Part], about: Mapping[str, Any], *, clock: Clock | None = None) -> str:
    """Store parts as a new version; it is not served before it is promoted.

    Everything is written to a hidden folder, synced, and renamed into place, so a crash leaves no half of a
    version. Writing the same contents again gives the same version and keeps the folder that is there.

    Args:
        root: the folder of all versions; made if need be.
        parts: by name; names are folder names.
        about: where the parts come from, as JSON values; ``about["run"]`` does not enter the version.
        clock: tells ``created_ms``.

    Raises:
        ArtifactError: a name that is no file name, an array of objects, a value JSON lacks, a full disk.
    """
    now_ms = (clock or WallClock()).now_ms()
    unfinished = root / UNFINISHED
    try:
        with disk.locked(root):
            shutil.rmtree(unfinished, ignore_errors=True)  # of a writer that was killed
            try:
                return _write(root, unfinished, parts, about, now_ms)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    except OSError as e:
        fix = "free space or mend the folder's permissions, then train again; what is served has not changed"
        raise ArtifactError(f"cannot write to {root}: {e.strerror or e}", "a folder with room", fix) from e


def _write(root: Path, folder: Path, parts: Mapping[str, Part], about: Mapping[str, Any], now_ms: int) -> str:
    folder.mkdir()
    entries = {name: _write_part(folder, name, part) for name, part in parts.items()}
    manifest = make(about, entries, now_ms)
    _save(
        folder / MANIFEST,
        lambda file: file.write(msgspec.json.format(msgspec.json.encode(manifest), indent=1)),
    )
    for written in [*(folder / name for name in parts), folder]:
        disk.sync(written)
    final = root / manifest.version
    if final.exists():
        try:
            artifact.load(root, manifest.version)
        except ArtifactError:
            shutil.rmtree(final)  # damaged since: the same contents take its place
        else:
            return manifest.version
    folder.rename(final)
    disk.sync(root)
    return manifest.version


def _write_part(folder: Path, name: str, part: Part) -> PartEntry:
    nothing = FileEntry("", 0)
    named = PartEntry(part.kind, {}, dict.fromkeys(part.arrays, nothing), dict.fromkeys(part.blobs, nothing))
    check_names(name, named)
    (folder / name).mkdir()
    arrays = {key: _save_array(folder / name / f"{key}.npy", array) for key, array in part.arrays.items()}
    blobs = {key: _save_blob(folder / name / key, blob) for key, blob in part.blobs.items()}
    return PartEntry(part.kind, dict(part.config), arrays, blobs)


def _save_array(path: Path, array: NDArray[Any]) -> FileEntry:
    if array.dtype.hasobject:
        given = f"array {path.stem!r} of part {path.parent.name!r} has dtype {array.dtype}"
        raise ArtifactError(given, "numbers, booleans or text of fixed width", "store ids as row numbers")
    plain = np.asarray(array, order="C")
    return _save(path, lambda file: np.save(cast(IO[bytes], file), plain, allow_pickle=False))


def _save_blob(path: Path, blob: bytes) -> FileEntry:
    return _save(path, lambda file: file.write(blob))


def _save(path: Path, fill: Callable[[_Hashed], object]) -> FileEntry:
    with path.open("wb") as file:
        hashed = _Hashed(file)
        fill(hashed)
        file.flush()
        os.fsync(file.fileno())
    return hashed.entry()
