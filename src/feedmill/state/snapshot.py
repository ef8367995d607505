"""Snapshots on disk: a folder per offset, written beside its place and renamed, with the SHA-256 of every file."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from feedmill.core.errors import ArtifactError

FORMAT, VERSION = "feedmill state", 3
MANIFEST, UNFINISHED = "manifest.json", ".new-"
REPLAY = "delete it; the log has everything that is in it"


class Snapshot(NamedTuple):
    """What is stored: arrays by name, lists of texts by name, and JSON values about them."""

    arrays: Mapping[str, NDArray[Any]]
    texts: Mapping[str, list[str]]
    about: Mapping[str, Any]


def write(folder: Path, offset: int, snapshot: Snapshot) -> Path:
    """Store a snapshot under its offset and delete those before it; returns its folder.

    Whatever happens on the way, ``folder`` has a whole snapshot or the one before.

    Raises:
        OSError: the disk does not want it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    new, place = folder / f"{UNFINISHED}{os.getpid()}", folder / f"{offset:020d}"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    for name, array in snapshot.arrays.items():
        np.save(new / f"{name}.npy", array, allow_pickle=False)
    for name, texts in snapshot.texts.items():
        table = pa.table({name: pa.array(texts, pa.large_string())})
        with pa.OSFile(str(new / f"{name}.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    files = {path.name: _sha256(path) for path in sorted(new.iterdir())}
    about = {**snapshot.about, "format": FORMAT, "version": VERSION, "files": files}
    (new / MANIFEST).write_bytes(_sealed(about))
    _sync(new)
    if place.exists():
        os.rename(place, folder / f"{UNFINISHED}{os.getpid()}-old")
    os.rename(new, place)
    _sync(folder)
    _tidy(folder, place)
    return place


def newest(folder: Path) -> Path | None:
    """The snapshot with the highest offset, if there is any."""
    return max((p for p in folder.glob("[0-9]*") if p.is_dir()), default=None)


def read(place: Path) -> Snapshot:
    """A snapshot, every file checked.

    Raises:
        ArtifactError: a file is missing, cut short, changed, or of another format or version.
    """
    about = _opened(place / MANIFEST)
    try:
        for name, digest in about["files"].items():
            if _sha256(place / name) != digest:
                raise ArtifactError(f"{place / name} is not what was written", f"SHA-256 {digest}", REPLAY)
        names = {Path(name) for name in about["files"]}
        arrays = {p.stem: np.load(place / p, allow_pickle=False) for p in names if p.suffix == ".npy"}
        texts = {p.stem: _texts(place / p) for p in names if p.suffix == ".arrow"}
    except (OSError, ValueError, pa.ArrowException) as e:
        raise ArtifactError(f"{place} cannot be read: {e}", "a whole snapshot", REPLAY) from None
    return Snapshot(arrays, texts, about)


def _sealed(about: Mapping[str, Any]) -> bytes:
    body = msgspec.json.encode(about, order="sorted")
    seal = hashlib.sha256(body).hexdigest()
    return msgspec.json.encode({"about": msgspec.Raw(body), "sha256": seal})


def _opened(path: Path) -> dict[str, Any]:
    wanted = f"a manifest of {FORMAT!r}, version {VERSION}"
    try:
        outer = msgspec.json.decode(path.read_bytes(), type=dict[str, msgspec.Raw])
        body = bytes(outer["about"])
        if msgspec.json.decode(outer["sha256"]) != hashlib.sha256(body).hexdigest():
            raise ArtifactError(f"{path} is not what was written", "its own SHA-256", REPLAY)
        about: dict[str, Any] = msgspec.json.decode(body)
        if (about["format"], about["version"]) != (FORMAT, VERSION):
            raise ArtifactError(f"{path} is of {about['format']!r}, version {about['version']}", wanted, REPLAY)
    except (OSError, msgspec.DecodeError, KeyError, TypeError) as e:
        raise ArtifactError(f"{path} cannot be read: {e}", wanted, REPLAY) from None
    return about


def _texts(path: Path) -> list[str]:
    with pa.OSFile(str(path), "rb") as source:
        column: list[str] = pa.ipc.open_file(source).read_all().column(0).to_pylist()
    return column


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(folder: Path) -> None:
    """Have the disk hold a folder and the files in it before anything points to them."""
    for path in (*folder.iterdir(), folder):
        if path.is_file() or path == folder:
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def _tidy(folder: Path, place: Path) -> None:
    """Delete earlier snapshots and what dead processes left unfinished."""
    for path in folder.iterdir():
        if path.name.startswith(UNFINISHED):
            pid = int(path.name.removeprefix(UNFINISHED).partition("-")[0])
            if pid == os.getpid() or not _is_alive(pid):
                shutil.rmtree(path, ignore_errors=True)
        elif path.is_dir() and path.name.isdigit() and path != place:
            shutil.rmtree(path, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
