"""Text retrieval: DSSM's encoders against BM25, in quality and in cost per query."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec.structs import replace

from feedmill.cli.bench.bm25 import Bm25
from feedmill.cli.bench.measure import timed
from feedmill.cli.bench.retrieval.tasks import data_folder
from feedmill.cli.bench.text_tasks import Judged, Search, TextTask, questions, tags
from feedmill.core.batches import Floats, Rows
from feedmill.metrics.classification import auc
from feedmill.metrics.intervals import bootstrap
from feedmill.metrics.ranking import recall_at
from feedmill.metrics.rows import BenchRow

if TYPE_CHECKING:
    from feedmill.train.retrieval.text import TextFit

# Chosen on the development parts.
PLANS: dict[str, dict[str, dict[str, Any]]] = {
    "LCQMC": {
        "bag": {"epochs": 3, "batch_size": 256, "n_negatives": 0, "gamma": 30.0, "dropout": 0.2},
        "cnn": {"epochs": 1, "batch_size": 256, "n_negatives": 0, "gamma": 30.0},
        "lstm": {"epochs": 1, "batch_size": 256, "n_negatives": 0, "gamma": 30.0},
    },
    "MovieLens tags": {
        "bag": {"epochs": 6, "batch_size": 128},
        "cnn": {"epochs": 4, "batch_size": 128},
        "lstm": {"epochs": 4, "batch_size": 128},
    },
}
DEPTHS = (1, 10, 100)
ROUNDS, ASKED = 5, 50  # timing: each system answers so many queries, in turn, so many times
SEED = 0


@dataclass(frozen=True, slots=True, eq=False)
class System:
    """Something that finds items for words.

    Attributes:
        score: query -> float32[N].
        top: query, k -> rows; what a service would call.
        alike: metric -> (judged pairs -> float[n]).
    """

    name: str
    score: Callable[[str], Floats]
    top: Callable[[str, int], Rows]
    alike: Mapping[str, Callable[[Judged], Floats]]


def text_rows(quick: bool, data: Path | None = None) -> list[BenchRow]:
    """AUC, recall and milliseconds per query of bag, CNN, LSTM and BM25; torch with one thread.

    Args:
        data: the folder that has ml-latest-small; None = FEEDMILL_DATA or ../shared/data. LCQMC is fetched.
    """
    share = 0.05 if quick else 1.0
    rows = []
    for task in (questions(share), tags(data_folder(data) / "ml-latest-small", share)):
        rows += task_rows(task, quick)
    return rows


def task_rows(task: TextTask, quick: bool) -> list[BenchRow]:
    """Every system on one task; the test part is ranked once by each."""
    from feedmill.train.loop import threads

    try:
        rivals = [bm25(task)]
    except ImportError:
        rivals = []
    with threads(1):
        systems = rivals + [dssm(task, kind, quick) for kind in PLANS[task.name]]
    rows = [row for system in systems for row in quality(task, system)] + cost(task, systems)
    rival = {row.metric: row for row in rows if rivals and row.what.endswith(rivals[0].name)}
    said = "" if rivals else "bm25s is not installed: pip install feedmill[bench]"
    return [_beside(row, rival, said) for row in rows]


def dssm(task: TextTask, kind: str, quick: bool) -> System:
    """Train on the training part, stop on the development part, and serve as the service does."""
    from feedmill.features.served.text_graph import TextGraph
    from feedmill.retrieval.index import VectorIndex
    from feedmill.train.retrieval.text import TextFit, TextPlan

    block = {**PLANS[task.name][kind], "kind": kind, "topics": False}
    fit = TextFit(TextPlan.of(f"{task.name}, {kind}", {**block, "epochs": 1} if quick else block), task.learn, SEED)
    fit.train(lambda: _progress(fit, task))
    part = fit.part({})
    graph = TextGraph(part)
    vectors = part.arrays["item_vectors"] if task.has_items else _in_parts(graph.encode, task.test.items)
    index = VectorIndex.build(vectors)

    def alike(pairs: Judged) -> Floats:
        first, second = (_in_parts(graph.encode, texts) for texts in (pairs.first, pairs.second))
        return np.asarray((first * second).sum(1), np.float32)

    return System(
        f"DSSM {kind}",
        lambda query: vectors @ graph.encode([query])[0] + 1,  # a cosine below 0 is an answer too
        lambda query, k: index.search(graph.encode([query]), k)[0][0],
        {"AUC": alike},
    )


def bm25(task: TextTask) -> System:
    """Of words and characters, or with their pairs too: what does best on the development part."""
    by_ngrams = {n: Bm25(task.dev.items, n) for n in (1, 2)}
    best = max(by_ngrams, key=lambda n: recall(task.dev, by_ngrams[n].scores, 10))
    index = Bm25(task.test.items, best)
    return System("BM25 (bm25s)", index.scores, index.top, _alike(task.dev_pairs) if task.dev_pairs else {})


def _alike(dev: Judged) -> dict[str, Callable[[Judged], Floats]]:
    """BM25 scores of different queries are on different scales, so the rival is what helps it most on ``dev``; the
    library's score as it is stands beside it."""
    found = {(n, way): auc(dev.label, scores) for n in (1, 2) for way, scores in alike_by(dev, n).items()}
    n, way = max(found, key=lambda key: found[key])
    plain = max((1, 2), key=lambda n: found[n, WAYS[0]])
    return {
        "AUC": lambda pairs: alike_by(pairs, n)[way],
        "AUC, plain score": lambda pairs: alike_by(pairs, plain)[WAYS[0]],
    }


