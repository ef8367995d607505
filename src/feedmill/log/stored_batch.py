"""A micro-batch as it lies in the file: an Arrow IPC record batch message, as zstd where that saves a page."""

from __future__ import annotations

from zlib import crc32

import pyarrow as pa

from feedmill.core.errors import LogError
from feedmill.core.events import SCHEMA

_ZSTD_BYTES = 4096  # below this compressing saves less than a page
_ZSTD = pa.Codec("zstd", compression_level=1)


def encode(table: pa.RecordBatch) -> tuple[int, int, pa.Buffer]:
    """(raw size, 0 where it is not compressed; crc of the data as stored; data)."""
    raw = table.serialize()
    data, raw_size = (raw, 0) if raw.size < _ZSTD_BYTES else (_ZSTD.compress(raw), raw.size)
    return raw_size, crc32(data), data


def decode(path: str, first: int, raw_size: int, crc: int, data: bytes) -> pa.RecordBatch:
    """The reverse.

    Raises:
        LogError: the data is not what was written; SQLite itself does not notice a flipped bit in a blob.
    """
    if crc32(data) != crc:
        raise LogError(
            f"log {path} is damaged at offset {first}",
            "an undamaged event log",
            "bring it back from a backup",
        )
    raw = pa.py_buffer(data)
    if raw_size:
        raw = pa.decompress(raw, decompressed_size=raw_size, codec="zstd")
    return pa.ipc.read_record_batch(raw, SCHEMA)
