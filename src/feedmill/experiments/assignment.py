"""Which bucket a user falls into: a function of the user's id and a salt, and of nothing else.

The id is hashed once (BLAKE2b, 64 bits); each layer mixes the hash with its own salt (the finalizer of splitmix64,
Steele et al. 2014) and takes the top of its product with the number of buckets. Every step is fixed for ever: a
change of any would put every user into another bucket.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedmill.core.errors import DataError

Hashes = NDArray[np.uint64]
PARTS = 10_000  # buckets of the holdout and of reverse buckets: shares to a hundredth of a percent
_ALL = (1 << 64) - 1
_A, _B = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def user_hash(user_id: Any) -> int:
    """64 bits of a user id; the whole number 7 and the text "7" are the same user.

    Raises:
        DataError: neither text nor a whole number, or empty.
    """
    return int.from_bytes(_digest(user_id), "little")


def hashes(user_ids: Iterable[Any]) -> Hashes:
    """uint64[n]: ``user_hash`` of each.

    Raises:
        DataError: as ``user_hash``.
    """
    if hasattr(user_ids, "tolist"):  # NumPy's numbers become Python's
        user_ids = user_ids.tolist()
    elif hasattr(user_ids, "to_pylist"):
        user_ids = user_ids.to_pylist()
    return np.frombuffer(b"".join([_digest(i) for i in user_ids]), "<u8").astype(np.uint64, copy=False)


def bucket(user: int, salt: str, n: int) -> int:
    """The bucket 0 to n - 1 of a user's hash under a salt."""
    return mixed(user, salt_bits(salt), n)


def buckets(users: Hashes, salt: str, n: int) -> NDArray[np.int32]:
    """int32[n]: ``bucket`` of each, exactly."""
    z = users ^ np.uint64(salt_bits(salt))
    z = (z ^ (z >> np.uint64(30))) * np.uint64(_A)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(_B)
    z ^= z >> np.uint64(31)
    low = ((z & np.uint64(0xFFFFFFFF)) * np.uint64(n)) >> np.uint64(32)
    return (((z >> np.uint64(32)) * np.uint64(n) + low) >> np.uint64(32)).astype(np.int32)


def mixed(user: int, salt: int, n: int) -> int:
    """``bucket`` with the salt as ``salt_bits``: what a request pays for each layer."""
    z = user ^ salt
    z = (z ^ (z >> 30)) * _A & _ALL
    z = (z ^ (z >> 27)) * _B & _ALL
    return (z ^ (z >> 31)) * n >> 64


@lru_cache(maxsize=4096)
def salt_bits(salt: str) -> int:
    """64 bits of a salt; of another family of hashes than user ids."""
    return int.from_bytes(blake2b(salt.encode(), digest_size=8, person=b"feedmill salt").digest(), "little")


def _digest(user_id: Any) -> bytes:
    text = user_id if isinstance(user_id, str) else _text(user_id)
    if not text:
        raise DataError('user_id = ""', "text, or a whole number", 'an id of your own, such as "guest"')
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _text(user_id: Any) -> str:
    if isinstance(user_id, int | np.integer) and not isinstance(user_id, bool):
        return str(int(user_id))
    shown = f"user_id = {user_id!r}"[:120]
    raise DataError(f"{shown} ({type(user_id).__name__})", "text, or a whole number", "give the id that the log has")
