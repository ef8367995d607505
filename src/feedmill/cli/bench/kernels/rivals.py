"""One rival, one run: seconds and memory of a kernel on a stored log, in a process of its own.

    python rivals.py RIVAL FOLDER CORES

prints ``{"seconds": …, "cpu_s": …, "peak_mb": …, "version": …}``; exits with 3 where the library is not installed.
Timed is the way from the log in memory to the lists of neighbours, with all that is laid out anew on the way; the
memory is the highest above that log. Only what is ours imports anything of ours.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

Run = Callable[[], object]
TOP, CAP = 100, 100


class Log:
    """A stored log, read when it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.user, self.item, self.ptr = (np.load(folder / f"{name}.npy") for name in ("user", "item", "ptr"))

    def interactions(self) -> Any:
        from feedmill.core.batches import Interactions

        ones, times = np.ones(len(self.user), np.float32), np.zeros(len(self.user), np.int64)
        return Interactions(self.user, self.item, ones, times, int(self.user.max()) + 1, int(self.item.max()) + 1)

    def matrix(self) -> Any:
        from scipy.sparse import csr_matrix

        ones, shape = np.ones(len(self.item), np.float32), (len(self.ptr) - 1, int(self.item.max()) + 1)
        return csr_matrix((ones, self.item, self.ptr), shape)


def small(log: Log) -> Any:
    """A log of the same types that takes no time: what is compiled is compiled before the clock runs."""
    from feedmill.core.batches import Interactions

    user, item = np.repeat(np.arange(1, 4, dtype=np.int32), 2), np.tile(np.array([1, 2], np.int32), 3)
    return Interactions(user, item, np.ones(6, np.float32), np.zeros(6, np.int64), 4, 3)


def itemcf(log: Log, cores: int) -> Run:
    """Cosine, uncapped."""
    from feedmill.retrieval.itemcf import ItemCFChannel, ItemCFConfig

    config, given = ItemCFConfig(top_k=TOP, max_items_per_user=0), log.interactions()
    ItemCFChannel.build(small(log), None, config, 0)
    return lambda: ItemCFChannel.build(given, None, config, 0)


def usercf(log: Log, cores: int) -> Run:
    """Cosine of users, uncapped."""
    from feedmill.retrieval.usercf import UserCFConfig, neighbours_of, tastes

    config = UserCFConfig(top_k=TOP, max_items_per_user=0, max_users_per_item=0, fold_in_users=0, discount="none")
    given, none = log.interactions(), np.zeros(0, np.int32)
    neighbours_of(tastes(small(log), none), config, 0)
    return lambda: neighbours_of(tastes(given, none), config, 0)


def swing(log: Log, cores: int, most: int = 2000) -> Run:
    """Pairs of users, each counting alike; nothing is left out as long as no item has 2000 users."""
    from feedmill.retrieval.swing import SwingChannel, SwingConfig

    config = SwingConfig(top_k=20, user_exponent=0.0, max_users_per_item=most, max_items_per_user=0)
    given = log.interactions()
    SwingChannel.build(small(log), None, SwingConfig(max_users_per_item=2), 0)  # so that sampling is compiled too
    return lambda: SwingChannel.build(given, None, config, 0)


def adds(log: Log, cores: int) -> Run:
    """As many additions as ItemCF has products, on one core, to the sums of as many items and with places as often as
    in the log, but with the places at hand: what is left when nothing is waited for but the sums."""
    from feedmill.cli.bench.kernels.adds import add_all
    from feedmill.retrieval.table import Table

    given = log.interactions()
    table = Table.of(given.user, given.item, given.like, given.n_users, given.n_items)
    places = np.random.default_rng(0).permutation(table.user_places)[: 1 << 14].copy()
    sums, n = np.zeros(given.n_items, np.float32), int(table.work().sum())
    add_all(places, sums, 1)
    return lambda: add_all(places, sums, n)


def implicit(log: Log, cores: int) -> Run:
    """Cosine; an item counts among its own neighbours, so one more is asked for."""
    from implicit.nearest_neighbours import CosineRecommender

    matrix = log.matrix()
    return lambda: CosineRecommender(K=TOP + 1, num_threads=cores).fit(matrix, show_progress=False)


def implicit_users(log: Log, cores: int) -> Run:
    """The same of users."""
    from implicit.nearest_neighbours import CosineRecommender

    matrix = log.matrix().T.tocsr()
    return lambda: CosineRecommender(K=TOP + 1, num_threads=cores).fit(matrix, show_progress=False)