WAYS = ("score", "score / own", "both ways / own")


def alike_by(pairs: Judged, ngrams: int) -> dict[str, Floats]:
    """BM25 of each pair as it is, divided by what the query scores against itself, and that from both sides."""
    texts = list(dict.fromkeys([*pairs.first, *pairs.second]))
    place = {text: i for i, text in enumerate(texts)}
    index = Bm25(texts, ngrams)
    first, second = ([place[t] for t in side] for side in (pairs.first, pairs.second))
    forth, forth_own = _scored(index, texts, first, second)
    back, back_own = _scored(index, texts, second, first)
    return dict(zip(WAYS, (forth, forth / forth_own, forth / forth_own + back / back_own), strict=True))


def quality(task: TextTask, system: System) -> list[BenchRow]:
    """AUC of judged pairs, and recall of the search at every depth, with bootstrap intervals over queries."""
    rows = []
    if task.test_pairs is not None:
        for metric, alike in system.alike.items():
            unit = f"{len(task.test_pairs.label):,} pairs"
            rows.append(_row(task, system, metric, auc(task.test_pairs.label, alike(task.test_pairs)), unit))
    ranked = task.test.ranked(system.score, max(DEPTHS))
    for k in DEPTHS:
        found = bootstrap(recall_at(ranked, task.test.held, k), SEED)
        unit = f"{found.n:,} queries, {len(task.test.items) - 1:,} items, 95 % interval"
        rows.append(replace(_row(task, system, f"recall@{k}", found.mean, unit), low=found.low, high=found.high))
    return rows


def cost(task: TextTask, systems: list[System]) -> list[BenchRow]:
    """Milliseconds from a query's text to its ten best rows; systems take turns."""
    queries = list(task.test.queries)[:ASKED]
    spent: dict[str, list[float]] = {s.name: [] for s in systems}
    for turn in range(ROUNDS + 1):
        for system in systems:
            seconds = timed(len(queries), lambda i, top=system.top: top(queries[i], 10))  # type: ignore[misc]
            spent[system.name] += seconds if turn else []  # the first turn warms up
    return [_timing(task, s, np.array(spent[s.name]) * 1e3) for s in systems]


def recall(search: Search, score: Callable[[str], Floats], k: int) -> float:
    """The mean over queries."""
    return float(np.mean(recall_at(search.ranked(score, k), search.held, k)))


def _progress(fit: TextFit, task: TextTask) -> float:
    """How good a model in training is on the development part."""
    if task.dev_pairs is not None:
        first, second = (fit.query_vectors(texts) for texts in (task.dev_pairs.first, task.dev_pairs.second))
        return auc(task.dev_pairs.label, (first * second).sum(1))
    vectors = fit.item_vectors(np.arange(len(task.dev.items)))
    asked = dict(zip(task.dev.queries, fit.query_vectors(task.dev.queries), strict=True))
    return sum(recall(task.dev, lambda query: vectors @ asked[query] + 1, k) for k in (10, 100))


def _scored(index: Bm25, texts: list[str], query: list[int], doc: list[int]) -> tuple[Floats, Floats]:
    """float32[n] of each pair, and of each query against itself."""
    pair, own = np.zeros(len(query), np.float32), np.ones(len(query), np.float32)
    of: dict[int, list[int]] = {}
    for at, q in enumerate(query):
        of.setdefault(q, []).append(at)
    for q, rows in of.items():
        scores = index.scores(texts[q])
        pair[rows], own[rows] = scores[[doc[i] for i in rows]], max(scores[q], 1e-6)
    return pair, own


def _in_parts(encode: Callable[[list[str]], Floats], texts: Any, n: int = 256) -> Floats:
    return np.concatenate([encode(list(texts[i : i + n])) for i in range(0, len(texts), n)])


def _row(task: TextTask, system: System, metric: str, value: float, unit: str = "") -> BenchRow:
    return BenchRow(
        what=f"{task.name}: {system.name}", metric=metric, value=value, unit=unit, split=task.split, seed=SEED
    )


def _timing(task: TextTask, system: System, ms: Any) -> BenchRow:
    unit = f"ms per query, {len(task.test.items) - 1:,} items, p25..p75, n = {len(ms)}"
    row = _row(task, system, "p50", float(np.median(ms)), unit)
    return replace(row, low=float(np.percentile(ms, 25)), high=float(np.percentile(ms, 75)))


def _beside(row: BenchRow, rival: dict[str, BenchRow], said: str) -> BenchRow:
    """With the rival's figure: above 1 means that ours is better, or faster."""
    other = rival.get(row.metric)
    if other is None or other.what == row.what:
        return replace(row, peer=said)
    ratio = other.value / row.value if row.metric == "p50" else row.value / max(other.value, 1e-9)
    return replace(row, peer=other.what.partition(": ")[2], ratio=ratio)
