"""What ingest may ask of a dataset beyond its events: which rows could not become events, and whose they are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

from feedmill.core.protocols import Dataset


class Reject(NamedTuple):
    """A row that cannot be events: where it is, why, and all of it, as JSON of its columns or as its text."""

    file: str
    line: int
    reason: str
    row: str
    is_json: bool = False


@runtime_checkable
class Rejecting(Dataset, Protocol):
    """A dataset that refuses rows itself, because it still has them as they were written."""

    def source(self) -> str:
        """The source of its events; the file of rejects is named after it."""
        ...

    def rejects(self) -> Iterator[Reject]:
        """Every row that is not among its events, items and users."""
        ...


def digest(files: Iterable[Path], *words: str) -> str:
    """The sha256, as hex, of files' bytes and words: the ``source`` of events made from nothing else."""
    total = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    for word in words:
        total.update(hashlib.sha256(word.encode()).digest())
    return total.hexdigest()