def topn(matrix: Any, cores: int) -> object:
    """Cosines of the columns; one is its own neighbour, so one more is asked for."""
    from scipy.sparse import diags
    from sparse_dot_topn import sp_matmul_topn

    length = np.sqrt(np.asarray(matrix.power(2).sum(axis=0)).ravel())
    unit = (matrix @ diags(1 / np.maximum(length, 1).astype(np.float32))).tocsr().astype(np.float32)
    return sp_matmul_topn(unit.T.tocsr(), unit, top_n=TOP + 1, n_threads=cores, sort=True)


def sparse_dot_topn(log: Log, cores: int) -> Run:
    """Of items."""
    import sparse_dot_topn as _  # noqa: F401 - whether it is there

    matrix = log.matrix()
    return lambda: topn(matrix, cores)


def sparse_dot_topn_users(log: Log, cores: int) -> Run:
    """Of users."""
    import sparse_dot_topn as _  # noqa: F401 - whether it is there

    matrix = log.matrix().T.tocsr()
    return lambda: topn(matrix, cores)


def recfarm(log: Log, cores: int) -> Run:
    """Every list of neighbours is exact and has no weights of users, as in Yang et al.'s first formula."""
    from types import SimpleNamespace

    import recfarm as library

    matrix = log.matrix()
    sides = [SimpleNamespace(sparse_indices=m.indices.tolist(), sparse_indptr=m.indptr.tolist(),
                             sparse_data=m.data.tolist()) for m in (matrix, matrix.T.tocsr())]  # fmt: skip
    model = library.Swing(20, 1.0, 100_000_000, *matrix.shape, *sides, {}, 0.0)
    return lambda: model.compute_swing(cores)


def scipy_swing(log: Log, cores: int, most: int = 2000) -> Run:
    """The same sums by matrix products: of each item the overlaps of its users, then x^T M x of each other item."""
    matrix = log.matrix()

    def run() -> list[Any]:
        users_of, lists = matrix.T.tocsr(), []
        for a in range(users_of.shape[0]):
            mine = matrix[users_of.indices[users_of.indptr[a] : users_of.indptr[a + 1]][:most]]
            pairs = 1 / (1.0 + (mine @ mine.T).toarray())
            np.fill_diagonal(pairs, 0)
            sums = np.asarray(mine.multiply(mine.T.dot(pairs).T).sum(axis=0)).ravel() / 2
            sums[a] = 0
            best = np.argpartition(-sums, 20)[:20]
            lists.append(best[np.argsort(-sums[best])])
        return lists

    return run


RIVALS: dict[str, tuple[str, Callable[[Log, int], Run]]] = {
    "itemcf": ("feedmill", itemcf),
    "usercf": ("feedmill", usercf),
    "swing": ("feedmill", swing),
    "swing, capped": ("feedmill", lambda log, cores: swing(log, cores, CAP)),
    "adds": ("feedmill", adds),
    "implicit": ("implicit", implicit),
    "implicit, users": ("implicit", implicit_users),
    "sparse_dot_topn": ("sparse_dot_topn", sparse_dot_topn),
    "sparse_dot_topn, users": ("sparse_dot_topn", sparse_dot_topn_users),
    "recfarm": ("recfarm", recfarm),
    "SciPy": ("scipy", scipy_swing),
    "SciPy, capped": ("scipy", lambda log, cores: scipy_swing(log, cores, CAP)),
}


def memory_mb(line: str) -> float:
    """VmRSS (now) or VmHWM (the highest) of this process."""
    for found in Path("/proc/self/status").read_text("utf-8").splitlines():
        if found.startswith(line):
            return int(found.split()[1]) / 1024
    return float("nan")


def main(rival: str, folder: Path, cores: int) -> None:
    """Make ready, forget the highest memory so far, run once, print."""
    warnings.simplefilter("ignore")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    package, make = RIVALS[rival]
    try:
        run = make(Log(folder), cores)
    except ImportError as e:
        print(e, file=sys.stderr)
        sys.exit(3)
    with suppress(OSError):  # where it cannot, the highest may be that of making ready
        Path("/proc/self/clear_refs").write_text("5", "utf-8")
    before, cpu, start = memory_mb("VmRSS"), time.process_time(), time.perf_counter()
    made = run()
    figures = {"seconds": time.perf_counter() - start, "cpu_s": time.process_time() - cpu}
    del made
    print(json.dumps({**figures, "peak_mb": memory_mb("VmHWM") - before, "version": version(package)}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
