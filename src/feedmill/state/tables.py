"""The arrays of a state and how they grow: by doubling, so that a fold of one event costs what it folds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import LANES
from feedmill.core.errors import ArtifactError
from feedmill.state.arrays import BLOCK, NEVER, RARE, TOPIC_WIDTH, Arrays
from feedmill.state.config import StateConfig

SMALLEST = 16  # rows an array starts with

# Every array's axes, by the name of what they count or a fixed length, its type, and what an empty row holds.
LAYOUT: dict[str, tuple[tuple[str | int, ...], Any, Any]] = {
    "heads": (("users", len(LANES) + 2), np.int32, 0),
    "recent": (("users", RARE, "history"), np.int32, 0),
    "recent_ms": (("users", RARE, "history"), np.int64, 0),
    "rare": (("users", len(LANES) - RARE, "history"), np.int32, 0),
    "rare_ms": (("users", len(LANES) - RARE, "history"), np.int64, 0),
    "seen": (("blocks", BLOCK), np.int32, 0),
    "n_blocks": ((1,), np.int64, 1),
    "user_ms": (("users",), np.int64, NEVER),
    "user_sums": (("users", "counts"), np.float64, 0),
    "user_first_ms": (("users",), np.int64, 0),
    "item_ms": (("items",), np.int64, NEVER),
    "item_sums": (("items", "counts"), np.float64, 0),
    "author_ms": (("authors",), np.int64, NEVER),
    "author_sums": (("authors", "counts"), np.float64, 0),
    "topic_ms": (("topics",), np.int64, NEVER),
    "topic_sums": (("topics", "counts"), np.float64, 0),
    "pair_keys": (("pairs",), np.int64, 0),
    "pair_ms": (("pairs",), np.int64, NEVER),
    "pair_sums": (("pairs", "counts"), np.float64, 0),
    "author": (("items",), np.int32, 0),
    "last_author": (("items",), np.int32, 0),
    "topics": (("items", TOPIC_WIDTH), np.int32, 0),
    "publish_ms": (("items",), np.int64, 0),
    "duration_s": (("items",), np.float32, np.nan),
    "available": (("items",), np.bool_, True),
    "item_codes": (("item_attributes", "items"), np.int32, 0),
    "user_codes": (("user_attributes", "users"), np.int32, 0),
}


def layout() -> str:
    """Hex digest of the above: a snapshot of other arrays is refused, whether or not its version was raised."""
    plain = {name: [list(axes), np.dtype(dtype).str, str(fill)] for name, (axes, dtype, fill) in LAYOUT.items()}
    return hashlib.sha256(msgspec.json.encode(plain, order="sorted")).hexdigest()[:16]


class Sizes(NamedTuple):
    """Live lengths, row 0 included."""

    users: int = 1
    items: int = 1
    authors: int = 1
    topics: int = 1
    blocks: int = 1
    item_attributes: int = 0
    user_attributes: int = 0


class Tables:
    """The arrays of one state and their live lengths; arrays are longer, and all of an axis equally long."""

    def __init__(self, config: StateConfig) -> None:
        self._fixed = {"history": config.history_len, "counts": len(config.count_names), "pairs": config.n_pairs}
        self.sizes = Sizes()
        self._capacity = Sizes(*[SMALLEST] * len(Sizes()))
        self.arrays = Arrays(**{name: self._empty(name) for name in LAYOUT})
        self.arrays.available[0] = False

    def reserve(self, sizes: Sizes, n_events: int = 0) -> None:
        """Make room for the given lengths, and for ``n_events`` entries in the blocks of what users have seen."""
        # A user's entries fill whole blocks but for the last, so there are at most this many new ones.
        blocks = int(self.arrays.n_blocks[0]) + n_events // (BLOCK - 1) + min(n_events, sizes.users)
        wanted, have = sizes._replace(blocks=blocks), self._capacity
        self.sizes = sizes
        if any(w > h for w, h in zip(wanted, have, strict=True)):
            self._capacity = Sizes(*(h if h >= w else max(w, 2 * h) for w, h in zip(wanted, have, strict=True)))
            self.arrays = Arrays(**{name: self._grown(name) for name in LAYOUT})

    def live(self) -> dict[str, NDArray[Any]]:
        """Copies of every array at its live length; of the rings, int32/int64[n] of the slots in use."""
        sizes = self.sizes._replace(blocks=int(self.arrays.n_blocks[0]))
        out = {name: getattr(self.arrays, name)[_slices(self._shape(name, sizes))] for name in LAYOUT}
        heads = out["heads"]
        return {n: a[self._used(n, heads)] if n in RINGS else np.ascontiguousarray(a).copy() for n, a in out.items()}

    def restore(self, sizes: Sizes, live: Mapping[str, NDArray[Any]]) -> None:
        """The reverse of ``live``.

        Raises:
            ArtifactError: an array is missing or has not the shape and type it must have.
        """
        sizes = sizes._replace(blocks=int(live["n_blocks"][0]))
        arrays = {}
        for name, (_, dtype, _fill) in LAYOUT.items():
            array, shape = live[name], self._shape(name, sizes)
            if name in RINGS:
                used = self._used(name, live["heads"])
                full = np.zeros(shape, dtype)
                full[used] = array
                array = full
            if array.shape != shape or array.dtype != dtype:
                raise ArtifactError(f"{name} is {array.dtype}{array.shape}", f"{np.dtype(dtype)}{shape}")
            arrays[name] = np.require(array, requirements=["C", "A", "W", "O"])
        self.sizes, self._capacity, self.arrays = sizes, sizes, Arrays(**arrays)

    def _used(self, name: str, heads: NDArray[np.int32]) -> NDArray[np.bool_]:
        size = self._fixed["history"]
        return np.asarray(np.arange(size) < np.minimum(heads[:, RINGS[name]], size)[..., None])

    def _shape(self, name: str, sizes: Sizes) -> tuple[int, ...]:
        known = {**sizes._asdict(), **self._fixed}
        return tuple(axis if isinstance(axis, int) else known[axis] for axis in LAYOUT[name][0])

    def _grown(self, name: str) -> NDArray[Any]:
        old: NDArray[Any] = getattr(self.arrays, name)
        if old.shape == self._shape(name, self._capacity):
            return old
        new = self._empty(name)
        if RINGS.get(name) == RARELY:  # copying all of it would take the memory of what nobody has touched
            users = np.flatnonzero(self.arrays.heads[:, RARELY].any(axis=1))
            new[users] = old[users]
        else:
            new[_slices(old.shape)] = old
        return new

    def _empty(self, name: str) -> NDArray[Any]:
        (_, dtype, fill), shape = LAYOUT[name], self._shape(name, self._capacity)
        return np.full(shape, fill, dtype) if fill else np.zeros(shape, dtype)  # zeros cost no memory until used


OFTEN, RARELY = slice(0, RARE), slice(RARE, len(LANES))  # columns of ``heads``
RINGS = {"recent": OFTEN, "recent_ms": OFTEN, "rare": RARELY, "rare_ms": RARELY}


def _slices(shape: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(slice(n) for n in shape)
