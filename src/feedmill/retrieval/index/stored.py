"""An index as one run of bytes: a file of its own, or an array of an artifact that keeps the vectors already.

    magic, length of the header, header (JSON: what it is, where each section lies, their checksums), sections

Sections begin at multiples of 64 bytes, so they are used where they lie: opening reads the header and maps the rest.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Floats
from feedmill.core.config import convert
from feedmill.core.errors import ArtifactError, ConfigError
from feedmill.retrieval.index.build import INDEXES
from feedmill.retrieval.index.finder import Finder
from feedmill.retrieval.index.held import Held
from feedmill.retrieval.index.metric import Metric

MAGIC = b"feedmill index 1"
AGAIN = "build it again (`feedmill train`), or restore the file from a copy"
_ALIGN = 64
_OWN = "finder."  # sections of the structure


class Section(msgspec.Struct, frozen=True):
    """Where an array lies, counted from the end of the header."""

    dtype: str
    shape: list[int]
    start: int
    crc32: int


class Header(msgspec.Struct, frozen=True):
    """What the bytes are."""

    metric: str
    kind: str
    config: dict[str, Any]
    seed: int
    effort: int
    n_rows: int
    dim: int
    report: dict[str, Any]
    sections: dict[str, Section]
    n_bytes: int


def pack(held: Held, *, with_vectors: bool) -> NDArray[np.uint8]:
    """uint8[n]: everything, or everything but the vectors that the structure was built over."""
    arrays: dict[str, NDArray[Any]] = {"rows": held.rows}
    if with_vectors:
        arrays["vectors"] = held.vectors
    if held.gone is not None:
        arrays["gone"] = held.gone.view(np.uint8)
    if len(held.fresh_rows):
        arrays |= {"fresh_rows": held.fresh_rows, "fresh": held.fresh}
    if held.finder is not None:
        arrays |= {_OWN + name: array for name, array in held.finder.sections().items()}
    raw = {name: np.ascontiguousarray(array).reshape(-1).view(np.uint8) for name, array in arrays.items()}
    sections, end = {}, 0
    for name, array in arrays.items():
        sections[name] = Section(array.dtype.str, list(array.shape), end, zlib.crc32(raw[name].data))
        end = _aligned(end + array.nbytes)
    effort = held.finder.effort if held.finder is not None else 1
    parameters = msgspec.to_builtins(held.config)
    header = Header(
        held.metric, held.kind, parameters, held.seed, effort, len(held.vectors), held.dim, dict(held.report),
        sections, end,
    )  # fmt: skip
    said = msgspec.json.encode(header)
    body = _aligned(len(MAGIC) + 8 + len(said))
    out = np.zeros(body + end, np.uint8)
    start = MAGIC + len(said).to_bytes(8, "little") + said
    out[: len(start)] = np.frombuffer(start, np.uint8)
    for name, section in sections.items():
        out[body + section.start :][: len(raw[name])] = raw[name]
    return out


def unpack(
    data: NDArray[np.uint8], vectors: Floats | None = None, *, verify: bool = True, name: str = "the index"
) -> Held:
    """The opposite; arrays are views of ``data``.

    Args:
        vectors: float32[N, D], where they were not packed.
        verify: compare the checksums, which reads everything; sizes are always checked.
        name: of what is read, for messages.

    Raises:
        ArtifactError: not an index, cut short, damaged, of other vectors, or of a kind that is not installed.
    """
    header, body = _header(data, name)
    arrays = {}
    for key, section in header.sections.items():
        arrays[key] = _section(body, section, f"{name}, section {key}", verify)
    vectors = arrays["vectors"] if vectors is None and "vectors" in arrays else vectors
    if vectors is None or vectors.shape != (header.n_rows, header.dim):
        given = "no vectors" if vectors is None else f"vectors of shape {vectors.shape}"
        raise ArtifactError(f"{name}: {given}", f"the {header.n_rows} x {header.dim} it was built over", AGAIN)
    try:
        config = convert(header.config, INDEXES[header.kind].Config, "index")
    except ConfigError as e:
        raise ArtifactError(f"{name}: {e.given}", e.expected, f"{AGAIN}; {e.fix}".rstrip("; ")) from None
    gone = arrays["gone"].view(np.bool_) if "gone" in arrays else None
    held = Held(
        metric=cast(Metric, header.metric), kind=header.kind, config=config, seed=header.seed, report=header.report,
        vectors=np.ascontiguousarray(vectors, np.float32), rows=arrays["rows"], finder=None, gone=gone,
        fresh_rows=arrays.get("fresh_rows", np.zeros(0, np.int32)),
        fresh=arrays.get("fresh", np.zeros((0, header.dim), np.float32)),
    )  # fmt: skip
    return held if not len(held.rows) else replace(held, finder=_finder(held, header, arrays, name))


def save(held: Held, path: Path) -> None:
    """Whole and on the disk when it returns, or not there at all.

    Raises:
        ArtifactError: it cannot be written.
    """
    unfinished = path.with_name(path.name + ".writing")
    try:
        with unfinished.open("wb") as file:
            file.write(pack(held, with_vectors=True).data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as e:
        unfinished.unlink(missing_ok=True)
        raise ArtifactError(f"cannot write {path}: {e.strerror or e}", "a folder with room", "free space") from None


def read(path: Path, *, verify: bool = True) -> Held:
    """A saved index, mapped from its file: processes share its pages, which come when they are touched.

    Raises:
        ArtifactError: no such file, or see ``unpack``.
    """
    try:
        data = np.asarray(np.memmap(path, np.uint8, "r"))
    except (OSError, ValueError) as e:
        reason = "the file is empty" if isinstance(e, ValueError) else e.strerror
        raise ArtifactError(f"{path}: {reason}", "a saved index", AGAIN) from None
    return unpack(data, verify=verify, name=str(path))


def _header(data: NDArray[np.uint8], name: str) -> tuple[Header, NDArray[np.uint8]]:
    """The header, and the bytes after it."""
    first = len(MAGIC) + 8
    start = data[:first].tobytes()
    if not start.startswith(MAGIC):
        shown = "nothing" if not start else repr(start[: len(MAGIC)])
        raise ArtifactError(f"{name} begins with {shown}", f"an index, which begins with {MAGIC!r}", AGAIN)
    end = first + int.from_bytes(start[len(MAGIC) :], "little")
    try:
        header = msgspec.json.decode(data[first:end].tobytes(), type=Header) if end <= data.size else None
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise ArtifactError(f"{name} has a damaged header: {e}", "an index as it was written", AGAIN) from None
    body = data[_aligned(end) :]
    if header is None or len(start) < first or body.size != header.n_bytes:
        whole = f"{_aligned(end) + header.n_bytes} bytes" if header else f"a header of {end} bytes"
        raise ArtifactError(f"{name} has {data.size} bytes, so it was cut short or altered", whole, AGAIN)
    return header, body


def _section(body: NDArray[np.uint8], section: Section, name: str, verify: bool) -> NDArray[Any]:
    dtype = np.dtype(section.dtype)
    n_bytes = int(np.prod(section.shape)) * dtype.itemsize
    raw = body[section.start : section.start + n_bytes]
    if raw.size != n_bytes or (verify and zlib.crc32(raw.data) != section.crc32):
        raise ArtifactError(f"{name} is damaged", "the bytes that were written", AGAIN)
    return raw.view(dtype).reshape(section.shape)


def _finder(held: Held, header: Header, arrays: Mapping[str, NDArray[Any]], name: str) -> Finder:
    own = {key.removeprefix(_OWN): array for key, array in arrays.items() if key.startswith(_OWN)}
    try:
        finder: Finder = INDEXES[held.kind].read(own, held.prepared, held.metric, held.config)
    except (RuntimeError, KeyError) as e:  # faiss's errors, and sections that are not there
        raise ArtifactError(f"{name} cannot be read: {e}", "what this version of faiss wrote", AGAIN) from None
    if finder.shape != (len(held.rows), held.dim):
        raise ArtifactError(f"{name} holds {finder.shape} vectors", f"{(len(held.rows), held.dim)}", AGAIN)
    finder.effort = header.effort
    return finder


def _aligned(n: int) -> int:
    return -(-n // _ALIGN) * _ALIGN
