"""What a re-rank rule keeps of value and gains in variety, at each theta, window and length of the slate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Rows
from feedmill.core.progress import progress
from feedmill.core.protocols import RerankRule
from feedmill.core.workspace import Workspace
from feedmill.metrics.catalogue import coverage
from feedmill.metrics.diversity import gini, n_distinct, topics_apart, vectors_apart
from feedmill.metrics.intervals import Interval, paired_difference
from feedmill.metrics.ranking import ndcg_at
from feedmill.rerank import RULES
from feedmill.rerank.fusion import worth
from feedmill.rerank.similarity import stretch
from feedmill.serve.fused import Asked, Fused

KINDS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "MMR": ("mmr", {}),
    "DPP": ("dpp", {"form": "theta"}),
    "DPP quality": ("dpp", {"form": "quality"}),
}
WITHOUT_THETA = "DPP quality"  # its diagonal is the value itself
VALUE, CONFIGURED = "value only", "configured"
LATENCY_K = (5, 10, 20, 30, 50)
Slates = Sequence[Rows]  # of each request, rows of its candidates


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One rule at one theta and window, over all requests; None = does not apply, or the log does not know.

    Attributes:
        kept: share of the best possible value in the first k, values stretched to [0, 1] by request.
        ndcg, ndcg_more: of held-out items at k; and that less what value alone has, with its 95 % interval over users.
        vectors, topics: how far apart a slate's items are, ``metrics.diversity``; means over requests.
        n_topics, n_authors: different ones in a slate, mean.
        coverage, gini: of the catalogue by all slates together.
    """

    rule: str
    theta: float | None
    window: int | None
    k: int
    kept: float
    ndcg: float | None
    ndcg_more: tuple[float, float, float] | None
    vectors: float | None
    topics: float | None
    n_topics: float
    n_authors: float
    coverage: float
    gini: float | None


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds of a rule's ``apply`` for k picks, over all requests."""

    rule: str
    k: int
    p50_ms: float
    p99_ms: float
    n: int


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What a configured rule takes from the first k, mean over requests.

    Attributes:
        cost: fused value.
        share: that over what the first k by value alone are worth, all requests together; None if that is nothing.
        changed: share of requests whose value it changed.
        kept: as ``Point.kept``, after this rule and those before it.
    """

    rule: str
    k: int
    cost: float
    share: float | None
    changed: float
    kept: float


class Grid(NamedTuple):
    """What is tried."""

    theta: Sequence[float]
    window: Sequence[int]
    k: Sequence[int]


def rule(at: Workspace, asked: Asked, name: str, theta: float, window: int) -> RerankRule:
    """MMR or DPP at this theta and window, without noise; else as the workspace has that kind, if it does."""
    kind, form = KINDS[name]
    cls: Any = RULES[kind]
    known = [c.config for c in at.components("rerank.rules", RULES) if c.kind == kind]
    base = known[0] if known else cls.Config()
    of: Any = {"theta": theta, "window": window, "temperature": 0.0, **form}
    made: RerankRule = cls(msgspec.structs.replace(base, **of), asked.state, asked.vectors)
    return made


def points(at: Workspace, asked: Asked, grid: Grid) -> list[Point]:
    """Value alone and the configured rules first, then every kind at every theta and window, each at every k."""
    deepest, measure = max(grid.k), Measure(asked)
    by_value = [np.arange(min(deepest, len(r.candidates)), dtype=np.int32) for r in asked.requests]
    out = [measure(VALUE, None, None, k, by_value) for k in grid.k]
    for k in grid.k if any(r.ruled for r in asked.requests) else ():
        slates = [_rows(r, r.ruled[k][-1].item) for r in asked.requests if r.ruled[k]]
        if len(slates) == len(asked.requests):
            out.append(measure(CONFIGURED, None, None, k, slates))
    tried = [(n, t, w) for n in KINDS for w in grid.window for t in (grid.theta if n != WITHOUT_THETA else (1.0,))]
    with progress("re-ranking", len(tried)) as advance:
        for name, theta, window in tried:
            one = rule(at, asked, name, theta, window)  # greedy: the first k of a longer slate are the slate of k
            slates = [one.apply(r.request, r.candidates, deepest).rows for r in asked.requests]
            shown = None if name == WITHOUT_THETA else theta
            out += [measure(name, shown, window, k, slates) for k in grid.k]
            advance(1)
    return out


class Measure:
    """Measures slates of all requests, with what that needs of each request looked up once."""

    def __init__(self, asked: Asked) -> None:
        self._asked, catalogue = asked, asked.state.catalogue
        self._value = [stretch(r.candidates.value).astype(np.float64) for r in asked.requests]
        self._topics = [catalogue.topics[r.candidates.item] for r in asked.requests]
        self._author = [catalogue.author[r.candidates.item] for r in asked.requests]
        self._vectors = [vectors_of(asked, r.candidates.item) for r in asked.requests]
        self._held = [np.unique(r.held) for r in asked.requests]
        self._ndcg: dict[int, NDArray[np.float64]] = {}

    def __call__(self, name: str, theta: float | None, window: int | None, k: int, slates: Slates) -> Point:
        """Of the first k of every slate."""
        first = [rows[:k] for rows in slates]
        shown = np.zeros((len(first), k), np.int32)
        for line, rows, r in zip(shown, first, self._asked.requests, strict=True):
            line[: len(rows)] = r.candidates.item[rows]
        ndcg = ndcg_at(shown, self._held, k)
        plain = self._ndcg.setdefault(k, ndcg)  # value alone is measured first
        more = None if np.isnan(ndcg).all() else paired_difference(ndcg, plain, 0)
        n_items = len(self._asked.state.items)
        return Point(
            rule=name, theta=theta, window=window, k=k, kept=float(np.mean(self.kept(first, k))),
            ndcg=None if more is None else float(np.nanmean(ndcg)), ndcg_more=None if more is None else _bounds(more),
            vectors=_mean(vectors_apart, self._vectors, first), topics=_mean(topics_apart, self._topics, first),
            n_topics=_mean(n_distinct, self._topics, first) or 0.0,
            n_authors=_mean(n_distinct, self._author, first) or 0.0,
            coverage=coverage(shown, n_items), gini=_known(gini(np.bincount(shown[shown > 0], minlength=n_items)[1:])),
        )  # fmt: skip

    def kept(self, slates: Slates, k: int) -> NDArray[np.float64]:
        """float64[R] the share of the best possible value that each slate has; 1 where there is none."""
        out = []
        for value, rows in zip(self._value, slates, strict=True):
            best = float(value[:k].sum())
            out.append(float(value[rows[:k]].sum()) / best if best > 0 else 1.0)
        return np.array(out)


def latencies(at: Workspace, asked: Asked, theta: float, window: int, rounds: int = 3) -> list[Latency]:
    """Of each kind for each k, in turn over all requests; the first calls warm and do not count."""
    rules = {name: rule(at, asked, name, theta, window) for name in KINDS}
    seconds: dict[tuple[str, int], list[float]] = {(name, k): [] for name in KINDS for k in LATENCY_K}
    with progress("timing", rounds * len(asked.requests)) as advance:
        for i, r in enumerate([*asked.requests[:3], *list(asked.requests) * rounds]):
            turn = i % len(seconds)  # whoever is first finds a request's vectors in no cache
            for (name, k), times in [*list(seconds.items())[turn:], *list(seconds.items())[:turn]]:
                start = perf_counter()
                rules[name].apply(r.request, r.candidates, k)
                times.append(perf_counter() - start)
            advance(1)
    return [
        Latency(rule=name, k=k, p50_ms=_ms(times[3:], 50), p99_ms=_ms(times[3:], 99), n=len(times) - 3)
        for (name, k), times in seconds.items()
    ]


def costs(asked: Asked, grid: Grid) -> list[Cost]:
    """A line for each configured rule and k, in their order."""
    out, measure = [], Measure(asked)
    for k in grid.k:
        best = sum(float(worth(r.candidates.value)[:k].sum()) for r in asked.requests)
        for place in range(max((len(r.ruled.get(k, ())) for r in asked.requests), default=0)):
            ruled = [r.ruled[k][place] for r in asked.requests]
            lost = np.array([x.cost for x in ruled])
            slates = [_rows(r, x.item) for r, x in zip(asked.requests, ruled, strict=True)]
            cost = Cost(
                rule=ruled[0].rule, k=k, cost=float(lost.mean()), share=float(lost.sum()) / best if best > 0 else None,
                changed=float(np.mean(abs(lost) > 1e-9)), kept=float(measure.kept(slates, k).mean()),
            )  # fmt: skip
            out.append(cost)
    return out


def vectors_of(asked: Asked, item: Rows) -> NDArray[Any]:
    """float32[n, D] of items; 0 for those without a vector."""
    if asked.vectors is None:
        return np.zeros((len(item), 0), np.float32)
    rows = np.take(asked.vectors, item, axis=0, mode="clip")
    return np.where((item < len(asked.vectors))[:, None], rows, 0)


def _rows(r: Fused, item: Rows) -> Rows:
    """Rows of the candidates that are these items."""
    order = np.argsort(r.candidates.item)
    return order[np.searchsorted(r.candidates.item[order], item)].astype(np.int32)


def _mean(of: Callable[[Any], float], columns: Sequence[NDArray[Any]], slates: Slates) -> float | None:
    values = np.array([of(column[rows]) for column, rows in zip(columns, slates, strict=True)], np.float64)
    return None if np.isnan(values).all() else float(np.nanmean(values))


def _known(x: float) -> float | None:
    return None if np.isnan(x) else x


def _bounds(x: Interval) -> tuple[float, float, float]:
    return x.mean, x.low, x.high


def _ms(seconds: Sequence[float], q: float) -> float:
    return float(np.percentile(seconds, q) * 1e3)
