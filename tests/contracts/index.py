"""What every kind of vector index must do. ``make`` builds one over the given vectors.

The vectors of the suite have regions, lengths that differ, twins and zeros; there are enough of them that a structure
is asked, and not everything compared, which ``make`` sees to by ``few = 0``.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from feedmill.core.batches import Floats, Mask, Rows
from feedmill.core.clock import rng
from feedmill.core.errors import ArtifactError, DataError
from feedmill.retrieval.index import VectorIndex, stored

Make = Callable[[Floats], VectorIndex]
N, DIM = 1200, 10


@cache
def vectors() -> Floats:
    """float32[N, DIM] around 20 centres; row 0 would be the best for many, 5 and 6 are zero, 100 to 119 are twins."""
    draw = rng(1, "vectors")
    centres = draw.standard_normal((20, DIM))
    out = centres[draw.integers(0, 20, N)] + 0.4 * draw.standard_normal((N, DIM))
    out *= np.exp(0.1 * draw.standard_normal((N, 1)))
    out[0], out[5:7], out[100:120] = 9 * out[7], 0, out[100]
    return np.asarray(out, np.float32)


@cache
def queries() -> Floats:
    """float32[13, DIM]: some like items, some like nothing."""
    draw = rng(2, "queries")
    near = vectors()[draw.integers(1, N, 8)] + 0.1 * draw.standard_normal((8, DIM))
    return np.concatenate([near, draw.standard_normal((4, DIM)), vectors()[100:101]]).astype(np.float32)


def exact(index: VectorIndex, of: Floats, query: Floats) -> Floats:
    """float64[len(of)]: scores by their definition."""
    x, q = of.astype(np.float64), query.astype(np.float64)
    if index.metric == "l2":
        return np.asarray(-((x - q) ** 2).sum(1), np.float32)
    products = x @ q
    if index.metric == "cosine":
        products /= np.maximum(np.linalg.norm(x, axis=1) * np.linalg.norm(q), 1e-12)
    return np.asarray(products, np.float32)


def answer(index: VectorIndex, of: Floats, k: int, keep: Mask | None = None) -> tuple[Rows, Floats]:
    """An answer, checked against all that is always promised."""
    asked = queries()
    rows, scores = index.search(asked, k, keep)
    there = of.any(axis=1)
    there[:1] = False
    if keep is not None:
        there &= keep
    n = min(k, int(there.sum()))
    assert rows.shape == scores.shape == (len(asked), min(k, len(index)))
    assert rows.dtype == np.int32
    assert scores.dtype == np.float32
    assert (rows[:, n:] == 0).all()
    assert np.isneginf(scores[:, n:]).all()
    for query, found, said in zip(asked, rows[:, :n], scores[:, :n], strict=True):
        assert there[found].all(), "only what is kept, never row 0, never a zero vector"
        assert len(np.unique(found)) == n, "never fewer than there are"
        np.testing.assert_allclose(said, exact(index, of[found], query), rtol=1e-4, atol=1e-4)
        assert (np.diff(said) <= 0).all(), "best first"
        ties = np.flatnonzero(np.diff(said) == 0)
        assert (found[ties] < found[ties + 1]).all(), "equal ones by row"
    return rows, scores


def check_limits(make: Make) -> None:
    index = make(vectors())
    assert len(index) == N - 3
    assert index.n_rows == N
    for k in (0, 1, 60):
        answer(index, vectors(), k)


def check_everything_and_more(make: Make) -> None:
    index = make(vectors())
    assert answer(index, vectors(), N - 3)[0].shape == answer(index, vectors(), 10 * N)[0].shape == (13, N - 3)


def check_recall(make: Make) -> None:
    index = make(vectors())
    rows, _ = answer(index, vectors(), 20)
    hits = []
    for query, found in zip(queries(), rows, strict=True):
        scores = np.where(vectors().any(1), exact(index, vectors(), query), -np.inf)
        scores[0] = -np.inf
        hits.append((scores[found] >= np.sort(scores)[-20] - 1e-4).mean())
    assert np.mean(hits) > 0.75, "a third of the queries is like no item"
    assert index.report["recall"] > 0.9
    assert index.report["n_items"] == N - 3


def check_masks_leave_k(make: Make) -> None:
    index = make(vectors())
    for part, k in ((0.8, 1), (0.5, 30), (0.2, 15), (0.05, 30), (0.01, 30), (0.0, 5)):
        answer(index, vectors(), k, rng(3, "keep").random(N) < part)


def check_twins(make: Make) -> None:
    """Twenty equal vectors: the lowest rows of what was found come first, with one score."""
    rows, scores = make(vectors()).search(queries()[-1:], 20)
    if rows[0, 0] in range(100, 120) and make(vectors()).metric != "inner_product":
        assert rows[0].tolist() == list(range(100, 120))
    assert len(set(scores[0, np.isin(rows[0], range(100, 120))].tolist())) <= 1


def check_empty(make: Make) -> None:
    for nothing in (np.zeros((0, 4)), np.ones((1, 4)), np.zeros((30, 4))):
        index = make(nothing.astype(np.float32))
        assert len(index) == 0
        assert index.search(np.ones((2, 4), np.float32), 10)[0].shape == (2, 0)
        index.add(np.array([2]), np.ones((1, 4), np.float32))
        assert index.search(np.ones((1, 4), np.float32), 10)[0].tolist() == [[2]]


def check_few(make: Make) -> None:
    for n in (2, 3, 40):
        index = make(vectors()[10 : 10 + n])
        rows, _ = index.search(queries(), 100)
        assert (np.sort(rows, axis=1) == np.arange(1, n)).all()
        assert (rows == make(vectors()[10 : 10 + n]).search(queries(), 100)[0]).all()


def check_all_alike(make: Make) -> None:
    rows, scores = make(np.ones((500, 4), np.float32)).search(np.ones((1, 4), np.float32), 7)
    assert len(set(rows[0].tolist())) == 7
    assert len(set(scores[0].tolist())) == 1


def check_no_query(make: Make) -> None:
    assert make(vectors()).search(np.zeros((0, DIM), np.float32), 3)[0].shape == (0, 3)


def check_bad_input(make: Make) -> None:
    index = make(vectors())
    for bad in (np.nan, np.inf):
        with pytest.raises(DataError, match="query is not finite"):
            index.search(np.full((1, DIM), bad, np.float32), 3)
        broken = vectors().copy()
        broken[3, 1] = bad
        with pytest.raises(DataError, match="row 3 is not finite"):
            make(broken)
        with pytest.raises(DataError, match="vector 1 is not finite"):
            index.add(np.array([7, 8]), np.array([[1] * DIM, [bad] * DIM], np.float32))
    with pytest.raises(DataError, match="N x D"):
        make(np.zeros(3, np.float32))
    with pytest.raises(DataError, match=f"R x {DIM}"):
        index.search(np.ones((1, 3), np.float32), 3)
    with pytest.raises(DataError, match=f"{N} rows"):
        index.search(queries(), 3, np.ones(N - 1, bool))
    with pytest.raises(DataError, match=f"1 x {DIM}"):
        index.add(np.array([7]), np.ones((1, 3), np.float32))
    for rows in ([0], [-1], [3, 3], [0.5], [[1]]):
        with pytest.raises(DataError, match="rows"):
            index.remove(np.array(rows))
    answer(index, vectors(), 10)


def check_add_and_remove(make: Make) -> None:
    """Against a table that is changed alike, in steps small enough to stay beside the structure, and larger ones."""
    index, table = make(vectors()), vectors().copy()
    draw = rng(4, "changes")
    for n, n_new in ((5, 1), (30, 3), (300, 50), (5, 0)):
        rows = np.concatenate([draw.choice(len(table) - 1, n, replace=False) + 1, len(table) + np.arange(n_new)])
        fresh = draw.standard_normal((len(rows), DIM)).astype(np.float32)
        fresh[0] = 0
        table = np.concatenate([table, np.zeros((n_new, DIM), np.float32)])
        table[rows] = fresh
        index.add(rows, fresh)
        out = draw.choice(len(table) - 1, n, replace=False) + 1
        n_there = int(table[out].any(1).sum())
        table[out] = 0
        assert index.remove(out) == n_there
        assert index.remove(out) == 0
        assert len(index) == np.count_nonzero(table[1:].any(1))
        assert index.n_rows == len(table)
        answer(index, table, 30)
        answer(index, table, 30, draw.random(len(table)) < 0.3)
    answer(index, table, len(table))


def check_what_is_added_is_found(make: Make) -> None:
    index = make(vectors())
    fresh = 3 * rng(5, "fresh").standard_normal((4, DIM)).astype(np.float32)
    index.add(np.array([N + 3, N, N + 1, N + 2]), fresh)
    if index.metric != "inner_product":
        assert index.search(fresh, 1)[0][:, 0].tolist() == [N + 3, N, N + 1, N + 2]
    index.remove(np.arange(1, N + 4))
    assert len(index) == 0
    assert index.search(fresh, 5)[0].shape == (4, 0)


def check_saved_and_mapped(make: Make, folder: Path) -> None:
    index = make(vectors())
    index.add(np.array([N + 1, 7]), 2 * vectors()[[8, 9]])
    index.remove(np.array([30, 31]))
    index.save(folder / "index")
    opened = VectorIndex(stored.read(folder / "index"), few=0)
    assert (opened.kind, opened.metric, len(opened), opened.n_rows) == (
        index.kind, index.metric, len(index), index.n_rows,
    )  # fmt: skip
    assert opened.report == index.report
    for a, b in zip(index.search(queries(), 40), opened.search(queries(), 40), strict=True):
        np.testing.assert_array_equal(a, b)
    opened.add(np.array([N + 5]), vectors()[8:9])
    assert len(opened) == len(index) + 1
    assert [p.name for p in folder.iterdir()] == ["index"]


def check_a_file_cut_short(make: Make, folder: Path) -> None:
    path = folder / "index"
    make(vectors()[:500]).save(path)
    whole = path.read_bytes()
    for n in (0, 5, 20, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:n])
        with pytest.raises(ArtifactError) as error:
            VectorIndex.open(path)
        assert "feedmill train" in error.value.fix
    for at in (30, len(whole) // 3, len(whole) - 200):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(ArtifactError):
            VectorIndex.open(path)


def check_threads(make: Make) -> None:
    """Searches from many threads while rows come and go and a whole other version is swapped in: each answer is of
    one version."""
    index, other = make(vectors()), make(np.ascontiguousarray(vectors()[::-1]))
    old, new = index.search(queries(), 10), other.search(queries(), 10)
    seen = {"old": 0, "new": 0}

    def search(i: int) -> None:
        if i == 20:
            index.swap(other)
        rows, scores = index.search(queries(), 10)
        match = [n for n, (r, s) in (("old", old), ("new", new)) if (r == rows).all() and (s == scores).all()]
        assert match, "an answer of no version"
        seen[match[0]] += 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(search, range(40)))
    assert seen["old"] > 0
    assert seen["new"] > 0


CHECKS = [check for name, check in list(vars().items()) if name.startswith("check_")]
