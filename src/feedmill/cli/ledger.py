"""Which files a workspace has ingested: the log knows rows of a file under one mapping, this knows the file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from feedmill.core.errors import DataError
from feedmill.core.workspace import Workspace

FIX = "map a column to event_id so that an event is stored once, start a new workspace, or say --again if it is meant"


class Entry(msgspec.Struct, frozen=True):
    """A line of ``ingested.jsonl``."""

    path: str
    file: str
    mapping: str


def entry(file: Path, mapping: Path | None) -> Entry:
    """Name and content of a file and of its mapping, as hashes; "" for what is not there."""
    return Entry(str(file.resolve()), _sha256(file), _sha256(mapping))


def check(at: Workspace, new: Entry) -> None:
    """Refuse what would store rows a second time.

    Raises:
        DataError: the file has been ingested with another mapping, or has changed since it was.
    """
    for old in _read(at):
        if old.file == new.file and old.mapping != new.mapping:
            raise DataError(f"{new.path} has been ingested with another mapping", "each row to be stored once", FIX)
        if old.path == new.path and old.file != new.file:
            raise DataError(f"{new.path} has changed since it was ingested", "each row to be stored once", FIX)


def note(at: Workspace, new: Entry) -> None:
    """Remember a file."""
    if new not in _read(at):
        with _path(at).open("ab") as lines:
            lines.write(msgspec.json.encode(new) + b"\n")


def _path(at: Workspace) -> Path:
    return at.path / "ingested.jsonl"


def _read(at: Workspace) -> list[Entry]:
    path = _path(at)
    decoder = msgspec.json.Decoder(Entry)
    return decoder.decode_lines(path.read_bytes()) if path.exists() else []


def _sha256(path: Path | None) -> str:
    if path is None or not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
