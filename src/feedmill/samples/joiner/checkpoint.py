"""The joiner's state on disk: one file per offset, whole or not there, that says whether it is what was written.

A line that names the format, a line of JSON, the arrays one after the other as NumPy writes them, the texts as an Arrow
stream, and the SHA-256 of all before it.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
import pyarrow as pa

from feedmill.core.errors import ArtifactError
from feedmill.samples.joiner.joiner import State
from feedmill.samples.joiner.parts import replaced

MAGIC, SUFFIX, KEEP = b"feedmill join 1\n", ".join", 2
_DIGEST = hashlib.sha256().digest_size


def write(folder: Path, state: State) -> Path:
    """Store a state under its offset; of the older ones the newest stays, in case this one is damaged.

    Raises:
        OSError: the disk does not want it; those before are untouched.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{state.about['offset']:020d}{SUFFIX}"
    with replaced(path) as temporary, temporary.open("wb") as file:
        sink = _Hashed(file)
        sink.write(MAGIC)
        sink.write(msgspec.json.encode({**state.about, "arrays": list(state.arrays)}, order="sorted") + b"\n")
        for array in state.arrays.values():
            np.lib.format.write_array(sink, array, allow_pickle=False)
        with pa.ipc.new_stream(pa.PythonFile(sink, "w"), state.texts.schema) as writer:
            writer.write_batch(state.texts)
        file.write(sink.digest.digest())
    for old in stored(folder)[KEEP:]:
        old.unlink()
    return path


def stored(folder: Path) -> Sequence[Path]:
    """The files there are, the newest first."""
    return sorted(folder.glob(f"[0-9]*{SUFFIX}"), reverse=True)


def read(path: Path) -> State:
    """A state, checked.

    Raises:
        ArtifactError: the file is cut short, changed, or of another format.
    """
    try:
        raw = path.read_bytes()
    except OSError as e:
        raise ArtifactError(f"{path} cannot be read: {e.strerror}", "a checkpoint of the joiner") from None
    if not raw.startswith(MAGIC) or hashlib.sha256(raw[:-_DIGEST]).digest() != raw[-_DIGEST:]:
        raise ArtifactError(f"{path} is not what was written", "a checkpoint that agrees with its own SHA-256")
    body = io.BytesIO(raw[len(MAGIC) : -_DIGEST])
    about: dict[str, Any] = msgspec.json.decode(body.readline())
    arrays = {name: np.lib.format.read_array(body, allow_pickle=False) for name in about.pop("arrays")}
    with pa.ipc.open_stream(body) as reader:
        (texts,) = list(reader) or [pa.RecordBatch.from_pylist([], reader.schema)]
    return State(arrays, texts, about)


class _Hashed(io.RawIOBase):
    """A file that is hashed as it is written."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file, self.digest = file, hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.digest.update(data)
        return self._file.write(data)
