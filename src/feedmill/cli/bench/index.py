"""Vector indexes: what each kind costs to build, to keep and to ask, and what of the exact answer it gives."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import numpy as np

from feedmill.cli.bench.measure import timed, timing
from feedmill.core.batches import Floats, Mask, Rows
from feedmill.core.clock import rng
from feedmill.core.progress import progress
from feedmill.metrics.rows import BenchRow

DIM, DEPTH, RECALL = 64, 100, 0.95
N_CENTRES, SPREAD = 1000, 0.5
ROUNDS, N_QUERIES = 5, 100
KINDS: dict[str, dict[str, Any]] = {
    "flat": {"kind": "flat"},
    "ivf, sq8": {"kind": "ivf"},
    "ivf, flat": {"kind": "ivf", "storage": "flat"},
    "hnsw, sq8": {"kind": "hnsw"},
    "lsh, 256 bits": {"kind": "lsh"},
}
Ask = Callable[[Floats, Mask | None], Rows]  # float32[1, D], which are kept -> rows int32[100]


class Rival(NamedTuple):
    """One index, ours or theirs: seconds to build it, bytes it keeps, how it is asked, and how hard it tries."""

    build_s: float
    bytes_each: float | None
    ask: Ask
    effort: str


def index_rows(quick: bool) -> list[BenchRow]:
    """Clustered vectors, searches one at a time on one thread, kinds in turn; hnswlib as the peer of the graph."""
    return sized_rows(100_000 if quick else 1_000_000)


def sized_rows(n: int) -> list[BenchRow]:
    """The same of n vectors."""
    vectors = clustered(n, "items")
    queries, tuning = clustered(N_QUERIES, "users"), clustered(N_QUERIES, "other users")
    rivals = {}
    for name, kind in KINDS.items():
        with progress(f"building {name}"):
            rivals[name] = ours(vectors, kind, tuning)
    exact = answers(rivals["flat"], queries)
    with progress("building hnswlib"):
        peer = hnswlib_of(vectors, tuning, answers(rivals["flat"], tuning))
    all_rivals = rivals if peer is None else {**rivals, "hnswlib": peer}
    seconds: dict[str, list[float]] = {name: [] for name in all_rivals}
    for _ in range(ROUNDS):
        for name, rival in all_rivals.items():
            seconds[name] += timed(N_QUERIES, lambda i, rival=rival: rival.ask(queries[i : i + 1], None))  # type: ignore[misc]
    out: list[BenchRow] = []
    theirs = float(np.median(seconds["hnswlib"])) if peer else None
    for name, rival in all_rivals.items():
        out += rows_of(f"index, {n:,} x {DIM}: {name}", rival, seconds[name], recall(rival, queries, exact))
    for at, row in enumerate(out):
        if row.metric == "p50" and "hnsw," in row.what:
            ratio = None if theirs is None else theirs / float(np.median(seconds["hnsw, sq8"]))
            said = "hnswlib is not installed" if theirs is None else "hnswlib, one thread"
            out[at] = msgspec.structs.replace(row, peer=said, ratio=ratio)
    for name in ("ivf, sq8", "hnsw, sq8"):
        out += filtered_rows(f"index, {n:,} x {DIM}: {name}", rivals[name], rivals["flat"], queries, n)
    return out


def clustered(n: int, what: str) -> Floats:
    """float32[n, DIM] of length 1, each near one of a thousand centres; row 0 is no item."""
    centres = rng(0, "index bench", "centres").standard_normal((N_CENTRES, DIM), np.float32)
    draw = rng(0, "index bench", what)
    out: Floats = centres[draw.integers(0, N_CENTRES, n)]
    out += SPREAD * draw.standard_normal((n, DIM), np.float32)
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    return out


def ours(vectors: Floats, kind: dict[str, Any], users: Floats) -> Rival:
    """One of our kinds; its effort is what the build found to give the recall."""
    from feedmill.retrieval.index import VectorIndex

    wanted = {} if kind["kind"] == "flat" else {"recall": RECALL}
    start = time.perf_counter()
    index = VectorIndex.build(vectors, {**kind, **wanted}, queries=users)
    build_s = time.perf_counter() - start
    effort = "exact" if index.kind == "flat" else f"effort {index.report['effort']}"
    return Rival(
        build_s, index.report["bytes"] / len(vectors), lambda q, keep: index.search(q, DEPTH, keep)[0][0], effort
    )


def hnswlib_of(vectors: Floats, users: Floats, exact: Rows) -> Rival | None:
    """The same graph, links and candidates in hnswlib, ef doubled until the recall is there; None = not installed."""
    try:
        import hnswlib  # type: ignore[import-untyped, import-not-found, unused-ignore]
    except ModuleNotFoundError:
        return None
    start = time.perf_counter()
    index = hnswlib.Index(space="ip", dim=DIM)
    index.init_index(max_elements=len(vectors), ef_construction=80, M=16, random_seed=1)
    index.set_num_threads(1)
    index.add_items(vectors[1:], np.arange(1, len(vectors)))
    build_s = time.perf_counter() - start
    ef = DEPTH
    rival = Rival(build_s, None, lambda q, keep: index.knn_query(q, DEPTH)[0][0], "")
    while True:
        index.set_ef(ef)
        if recall(rival, users, exact) >= RECALL or ef > 5000:
            return rival._replace(effort=f"ef {ef}")
        ef *= 2


def answers(rival: Rival, queries: Floats) -> Rows:
    """int32[R, DEPTH]."""
    return np.stack([rival.ask(queries[i : i + 1], None) for i in range(len(queries))])


def recall(rival: Rival, queries: Floats, exact: Rows) -> float:
    """The mean share of the exact answer that is given."""
    found = answers(rival, queries)
    return float(np.mean([np.isin(e, f).mean() for e, f in zip(exact, found, strict=True)]))


def rows_of(what: str, rival: Rival, seconds: list[float], share: float) -> list[BenchRow]:
    """Build time, median search, recall, and bytes beside the vectors themselves."""
    rows = [
        BenchRow(what=what, metric="build", value=rival.build_s, unit="s, recall measured"),
        timing(what, "p50", seconds),
        BenchRow(what=what, metric=f"recall@{DEPTH}", value=share, unit=f"of exact, {rival.effort}"),
    ]
    if rival.bytes_each is not None:
        rows.append(BenchRow(what=what, metric="size", value=rival.bytes_each, unit="bytes a vector, beside it"))
    return rows


def filtered_rows(what: str, rival: Rival, exact: Rival, queries: Floats, n: int) -> list[BenchRow]:
    """Searches among one item in ten, and among one in a hundred: none comes back with fewer than asked for."""
    out = []
    for one_in in (10, 100):
        keep = rng(0, "index bench", "kept").random(n) < 1 / one_in
        hits = []
        for i in range(len(queries)):
            found, true = (r.ask(queries[i : i + 1], keep) for r in (rival, exact))
            hits.append(np.isin(true[true > 0], found).mean())
        seconds = timed(len(queries), lambda i, keep=keep: rival.ask(queries[i : i + 1], keep))  # type: ignore[misc]
        kept = f"{what}, one in {one_in} kept"
        out += [
            timing(kept, "p50", seconds),
            BenchRow(what=kept, metric=f"recall@{DEPTH}", value=float(np.mean(hits)), unit="of exact among the kept"),
        ]
    return out
