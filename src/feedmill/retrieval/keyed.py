"""Items by key (author, topic, place), each key's best first, kept up with the catalogue while the log grows."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Rows
from feedmill.state import State

FEW = 1024  # items whose change is noted one by one; more are sorted in with everything
EIGHTH = 8  # changes are kept aside up to this part of the whole, so that sorting everything costs O(1) for each

Doubles = NDArray[np.float64]
KeysOf = Callable[[Rows], Rows]
"""Item rows int32[n] -> their keys int32[n, width], 0 = none."""
OrderOf = Callable[[Rows], Doubles]
"""Item rows int32[n] -> float64[n], the higher the better."""


class Lists(NamedTuple):
    """The lists of Q keys: each is a range of ``item`` and one of ``new_item``, both by order, then row.

    Attributes:
        begin, end: int64[Q] into ``item`` and ``order``.
        moved: bool[N] rows that do not stand any more where ``item`` has them.
        new_start: int64[Q + 1] into ``new_item`` and ``new_order``.
    """

    begin: NDArray[np.int64]
    end: NDArray[np.int64]
    item: Rows
    order: Doubles
    moved: NDArray[np.bool_]
    new_start: NDArray[np.int64]
    new_item: Rows
    new_order: Doubles


class KeyedItems:
    """Every item under its keys. What ITEM events change is taken in when lists are next asked for, at a cost that
    goes with the changes and not with the catalogue. Threads may share it.

    Args:
        state: whose catalogue is followed.
        keys_of: what an item stands under; called with ``state.lock`` held.
        order_of: where among those of the same key.
    """

    def __init__(self, state: State, keys_of: KeysOf, order_of: OrderOf) -> None:
        self._state, self._keys_of, self._order_of = state, keys_of, order_of
        self._lock = Lock()
        with self._lock, state.lock:
            self._sort()

    def lists(self, keys: Rows) -> Lists:
        """The lists of keys int32[Q], as of now; a key that nothing has is an empty list."""
        with self._lock:
            if self._state.catalogue.described.n != self._n_described:
                with self._state.lock:
                    self._follow()
            known = np.where(keys < len(self._start) - 1, keys, 0)  # nothing stands under key 0
            new = [self._new.get(key, _NONE) for key in keys.tolist()]
            rows = [row for entries in new for _, row in entries]
            order = [-minus for entries in new for minus, _ in entries]
            return Lists(
                begin=self._start[known],
                end=self._start[known + 1],
                item=self._item,
                order=self._order,
                moved=self._moved,
                new_start=np.cumsum([0, *map(len, new)]).astype(np.int64),
                new_item=np.array(rows, np.int32),
                new_order=np.array(order, np.float64),
            )

    def _sort(self) -> None:
        """Everything anew."""
        catalogue = self._state.catalogue
        self._n_described = catalogue.described.n
        rows = np.arange(1, len(catalogue.available), dtype=np.int32)
        order = self._order_of(rows)
        best = np.argsort(-order, kind="stable")
        keys = self._keys_of(rows)[best]
        place, _ = np.nonzero(keys)
        key = keys[keys != 0]
        by_key = np.argsort(key, kind="stable")
        at = best[place[by_key]]
        n_keys = int(key.max(initial=0)) + 1
        self._start = np.concatenate([[0], np.cumsum(np.bincount(key, minlength=n_keys))]).astype(np.int64)
        self._item, self._order = _fixed(rows[at]), _fixed(order[at])
        self._moved = np.zeros(len(rows) + 1, np.bool_)
        self._new: dict[int, list[tuple[float, int]]] = {}  # by key: minus the order, and the row, ascending
        self._keys_of_new: dict[int, list[int]] = {}

    def _follow(self) -> None:
        """Take in what has been described since."""
        described = self._state.catalogue.described
        rows = described.since(self._n_described)
        if rows is None or len(rows) > FEW or len(self._keys_of_new) * EIGHTH > max(FEW, len(self._item)):
            self._sort()
            return
        self._n_described = described.n
        changed: set[int] = set()
        for row, minus, keys in zip(
            rows.tolist(), (-self._order_of(rows)).tolist(), self._keys_of(rows).tolist(), strict=True
        ):
            for key in self._keys_of_new.pop(row, ()):
                self._new[key] = [entry for entry in self._new[key] if entry[1] != row]
            if row < len(self._moved):
                self._moved[row] = True
            self._keys_of_new[row] = kept = [key for key in dict.fromkeys(keys) if key]
            for key in kept:
                self._new.setdefault(key, []).append((minus, row))
            changed.update(kept)
        for key in changed:
            self._new[key].sort()


def newest(state: State) -> OrderOf:
    """Later published is better; items whose time is not known come last."""

    def order(rows: Rows) -> Doubles:
        publish_ms = state.catalogue.publish_ms[rows]
        return np.where(publish_ms == 0, UNKNOWN, publish_ms).astype(np.float64)

    return order


def scored(scores: NDArray[Any]) -> OrderOf:
    """A number per item row; items newer than the numbers come last, with 0."""

    def order(rows: Rows) -> Doubles:
        out = np.zeros(len(rows))
        known = rows < len(scores)
        out[known] = scores[rows[known]]
        return out

    return order


UNKNOWN = -(2**62)  # a time before all others
_NONE: list[tuple[float, int]] = []


def _fixed(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array
