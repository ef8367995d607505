from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import faiss
import numpy as np
import pytest

from feedmill.core.errors import DataError
from feedmill.retrieval.index import VectorIndex
from feedmill.retrieval.index.flat import Flat

VECTORS = np.random.default_rng(0).standard_normal((3000, 8)).astype(np.float32)


def test_a_search_takes_one_openmp_thread_and_leaves_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenMP's setting belongs to the calling thread, so the thread that built the index cannot make it."""
    index, asked = VectorIndex.build(VECTORS, "flat"), []
    find = Flat.find

    def watched(*args: Any) -> Any:
        asked.append(int(faiss.omp_get_max_threads()))
        return find(*args)

    def search() -> int:
        faiss.omp_set_num_threads(2)
        index.search(VECTORS[:1], 3)
        return int(faiss.omp_get_max_threads())

    monkeypatch.setattr(Flat, "find", watched)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(search).result() == 2
    assert asked == [1]


def test_a_new_version_is_swapped_in_under_searches() -> None:
    """Version v gives every item the length v: an answer whose scores are not all of one version would show."""
    line = np.zeros((300, 2), np.float32)
    line[:, 0] = 1
    index, stop, torn = VectorIndex.build(line, "flat"), threading.Event(), []
    seen: set[float] = set()

    def search() -> None:
        while not stop.is_set():
            _, scores = index.search(np.array([[1, 0]], np.float32), 50)
            values = set(scores[0].tolist())
            seen.update(values)
            if len(values) != 1:
                torn.append(values)

    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(search) for _ in range(4)]
        for version in range(2, 14):
            kind = ("flat", "ivf", "lsh")[version % 3]
            index.swap(VectorIndex.build(line * version, kind))
        while len(seen) < 2:
            threading.Event().wait(0.001)
        stop.set()
        for job in jobs:
            job.result()
    assert not torn
    assert index.search(np.array([[1, 0]], np.float32), 1)[1].tolist() == [[13]]


def test_items_come_and_go_under_searches() -> None:
    """Even rows stay; odd ones are taken out and put back."""
    index, stop = VectorIndex.build(VECTORS, "ivf"), threading.Event()
    odd = np.arange(1, 3000, 2)
    even = np.arange(3000) % 2 == 0

    def search() -> int:
        n = 0
        while not stop.is_set():
            rows, _ = index.search(VECTORS[10:11], 40)
            assert (rows > 0).all()
            assert index.search(VECTORS[10:11], 5, even)[0].tolist() == nearest
            n += 1
        return n

    nearest = index.search(VECTORS[10:11], 5, even)[0].tolist()
    with ThreadPoolExecutor(3) as pool:
        jobs = [pool.submit(search) for _ in range(3)]
        for part in np.array_split(odd, 8):
            index.remove(part)
            index.add(part, VECTORS[part])
        stop.set()
        assert sum(job.result() for job in jobs) > 0
    assert len(index) == 2999


def test_much_change_builds_the_structure_anew() -> None:
    index = VectorIndex.build(VECTORS[:2500], {"kind": "ivf", "n_regions": 10})
    before = index.report["n_items"]
    index.add(np.arange(2500, 2510), VECTORS[2500:2510])
    assert index.report["n_items"] == before, "beside the structure"
    index.add(np.arange(5000, 8000), VECTORS)
    assert index.report["n_items"] == len(index) == 2499 + 10 + 3000
    assert index.report["asked"] == {"kind": "ivf", "recall": 0.95, "n_regions": 10, "n_probe": 16, "storage": "sq8"}
    assert index.n_rows == 8000


def test_a_row_that_no_table_could_hold_is_refused() -> None:
    with pytest.raises(DataError, match="row"):
        VectorIndex.build(VECTORS, "flat").add(np.array([2**31]), VECTORS[:1])


def test_few_kept_are_compared_one_by_one() -> None:
    """So they are found exactly, whatever the structure would miss."""
    index = VectorIndex.build(VECTORS, {"kind": "ivf", "n_probe": 1, "recall": 0})
    exact = VectorIndex.build(VECTORS, "flat")
    keep = np.arange(3000) % 2 == 0
    assert index.search(VECTORS[:20], 30, keep)[0].tolist() == exact.search(VECTORS[:20], 30, keep)[0].tolist()
