"""Reading an artifact: verified against its manifest, arrays mapped from the disk and read-only."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Part
from feedmill.core.errors import ArtifactError
from feedmill.publish.manifest import VERSION_NAME, FileEntry, PartEntry, read
from feedmill.publish.pointer import current

DAMAGED = "train again, promote another version, or restore the folder from a copy"


@dataclass(frozen=True, slots=True)
class Artifact:
    """One version as it is used: ``about`` as it was written, parts with memory-mapped arrays."""

    version: str
    created_ms: int
    about: Mapping[str, Any]
    parts: Mapping[str, Part]

    def part(self, name: str) -> Part:
        """One part by name.

        Raises:
            ArtifactError: this version has no such part.
        """
        if name not in self.parts:
            fix = "run `feedmill train` after changing the config"
            raise ArtifactError(f"version {self.version} has no part {name!r}", f"{sorted(self.parts)}", fix)
        return self.parts[name]


def load(root: Path, version: str | None = None, *, verify: bool = True, private: Collection[str] = ()) -> Artifact:
    """An artifact with its arrays mapped read-only: workers on one machine share the pages.

    Args:
        root: the folder of all versions.
        version: default is the promoted one.
        verify: check the sha256 of every file (about a second per 2 GB); sizes are always checked.
        private: names of arrays that this process may write to: pages are shared until they are written, and the files
            never change. For ``publish.delta``.

    Raises:
        ArtifactError: none promoted, or one that is missing, cut short, corrupt, foreign or too new.
    """
    chosen = version if version is not None else current(root)
    if chosen is None:
        fix = "run `feedmill train`, or promote one of its versions"
        raise ArtifactError(f"no artifact is promoted in {root}", "a trained model", fix)
    if not VERSION_NAME.fullmatch(chosen):
        raise ArtifactError(f"version {chosen!r}", "12 hex digits, as `feedmill models list` has them")
    folder = root / chosen
    if not folder.is_dir():
        raise ArtifactError(f"no version {chosen} in {root}", "a version's folder", "run `feedmill train`")
    manifest = read(folder)
    parts = {name: _load_part(folder / name, entry, verify, private) for name, entry in manifest.parts.items()}
    return Artifact(manifest.version, manifest.created_ms, manifest.about, parts)


def _load_part(folder: Path, entry: PartEntry, verify: bool, private: Collection[str]) -> Part:
    for file, expected in entry.files():
        _check(folder / file, expected, verify)
    arrays = {name: _map(folder / f"{name}.npy", is_private=name in private) for name in entry.arrays}
    blobs = {name: (folder / name).read_bytes() for name in entry.blobs}
    return Part(entry.kind, entry.config, arrays, blobs)


def _check(path: Path, expected: FileEntry, verify: bool) -> None:
    if path.is_symlink() or path.parent.is_symlink():
        raise ArtifactError(f"{path} is a link", "a file inside the artifact's folder", DAMAGED)
    if not path.is_file():
        raise ArtifactError(f"no file {path}", f"{expected.size} bytes", DAMAGED)
    size = path.stat().st_size
    if size != expected.size:
        raise ArtifactError(f"{path} has {size} bytes", f"{expected.size} bytes", DAMAGED)
    if verify:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != expected.sha256:
            raise ArtifactError(f"{path} has sha256 {found[:16]}…", f"{expected.sha256[:16]}…", DAMAGED)


def _map(path: Path, *, is_private: bool) -> NDArray[Any]:
    try:
        mapped = np.load(path, mmap_mode="c" if is_private else "r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as e:
        raise ArtifactError(f"{path}: {e}", "an .npy file without objects", DAMAGED) from None
    return np.asarray(mapped)  # the plain class: kernels and slices are slower on np.memmap
