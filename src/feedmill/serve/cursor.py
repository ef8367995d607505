"""The cursor of a feed: which items earlier pages have shown, in the cursor's own text.

Holding them there keeps the server without sessions: a page follows another after a restart, on another
replica, or a day later. Rows never change their meaning, because the state is a fold of an append-only log.
The last ``IN_ORDER`` keep their order, for rules that count slots over pages; of those before only the set is kept,
which takes half the room.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib

import numpy as np

from feedmill.core.batches import Rows
from feedmill.core.errors import DataError

MAX_SHOWN = 20_000
IN_ORDER = 128
_SIGN_BYTES = 6


def encode(user_id: str, shown: Rows) -> str:
    """Distinct item rows shown so far (int32[S]), in order -> URL-safe text, about 2 bytes an item; "" beyond
    ``MAX_SHOWN``."""
    if len(shown) > MAX_SHOWN:
        return ""
    early, late = shown[:-IN_ORDER], shown[-IN_ORDER:]
    steps = np.diff(np.unique(early), prepend=np.int32(0)).astype("<u4")
    packed = zlib.compress(steps.tobytes() + late.astype("<u4").tobytes(), 6)
    return base64.urlsafe_b64encode(_sign(user_id, packed) + packed).decode().rstrip("=")


def decode(user_id: str, cursor: str, n_items: int) -> Rows:
    """The item rows (int32[S]) that a cursor holds, the last ``IN_ORDER`` as they were shown, those before ascending;
    "" holds none.

    Raises:
        DataError: the text is not a cursor of this user.
    """
    if not cursor:
        return np.zeros(0, np.int32)
    try:
        data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _refuse(cursor) from None
    sign, packed = data[:_SIGN_BYTES], data[_SIGN_BYTES:]
    if sign != _sign(user_id, packed):
        raise _refuse(cursor)
    rows = np.frombuffer(_unpacked(packed, cursor), "<u4").astype(np.int64)
    np.cumsum(rows[:-IN_ORDER], out=rows[:-IN_ORDER])
    if len(rows) and rows.max() >= n_items:
        raise _refuse(cursor)
    return rows.astype(np.int32)


def _sign(user_id: str, packed: bytes) -> bytes:
    """Guards against mix-ups, not attackers: all a forged cursor can do is to hide items from its owner."""
    return hashlib.blake2b(packed, digest_size=_SIGN_BYTES, key=user_id.encode()[:64], person=b"in order").digest()


def _unpacked(packed: bytes, cursor: str) -> bytes:
    """At most what a cursor can hold: a forged one may be made to be unpacked into gigabytes."""
    unpacking = zlib.decompressobj()
    try:
        data = unpacking.decompress(packed, 4 * MAX_SHOWN + 1)
    except zlib.error:
        raise _refuse(cursor) from None
    if len(data) > 4 * MAX_SHOWN or len(data) % 4 or not unpacking.eof:
        raise _refuse(cursor)
    return data


def _refuse(cursor: str) -> DataError:
    return DataError(
        f'cursor = "{cursor[:40]}"', "the cursor of an earlier answer to the same user", "leave it out for a first page"
    )
