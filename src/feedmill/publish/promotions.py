"""``history.jsonl``: who made which version serve, when and why; lines are only ever added."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from feedmill.core.errors import ArtifactError
from feedmill.publish import disk

FILE = "history.jsonl"
PROMOTED, ROLLED_BACK, FOUND = "promote", "rollback", "found"


class Promotion(msgspec.Struct, frozen=True):
    """One line.

    Attributes:
        time_ms: when.
        action: "promote", "rollback", or "found": the pointer had been moved by a process that was killed before it
            could write its line, or by hand.
        version: what serves since.
        before: what served until then, "" for nothing.
        who, why: as they were told.
        refused: what the gate said and was overruled in.
    """

    time_ms: int
    action: str
    version: str
    before: str = ""
    who: str = ""
    why: str = ""
    refused: tuple[str, ...] = ()


def promotions(root: Path) -> list[Promotion]:
    """Every line, oldest first; one that a crash has cut short is left out.

    Raises:
        ArtifactError: the file cannot be read.
    """
    try:
        lines = (root / FILE).read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as e:
        raise ArtifactError(f"{root / FILE}: {e.strerror or e}", "a file that can be read") from e
    found = []
    for line in filter(None, lines):
        try:
            found.append(msgspec.json.decode(line, type=Promotion))
        except msgspec.DecodeError:
            continue
    return found


def note(root: Path, line: Promotion) -> None:
    """Add a line; it is on the disk when this returns. The caller holds the folder's lock.

    Raises:
        ArtifactError: the disk does not take it.
    """
    path = root / FILE
    try:
        with path.open("ab+") as file:
            is_whole = file.seek(0, os.SEEK_END) == 0 or _last_byte(path) == b"\n"
            file.write((b"" if is_whole else b"\n") + msgspec.json.encode(line) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        disk.sync(root)
    except OSError as e:
        raise ArtifactError(f"cannot write {path}: {e.strerror or e}", "a folder with room") from e


def _last_byte(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1)
