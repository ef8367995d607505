"""The kernel itself, on tables large enough that rows have hot places, noted ones, or both."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from feedmill.retrieval import similarity
from feedmill.retrieval.similarity import CHUNK, hot_places, similar
from feedmill.retrieval.table import Table

N_USERS, N_ITEMS = 4000, 2 * CHUNK + 100


def zipf(n: int, n_items: int, values: NDArray[np.float32] | None = None) -> tuple[Table, NDArray[np.float64]]:
    """A log whose few popular items are liked by most, as a table and as its entries float64[3, n]."""
    draw = np.random.default_rng(5)
    item = np.minimum(draw.zipf(1.3, n), n_items) - 1
    pair = np.unique(draw.integers(0, N_USERS, n) * n_items + (item * 7919) % n_items)
    user, item = (pair // n_items).astype(np.int32), (pair % n_items).astype(np.int32)
    values = np.ones(len(pair), np.float32) if values is None else values[: len(pair)]
    entries = np.array([user, item, values], np.float64)
    return Table.of(user, item, values, N_USERS, n_items), entries


def expected(entries: NDArray[np.float64], a: int, n_items: int, k: int, shrinkage: float) -> list[tuple[int, float]]:
    """The k best of item a, straight from the definition."""
    user, item, values = entries[0].astype(int), entries[1].astype(int), entries[2]
    norm = np.bincount(item, values**2, n_items)
    own = np.zeros(N_USERS)
    own[user[item == a]] = values[item == a]
    sums = np.bincount(item, own[user] * values, n_items)
    shared = np.bincount(item, own[user] > 0, n_items)
    sims = sums / np.sqrt(np.maximum(norm * norm[a], 1e-30)) * (shared / np.maximum(shared + shrinkage, 1e-30))
    sims[a] = 0
    sims = sims.astype(np.float32).astype(np.float64)
    best = np.lexsort((np.arange(n_items), -sims))[:k]
    return [(int(b), float(sims[b])) for b in best if sims[b] > 0]


@pytest.mark.parametrize("shrinkage", [0.0, 2.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_equals_the_definition_where_rows_are_long(shrinkage: float, weighted: bool) -> None:
    values = np.random.default_rng(1).random(60_000).astype(np.float32) + 0.5 if weighted else None
    table, entries = zipf(60_000, N_ITEMS, values)
    heads = hot_places(table, table.work())
    assert len(set(heads.tolist())) > 1, "rows with and without noted sums"
    left = (1 / np.sqrt(np.maximum(table.norms(), 1e-9))).astype(np.float32)
    neighbours, sims = similar(table, left, left, shrinkage, 1.0, 20)
    for place in [0, 1, 2, 5, 50, 500, 2000]:
        a = int(table.items[place])
        best = expected(entries, a, N_ITEMS, 20, shrinkage)
        n = len(best)
        np.testing.assert_allclose(sims[a, :n], [sim for _, sim in best], rtol=2e-5)
        assert (sims[a, n:] == 0).all()
        if not weighted and shrinkage == 0:  # sums of ones are exact, so that even ties must agree
            assert neighbours[a, :n].tolist() == [b for b, _ in best]


def test_the_number_of_threads_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    table, _ = zipf(30_000, 3000)
    left = (1 / np.sqrt(np.maximum(table.norms(), 1e-9))).astype(np.float32)
    lists = []
    for n in (1, 3):
        monkeypatch.setattr("feedmill.retrieval.cores.n_cores", lambda n=n: n)
        lists.append(similar(table, left, left, 0.0, 1.0, 10))
    np.testing.assert_array_equal(lists[0][0], lists[1][0])
    np.testing.assert_array_equal(lists[0][1], lists[1][1])


def test_where_sums_are_read_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    table, _ = zipf(30_000, N_ITEMS)
    left = (1 / np.sqrt(np.maximum(table.norms(), 1e-9))).astype(np.float32)
    lists = []
    for sparse in (1e-9, 20, 1e9):  # all noted, some, all read in a row
        monkeypatch.setattr(similarity, "SPARSE", sparse)
        lists.append(similar(table, left, left, 0.0, 1.0, 10))
    for neighbours, sims in lists[1:]:
        np.testing.assert_array_equal(neighbours, lists[0][0])
        np.testing.assert_array_equal(sims, lists[0][1])
