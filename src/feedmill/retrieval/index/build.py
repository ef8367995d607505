"""From vectors to a structure that is good enough: built, measured against exact, and tried harder if need be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import faiss
import msgspec
import numpy as np

from feedmill.core.batches import Floats, Mask
from feedmill.core.clock import rng
from feedmill.core.errors import DataError
from feedmill.core.registry import Registry
from feedmill.core.workspace import Component, component
from feedmill.retrieval.index.auto import Auto
from feedmill.retrieval.index.finder import Finder
from feedmill.retrieval.index.flat import Flat, FlatConfig
from feedmill.retrieval.index.held import Held, rows_with_vectors, sound
from feedmill.retrieval.index.metric import Metric, faiss_metric, unit

INDEXES: Registry[Any] = Registry(
    "index",
    {
        "auto": "feedmill.retrieval.index.auto:Auto",
        "flat": "feedmill.retrieval.index.flat:Flat",
        "ivf": "feedmill.retrieval.index.ivf:Ivf",
        "hnsw": "feedmill.retrieval.index.hnsw:Hnsw",
        "lsh": "feedmill.retrieval.index.lsh:Lsh",
    },
)
FEW = 2048  # items that are compared sooner than any structure is asked
DEPTH = 100  # the k of recall@k
N_QUERIES = 200
_N_THREADS: int = faiss.omp_get_max_threads()  # OMP_NUM_THREADS, or all cores


def chosen(raw: str | Mapping[str, Any], at: str = "index") -> Component[Any]:
    """``"ivf"``, or ``{"kind": "ivf", "n_probe": 32}``, checked.

    Raises:
        ConfigError: an unknown kind or parameter, or one out of range.
    """
    return component({"kind": raw} if isinstance(raw, str) else raw, INDEXES, at)


def build(
    vectors: Floats, choice: Component[Any], metric: Metric, seed: int = 0, queries: Floats | None = None
) -> Held:
    """The rows whose vectors are not zero, in a structure, with a report of its recall.

    Args:
        vectors: float32[N, D], row 0 (nothing) included; N may be 0 or 1.
        queries: float32[U, D] of users, to measure recall with; None = items' own vectors.

    Raises:
        DataError: not N x D with D > 0, or not finite.
    """
    vectors = sound(vectors)
    rows = rows_with_vectors(vectors)
    kind, config = choice.kind, choice.config
    if kind == "auto":
        kind, config = Auto.choose(len(rows), config)
    held = Held(
        metric=metric, kind=kind, config=config, seed=seed, report={}, vectors=vectors, rows=rows, finder=None,
        gone=None, fresh_rows=np.zeros(0, np.int32), fresh=np.zeros((0, vectors.shape[1]), np.float32),
    )  # fmt: skip
    report: dict[str, Any] = {"asked": asked(choice), "kind": kind, "metric": metric, "n_items": len(rows)}
    if not len(rows):
        return replace(held, report=report)
    ready = held.prepared()
    with threads(_N_THREADS):
        finder: Finder = INDEXES[kind].build(ready, metric, config, seed)
    held = replace(held, finder=finder)
    measured = _measured(held, ready, _queries(held, ready, queries, seed), getattr(config, "recall", 0.0))
    if choice.kind == "auto" and kind != "flat" and finder.compared(finder.effort) > len(rows) // Auto.WORTH:
        finder, config, report["kind"] = Flat(ready, metric), FlatConfig(), "flat"
        held = replace(held, finder=finder, kind="flat", config=config)
        measured = {**measured, "recall": 1.0}
    report |= {**measured, "queries": "items" if queries is None else "users", "effort": finder.effort}
    report["bytes"] = sum(int(array.nbytes) for array in finder.sections().values())
    return replace(held, report=report)


@contextmanager
def threads(n: int) -> Iterator[None]:
    """OpenMP threads of what this thread asks of faiss; the setting belongs to the thread, not to the process.

    A build takes all cores. A search takes one: in serving many requests search at once, and starting and awaiting a
    team of threads for each would cost more than the scan of one query.
    """
    library: Any = faiss
    before = library.omp_get_max_threads()
    library.omp_set_num_threads(n)
    try:
        yield
    finally:
        library.omp_set_num_threads(before)


def asked(choice: Component[Any]) -> dict[str, Any]:
    """What the config asks for, as JSON values."""
    return {"kind": choice.kind, **msgspec.to_builtins(choice.config)}


def recall(found: Floats, exact: Floats) -> float:
    """The share of the k nearest that was found: float32[R, k] scores of each, by score so that twins count alike."""
    if not exact.size:
        return 1.0
    least = exact[:, -1:]
    enough = found >= least - 1e-5 * np.abs(least)
    return float(np.minimum(enough.sum(axis=1), exact.shape[1]).mean() / exact.shape[1])


def exact_scores(queries: Floats, ready: Floats, k: int, metric: Metric) -> Floats:
    """float32[R, k], best first, of prepared vectors; by matrix products on all cores."""
    library: Any = faiss
    with threads(_N_THREADS):
        scores: Floats = library.knn(queries, ready, k, faiss_metric(metric))[0]
    return -scores if metric == "l2" else scores


def _queries(held: Held, ready: Floats, users: Floats | None, seed: int) -> Floats:
    """float32[R, D], R <= 200, drawn."""
    pool = ready
    if users is not None:
        users = sound(users, "the query vector of row")
        if users.shape[1] != held.dim:
            raise DataError(f"index: queries of shape {users.shape}", f"U x {held.dim}")
        some: Mask = (users != 0).any(axis=1)
        pool = users[some] if some.any() else ready
    at = np.sort(rng(seed, "index", "queries").choice(len(pool), min(N_QUERIES, len(pool)), replace=False))
    drawn = np.ascontiguousarray(pool[at])
    return unit(drawn) if held.metric == "cosine" else drawn


def _measured(held: Held, ready: Floats, queries: Floats, wanted: float) -> dict[str, Any]:
    """Recall@k of the finder, whose effort is doubled until there is as much as wanted, or no more to be had."""
    k, finder = min(DEPTH, len(held.rows)), held.finder
    assert finder is not None
    measured: dict[str, Any] = {"k": k, "n_queries": len(queries), "recall": 1.0}
    if isinstance(finder, Flat):
        return measured
    exact = exact_scores(queries, ready, k, held.metric)
    while True:
        with threads(1):
            found = held.search(queries, k, None, few=0)[1]
        measured["recall"] = round(recall(found, exact), 4)
        if measured["recall"] >= wanted or finder.effort >= finder.max_effort:
            return measured
        finder.effort = min(2 * finder.effort, finder.max_effort)
