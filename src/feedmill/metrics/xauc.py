"""XAUC: do predicted seconds stand in the right order? Of all rows, and user by user. n rows.

Zhan et al., Deconfounding Duration Bias in Watch-time Prediction, KDD 2022.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from feedmill.core.errors import DataError

Numbers = NDArray[Any]
Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]
Weigh = Literal["rows", "pairs", "users"]


class UserXauc(NamedTuple):
    """XAUC of each user with two different labels: users int64[G], xauc float64[G], n rows and comparable pairs."""

    user: Integers
    xauc: Doubles
    n: Integers
    n_pairs: Doubles


def xauc(actual: Numbers, predicted: Numbers, weight: Numbers | None = None) -> float:
    """The share of pairs of rows with different seconds that predictions put in the right order, ties counting half.

    AUC for a label of many values; the paper estimates it on random pairs, here all are counted, in O(n log n). Pairs
    of equal seconds have no order and do not count. A weighted row counts as that many rows: a pair weighs the product.
    NaN without a pair.

    Args:
        actual: [n] seconds watched.
        predicted: [n], any scale; only their order counts.
        weight: [n] optional row weights.

    Raises:
        DataError: lengths differ, or a number is not finite.
    """
    check(actual, predicted)
    w = np.ones(len(actual)) if weight is None else np.asarray(weight, np.float64)
    right, pairs = pairs_in_order(*by_label(actual, predicted), w[np.argsort(actual, kind="stable")])
    return float(right / pairs) if pairs else float("nan")


def xauc_by_user(user: Numbers, actual: Numbers, predicted: Numbers) -> UserXauc:
    """The XAUC of every user who has two different labels, users ascending.

    Args:
        user: int[n].
    """
    check(actual, predicted)
    if len(user) != len(actual):
        raise DataError(f"{len(user)} users for {len(actual)} rows", "one user for each row")
    by = np.lexsort((actual, user))
    u, y = np.asarray(user)[by].astype(np.int64), np.asarray(actual, np.float64)[by]
    first = np.flatnonzero(np.r_[True, u[1:] != u[:-1]]) if len(u) else np.empty(0, np.int64)
    ends = np.r_[first[1:], len(u)].astype(np.int64)
    right, pairs = _pairs_of_users(first.astype(np.int64), ends, y, np.asarray(predicted, np.float64)[by])
    has = pairs > 0
    return UserXauc(u[first][has], right[has] / pairs[has], (ends - first)[has], pairs[has])


def user_xauc(user: Numbers, actual: Numbers, predicted: Numbers, weigh: Weigh = "rows") -> float:
    """Mean of the users' own XAUCs, each weighing as many rows or pairs as it has, or all the same.

    No credit for telling those who watch much from those who watch little. NaN if no user has two different labels.
    """
    per = xauc_by_user(user, actual, predicted)
    weight = {"rows": per.n, "pairs": per.n_pairs, "users": np.ones(len(per.n))}[weigh]
    return float(np.average(per.xauc, weights=weight)) if len(per.n) else float("nan")


def by_label(actual: Numbers, predicted: Numbers) -> tuple[Doubles, Integers]:
    """Rows by ascending label: labels, and dense ranks of predictions from 0."""
    by = np.argsort(actual, kind="stable")
    rank = np.unique(np.asarray(predicted, np.float64), return_inverse=True)[1].astype(np.int64)
    return np.asarray(actual, np.float64)[by], rank[by]


@njit(cache=True, nogil=True)
def pairs_in_order(y: Doubles, rank: Integers, w: Doubles) -> tuple[float, float]:
    """(weight of pairs in order, weight of all pairs with different labels); rows by ascending label.

    A Fenwick tree over ranks holds the weight of all rows with a lesser label.
    """
    n = len(y)
    width = 0
    for i in range(n):
        width = max(width, rank[i] + 1)
    tree = np.zeros(width + 1)
    below, right, pairs = 0.0, 0.0, 0.0
    start = 0
    while start < n:
        end = start
        while end < n and y[end] == y[start]:
            end += 1
        for i in range(start, end):
            if w[i] != 0.0:
                pairs += w[i] * below
                right += w[i] * (_prefix(tree, rank[i]) + _prefix(tree, rank[i] + 1)) / 2
        for i in range(start, end):
            below += w[i]
            at = rank[i] + 1
            while at <= width:
                tree[at] += w[i]
                at += at & -at
        start = end
    return right, pairs


@njit(cache=True, nogil=True)
def _prefix(tree: Doubles, n: int) -> float:
    """The sum of the first n entries."""
    total = 0.0
    while n > 0:
        total += tree[n]
        n -= n & -n
    return total


@njit(cache=True, nogil=True)
def _pairs_of_users(first: Integers, end: Integers, y: Doubles, p: Doubles) -> tuple[Doubles, Doubles]:
    """The same of every user's rows alone, unweighted."""
    right, pairs = np.zeros(len(first)), np.zeros(len(first))
    for u in range(len(first)):
        own = p[first[u] : end[u]]
        rank = np.searchsorted(np.unique(own), own)
        right[u], pairs[u] = pairs_in_order(y[first[u] : end[u]], rank, np.ones(len(own)))
    return right, pairs


def check(actual: Numbers, predicted: Numbers) -> None:
    """Refuses seconds and predictions that do not belong together.

    Raises:
        DataError: lengths differ, or a number is not finite.
    """
    if len(actual) != len(predicted):
        raise DataError(f"{len(actual)} outcomes for {len(predicted)} predictions", "one of each per row")
    for what, values in (("outcomes", actual), ("predictions", predicted)):
        wrong = int((~np.isfinite(values)).sum())
        if wrong:
            raise DataError(f"{wrong} {what} are not finite", "seconds", "leave out rows that are not known")
