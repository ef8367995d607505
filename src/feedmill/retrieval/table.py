"""A sparse table of users x items, laid out for walking it from both sides in compiled code."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Rows

Indices = NDArray[np.uint32]  # unsigned: compiled code asks of a signed index whether it counts from the end


class Table(NamedTuple):
    """A sparse matrix of users x items from both its sides; user u has ``user_ptr[u]:user_ptr[u+1]``.

    Items stand at places by falling popularity, so that the sums that are added to most share cache lines.
    """

    items: Rows  # int32[n_items] the item at each place
    user_ptr: Indices  # [n_users + 1]
    user_places: Indices  # [n], of each user ascending
    user_values: Floats  # [n], or empty where the values of each user are all alike
    item_ptr: NDArray[np.int64]  # [n_items + 1], by place
    item_users: Indices  # [n]
    item_values: Floats  # [n]

    @staticmethod
    def of(user: Rows, item: Rows, values: Floats, n_users: int, n_items: int) -> Table:
        """Fewer than 2^32 entries in any order; each (user, item) once."""
        counts = np.bincount(item, minlength=n_items)
        items = np.argsort(-counts, kind="stable").astype(np.int32)
        place = np.empty(n_items, np.int32)
        place[items] = np.arange(n_items, dtype=np.int32)
        item_ptr = np.concatenate([[0], np.cumsum(counts[items])]).astype(np.int64)
        user_ptr = np.concatenate([[0], np.cumsum(np.bincount(user, minlength=n_users))]).astype(np.uint32)
        # NumPy asks the system for large pages, which numba does not: a third of the time goes into them else.
        item_users, user_places = np.empty(len(user), np.uint32), np.empty(len(user), np.uint32)
        item_values = np.empty(len(user), np.float32)
        by_item(user, item, values, place, item_ptr, item_users, item_values)
        is_flat = alike(user, values, n_users)
        user_values = np.empty(0 if is_flat else len(user), np.float32)
        by_user(item_ptr, item_users, item_values, user_ptr, user_places, user_values)
        return Table(items, user_ptr, user_places, user_values, item_ptr, item_users, item_values)

    def norms(self) -> NDArray[np.float64]:
        """float64[n_items] by place: the sum of squares of each item's values."""
        return sums_of(self.item_ptr, np.square(self.item_values))

    def counts(self) -> NDArray[np.float64]:
        """float64[n_items] by place: the users of each item."""
        return np.diff(self.item_ptr).astype(np.float64)

    def work(self) -> NDArray[np.float64]:
        """float64[n_items] by place: products to add for each item's row."""
        return products(self.item_ptr, self.item_users, self.user_ptr)


@njit(cache=True, nogil=True)
def by_item(
    user: Rows, item: Rows, values: Floats, place: Rows, ptr: NDArray[np.int64], users: Indices, item_values: Floats
) -> None:
    """Entries grouped by the place of their item, in their order of arrival."""
    end = ptr[:-1].copy()
    for n in range(len(user)):
        p = place[item[n]]
        at = end[p]
        end[p] = at + 1
        users[at], item_values[at] = user[n], values[n]


@njit(cache=True, nogil=True)
def by_user(
    item_ptr: NDArray[np.int64], users: Indices, values: Floats, ptr: Indices, places: Indices, user_values: Floats
) -> None:
    """The same entries grouped by user, places ascending; values where there is room for them."""
    end = ptr[:-1].copy()
    for place in range(len(item_ptr) - 1):
        for p in range(item_ptr[place], item_ptr[place + 1]):
            at = end[users[p]]
            end[users[p]] = at + np.uint32(1)
            places[at] = place
            if len(user_values):
                user_values[at] = values[p]


@njit(cache=True, nogil=True)
def alike(user: Rows, values: Floats, n_users: int) -> bool:
    """Whether each user has one value only."""
    first = np.zeros(n_users, np.float32)
    for n in range(len(user)):
        if first[user[n]] == 0:
            first[user[n]] = values[n]
        elif first[user[n]] != values[n]:
            return False
    return True


@njit(cache=True, nogil=True)
def sums_of(ptr: NDArray[np.int64], values: Floats) -> NDArray[np.float64]:
    """The sum of each group."""
    out = np.zeros(len(ptr) - 1)
    for a in range(len(out)):
        for p in range(ptr[a], ptr[a + 1]):
            out[a] += values[p]
    return out


@njit(cache=True, nogil=True)
def products(item_ptr: NDArray[np.int64], item_users: Indices, user_ptr: Indices) -> NDArray[np.float64]:
    """Entries in the lists of each item's users, added up."""
    out = np.zeros(len(item_ptr) - 1)
    for a in range(len(out)):
        for p in range(item_ptr[a], item_ptr[a + 1]):
            out[a] += user_ptr[item_users[p] + np.uint32(1)] - user_ptr[item_users[p]]
    return out
