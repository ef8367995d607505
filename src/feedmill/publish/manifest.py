"""The manifest: what an artifact holds, with the sha256 and size of every file, and the version they make.

A version is content-addressed: the first 12 hex digits of the sha256 of the canonical manifest. Training
twice with the same data, config and seed gives the same version. What describes the run and not the result
(when, how long, on what machine) is kept apart, in ``created_ms`` and ``about["run"]``, and is not hashed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from feedmill.core.errors import ArtifactError

FORMAT = 1
MANIFEST = "manifest.json"
RUN = "run"
PART_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
VERSION_NAME = re.compile(r"[0-9a-f]{12}")


class FileEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file: sha256 in hex, size in bytes."""

    sha256: str
    size: int


class PartEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One part: arrays by name (stored as ``<name>.npy``) and blobs by file name."""

    kind: str
    config: dict[str, Any]
    arrays: dict[str, FileEntry] = {}
    blobs: dict[str, FileEntry] = {}

    def files(self) -> Iterator[tuple[str, FileEntry]]:
        """(file name, entry) of every file of the part."""
        yield from ((f"{name}.npy", entry) for name, entry in self.arrays.items())
        yield from self.blobs.items()


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``about`` says where it comes from: spec hash, metrics, data range, code version, log offset, ids."""

    format: int = FORMAT
    version: str
    created_ms: int
    about: dict[str, Any]
    parts: dict[str, PartEntry]


def make(about: Mapping[str, Any], parts: Mapping[str, PartEntry], created_ms: int) -> Manifest:
    """A manifest with its version.

    Raises:
        ArtifactError: ``about`` or a part's config holds something that JSON cannot.
    """
    plain = _plain({"about": about, "parts": parts})
    manifest = msgspec.convert({**plain, "version": "", "created_ms": created_ms}, Manifest)
    return msgspec.structs.replace(manifest, version=version_of(manifest))


def version_of(manifest: Manifest) -> str:
    """The version that the contents make."""
    about = {k: v for k, v in manifest.about.items() if k != RUN}
    hashed = {"format": manifest.format, "about": about, "parts": manifest.parts}
    return hashlib.sha256(msgspec.json.encode(hashed, order="deterministic")).hexdigest()[:12]


def read(folder: Path) -> Manifest:
    """The manifest of an artifact's folder, checked: its format, its names, and that it makes its version.

    Raises:
        ArtifactError: no manifest, not one of ours, of a newer format, altered, or naming a path elsewhere.
    """
    path = folder / MANIFEST
    again = "train again, or restore the folder from a copy"
    try:
        raw = msgspec.json.decode(path.read_bytes())
    except FileNotFoundError:
        raise ArtifactError(f"no {path}", "an artifact's folder", "run `feedmill train`") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise ArtifactError(f"{path} is not JSON: {e}", "a manifest", again) from None
    if not isinstance(raw, dict) or not isinstance(raw.get("format"), int):
        raise ArtifactError(f"{path} has no format number", "a manifest that feedmill wrote", again)
    if raw["format"] > FORMAT:
        fix = "install a newer feedmill, or promote an older version"
        raise ArtifactError(f"{path} has format {raw['format']}", f"up to {FORMAT}", fix)
    try:
        manifest = msgspec.convert(raw, Manifest)
    except msgspec.ValidationError as e:
        raise ArtifactError(f"{path}: {e}", "a manifest that feedmill wrote", again) from None
    for name, part in manifest.parts.items():
        check_names(name, part)
    made = version_of(manifest)
    if not manifest.version == made == folder.name:
        given = f"{path} says version {manifest.version!r}, its contents make {made}"
        raise ArtifactError(given, f"{folder.name}, the folder's name", again)
    return manifest


def check_names(part: str, entry: PartEntry) -> None:
    """Refuse names that are not plain file names: nothing an artifact says can point outside its folder.

    Raises:
        ArtifactError: such a name, or two files of one name.
    """
    if not PART_NAME.fullmatch(part):
        raise ArtifactError(f"part {part!r}", "lower-case letters, digits, - and _, at most 64")
    files = [file for file, _ in entry.files()]
    for file in files:
        if not FILE_NAME.fullmatch(file):
            raise ArtifactError(f"file {file!r} of part {part!r}", "a plain file name of letters, digits, . - _")
    if len({f.casefold() for f in files}) < len(files):
        raise ArtifactError(f"part {part!r} has two files of one name: {sorted(files)}", "distinct names")


def _plain(value: Any) -> Any:
    try:
        return msgspec.json.decode(msgspec.json.encode(value, enc_hook=_numpy_scalar))
    except (TypeError, ValueError, OverflowError) as e:
        raise ArtifactError(f"about or config: {e}", "numbers, text, lists and tables") from None


def _numpy_scalar(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
