"""What a model makes of each item beforehand, when it is published, kept right while the catalogue goes on.

A row is looked up as long as the item's ids are those it was made of. Items that came later, or were described anew,
are made on demand and remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock

import numpy as np
from numba import njit
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Rows
from feedmill.core.errors import ArtifactError
from feedmill.core.protocols import Arrays
from feedmill.state import State

CHUNK = 65_536  # items looked at together
KEYS = "item_keys"
STORED, TO_MAKE = -1, -2  # in ``_place``; from 0 on: rows made here

Keys = NDArray[np.uint64]
IdsOf = Callable[[Rows], Rows]  # int32[n] items -> int32[n, W] ids
Make = Callable[[Rows], Sequence[Floats]]  # int32[n] items -> for each array its rows


class ItemParts:
    """Rows of one or more arrays by item.

    Args:
        arrays: a part's; ``names`` are float[N, …] by item row, ``item_keys`` uint64[N] what they were made of.
        ids_of: the ids that the model reads of items, as they are now.
        make: what the model makes of items, as they are now.

    Raises:
        ArtifactError: arrays are missing, or of other lengths.
    """

    def __init__(self, arrays: Arrays, names: Sequence[str], state: State, ids_of: IdsOf, make: Make) -> None:
        for name in (*names, KEYS):
            if name not in arrays:
                raise ArtifactError(f"a part without the array {name}", "what `feedmill train` stores", "train again")
        for name in names:
            if len(arrays[name]) != len(arrays[KEYS]):
                raise ArtifactError(
                    f"{name} has {len(arrays[name])} rows", f"{len(arrays[KEYS])}, as {KEYS} has", "train again"
                )
        self._stored = [np.asarray(arrays[name]) for name in names]
        self._keys: Keys = np.asarray(arrays[KEYS])
        self._state, self._ids_of, self._make, self._lock = state, ids_of, make, Lock()
        self._made = [np.zeros((0, *a.shape[1:]), np.float32) for a in self._stored]
        self._n_made, self._n_described = 0, state.catalogue.described.n
        self._place = np.zeros(0, np.int32)
        self._look_again(None)

    @property
    def n_made(self) -> int:
        """Rows that were made since this was opened."""
        return self._n_made

    def rows(self, items: Rows) -> list[Floats]:
        """Of each array float32[C, …]; items that the state has not met are made of nothing but unknown ids."""
        place, made = self._current(items)
        at = place.take(items)
        own = at >= 0
        if not own.any():
            return [taken(a, items) for a in self._stored]
        out = [taken(a, np.where(own, 0, items)) for a in self._stored]
        for to, source in zip(out, made, strict=True):
            to[own] = source[at[own]]
        return out

    def _current(self, items: Rows) -> tuple[Rows, list[Floats]]:
        """Where each item's row is, after making those that are not there yet."""
        if self._n_described == self._state.catalogue.described.n and items.max(initial=0) < len(self._place):
            place, made = self._place, self._made
            if (place.take(items) != TO_MAKE).all():
                return place, made
        with self._lock:
            n = self._state.catalogue.described.n
            if n != self._n_described:
                self._look_again(self._state.catalogue.described.since(self._n_described))
                self._n_described = n
            self._extend(int(items.max(initial=0)) + 1)
            new = np.unique(items[self._place[items] == TO_MAKE])
            if len(new):
                self._add(new)
            return self._place, self._made

    def _look_again(self, items: Rows | None) -> None:
        """Which of some items are no longer what their rows were made of; None = look at all of them."""
        n = max(len(self._keys), len(self._state.items), len(self._place))
        self._extend(n)
        place = self._place.copy()
        for low in range(0, n if items is None else len(items), CHUNK):
            rows = np.arange(low, min(low + CHUNK, n), dtype=np.int32) if items is None else items[low : low + CHUNK]
            rows = rows[rows < min(len(self._keys), len(self._state.items))]
            same = keys_of(self._ids_of(rows)) == self._keys[rows]
            place[rows] = np.where(same, STORED, TO_MAKE)
        if items is not None:
            place[items[items >= len(self._keys)]] = TO_MAKE
        else:
            place[len(self._keys) :] = TO_MAKE
        self._place = place

    def _extend(self, n: int) -> None:
        if n > len(self._place):
            more = np.full(max(n, len(self._place) * 5 // 4) - len(self._place), TO_MAKE, np.int32)
            self._place = np.concatenate([self._place, more])

    def _add(self, new: Rows) -> None:
        """Others may be reading the old arrays: these are replaced, and rows in use are never written again."""
        low, high = self._n_made, self._n_made + len(new)
        if high > len(self._made[0]):
            room = max(high, 2 * len(self._made[0]), 64)
            self._made = [_grown(a, room) for a in self._made]
        known = np.where(new < len(self._state.items), new, 0).astype(np.int32)
        for to, rows in zip(self._made, self._make(known), strict=True):
            to[low:high] = rows
        place = self._place.copy()
        place[new] = np.arange(low, high)
        self._n_made, self._place = high, place


def taken(stored: NDArray[np.floating], items: Rows) -> Floats:
    """float32[n, …] rows of float32 or float16; of the latter NumPy alone would take ten times as long."""
    if stored.dtype != np.float16:
        return np.asarray(stored.take(items, axis=0), np.float32)
    flat = stored.reshape(len(stored), -1).view(np.uint16)
    out = np.empty((len(items), flat.shape[1]), np.uint32)
    spread(flat, items, out)
    values: Floats = out.view(np.float32)
    values *= np.float32(2.0**112)  # between the two biases of the exponent; exact
    return values.reshape(len(items), *stored.shape[1:])


@njit(cache=True, nogil=True)
def spread(stored: NDArray[np.uint16], items: Rows, out: NDArray[np.uint32]) -> None:
    """Sign, exponent and fraction of finite halves moved to where a float32 has them."""
    for r in range(len(items)):
        i = items[r]
        for j in range(stored.shape[1]):
            bits = np.uint32(stored[i, j])
            sign, rest = bits & np.uint32(0x8000), bits & np.uint32(0x7FFF)
            out[r, j] = (sign << np.uint32(16)) | (rest << np.uint32(13))


def _grown(array: Floats, n: int) -> Floats:
    out = np.zeros((n, *array.shape[1:]), np.float32)
    out[: len(array)] = array
    return out


@njit(cache=True, nogil=True)
def keys_of(ids: Rows) -> Keys:
    """uint64[n]: rows of ids that differ have different keys, but for one in 2^64 (FNV-1a)."""
    out = np.empty(len(ids), np.uint64)
    for r in range(len(ids)):
        key = np.uint64(14695981039346656037)
        for j in range(ids.shape[1]):
            key = (key ^ np.uint64(ids[r, j])) * np.uint64(1099511628211)
        out[r] = key
    return out
