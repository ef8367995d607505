"""Three ways to a slate: our kernels, the same algorithms in plain NumPy, the definitions; and what they pick from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import CandidateBatch, Floats, Rows
from feedmill.core.clock import rng
from feedmill.rerank import kernels
from feedmill.rerank.similarity import Similarity, VarietyConfig, stretch

N, WINDOW, THETA, RIDGE = 300, 10, 0.7, 1e-2
N_ITEMS = 20_000
NONE = np.zeros((0, N), np.float32)  # no noise
VARIETY = VarietyConfig(topic_weight=0.0, window=WINDOW)
Doubles = NDArray[np.float64]
Picked = tuple[Rows, Any]  # the picks, and what each gained


class Drawn(NamedTuple):
    """One request's candidates in order of value, as kernels take them: vectors float32[D, C] of length 1."""

    value: Floats
    vectors: Floats
    topics: Rows
    author: Rows


class World(NamedTuple):
    """A catalogue of drawn items."""

    state: Any
    vectors: Floats


@cache
def catalogue() -> Any:
    """A state that knows N_ITEMS items: topics, authors, and one in twenty an advertisement with a bid."""
    from feedmill.core.events import EventBatch, Kind
    from feedmill.state import State

    draw = rng(0, "rerank bench", "catalogue")
    topics, authors = draw.integers(0, 31, (N_ITEMS, 4)), draw.integers(0, 51, N_ITEMS)
    bids = np.where(draw.random(N_ITEMS) < 0.05, draw.random(N_ITEMS), 0.0)
    payloads = []
    for own, author, bid in zip(topics.tolist(), authors.tolist(), bids.tolist(), strict=True):
        advert = {"slot": "ad", "bid": bid} if bid else {}
        payload = {"topics": [f"t{t}" for t in set(own) if t], "author_id": f"a{author}", **advert}
        payloads.append(msgspec.json.encode(payload).decode())
    state = State()
    ids = [f"i{k}" for k in range(1, N_ITEMS + 1)]
    state.fold(EventBatch.of({"kind": int(Kind.ITEM), "item_id": ids, "payload": payloads}))
    return state


def world(width: int) -> World:
    """That catalogue with float32[N_ITEMS + 1, width] vectors near one of a hundred centres."""
    draw = rng(0, "rerank bench", "items")
    centres = draw.standard_normal((100, width))
    vectors = centres[draw.integers(0, 100, N_ITEMS + 1)] + 0.7 * draw.standard_normal((N_ITEMS + 1, width))
    return World(catalogue(), vectors.astype(np.float32))


def batches(n: int, size: int = N) -> list[CandidateBatch]:
    """Candidates of n requests, best value first."""
    out = []
    for seed in range(n):
        draw = rng(seed, "rerank bench", "request")
        item = draw.choice(np.arange(1, N_ITEMS + 1, dtype=np.int32), size, replace=False)
        batch = CandidateBatch.of("drawn", item, np.zeros(size, np.float32))
        out.append(batch.with_value(np.sort(draw.random(size).astype(np.float32))[::-1].copy()))
    return out


def drawn(of: World, requests: Sequence[CandidateBatch]) -> list[Drawn]:
    """The same as the kernels take them."""
    alike = Similarity(VARIETY, of.state, of.vectors)
    return [Drawn(stretch(b.value), *alike.of(b.item)[:3]) for b in requests]


def mmr(r: Drawn, k: int) -> Picked:
    """Our kernel on vectors alone."""
    return kernels.mmr(r.value, NONE[:, : len(r.value)], r.vectors, r.topics, r.author, THETA, 0.0, 0.0, WINDOW, k)


def dpp(r: Drawn, k: int) -> Picked:
    """Our kernel on vectors alone, theta form."""
    gain = (THETA * r.value).astype(np.float32)
    noise = NONE[:, : len(r.value)]
    return kernels.dpp(gain, noise, r.vectors, r.topics, r.author, 1 - THETA, 0.0, 0.0, RIDGE, WINDOW, k)


def numpy_mmr(r: Drawn, k: int) -> Picked:
    """The same greedy algorithm in NumPy: one product of a matrix and a vector per slot."""
    n, near, picked, alike = len(r.value), np.zeros((WINDOW, len(r.value)), np.float32), [], []
    taken, rows = np.zeros(n, np.bool_), np.ascontiguousarray(r.vectors.T)
    for slot in range(k):
        most = near[: min(slot, WINDOW)].max(axis=0) if slot else np.zeros(n, np.float32)
        score = THETA * r.value - (1 - THETA) * most
        score[taken] = -np.inf
        best = int(score.argmax())
        picked.append(best)
        alike.append(most[best])
        taken[best], near[slot % WINDOW] = True, rows @ rows[best]
    return np.array(picked, np.int32), np.array(alike)


def numpy_dpp(r: Drawn, k: int) -> Picked:
    """The same greedy algorithm in NumPy: a row of the Cholesky factor per slot, rotations when a pick leaves (Chen et
    al. 2018)."""
    n, width, rows = len(r.value), WINDOW - 1, np.ascontiguousarray(r.vectors.T)
    own = (rows * rows).sum(axis=1, dtype=np.float64) + RIDGE
    left, c, v, taken = own.copy(), np.zeros((width, n)), np.zeros((width, width)), np.zeros(n, np.bool_)
    scale, picked, fresh = np.exp(THETA * (r.value - r.value.max()) / (1 - THETA)), [], []
    for slot in range(k):
        score = scale * np.maximum(left, kernels.LEAST)
        score[taken] = -np.inf
        best = int(score.argmax())
        picked.append(best)
        fresh.append(left[best] / own[best])
        taken[best] = True
        inside = min(slot, width - 1)
        if slot >= width:
            _forget(c, v, left)
        line_ = (rows @ rows[best]).astype(np.float64)
        line_[best] = own[best]
        root = np.sqrt(max(left[best], kernels.LEAST))
        v[inside, :inside], v[inside, inside] = c[:inside, best], root
        c[inside] = (line_ - c[:inside, best] @ c[:inside]) / root
        left -= c[inside] ** 2
    return np.array(picked, np.int32), np.array(fresh)


def _forget(c: Doubles, v: Doubles, left: Doubles) -> None:
    for j in range(1, len(v)):
        r = np.hypot(v[j, j], v[j, 0])
        cos, sin = v[j, j] / r, v[j, 0] / r
        v[j:, j], v[j:, 0] = cos * v[j:, j] + sin * v[j:, 0], cos * v[j:, 0] - sin * v[j:, j]
        c[j], c[0] = cos * c[j] + sin * c[0], cos * c[0] - sin * c[j]
    left += c[0] ** 2
    c[:-1], v[:-1, :-1] = c[1:].copy(), v[1:, 1:].copy()


def naive_mmr(r: Drawn, k: int) -> Picked:
    """The definition: every similarity anew in every slot, in float64."""
    x, value = r.vectors.T.astype(np.float64), r.value.astype(np.float64)
    picked: list[int] = []
    alike = []
    for _ in range(k):
        recent = picked[-WINDOW:]
        most = (x @ x[recent].T).max(axis=1) if recent else np.zeros(len(x))
        score = THETA * value - (1 - THETA) * most
        score[picked] = -np.inf
        picked.append(int(score.argmax()))
        alike.append(most[picked[-1]])
    return np.array(picked, np.int32), np.array(alike)


def naive_dpp(r: Drawn, k: int) -> Picked:
    """The definition: a determinant of the window with every candidate in every slot, in float64."""
    x, value = r.vectors.T.astype(np.float64), r.value.astype(np.float64)
    s = x @ x.T + RIDGE * np.eye(len(x))
    picked: list[int] = []
    fresh = []
    for _ in range(k):
        recent = picked[max(0, len(picked) - WINDOW + 1) :]
        with_each = [np.linalg.slogdet(s[np.ix_([*recent, i], [*recent, i])])[1] for i in range(len(x))]
        more = np.array(with_each) - (np.linalg.slogdet(s[np.ix_(recent, recent)])[1] if recent else 0.0)
        score = THETA * value + (1 - THETA) * more
        score[picked] = -np.inf
        best = int(score.argmax())
        picked.append(best)
        fresh.append(np.exp(more[best]) / s[best, best])
    return np.array(picked, np.int32), np.array(fresh)


WAYS: Mapping[str, tuple[Callable[[Drawn, int], Picked], ...]] = {
    "mmr": (mmr, numpy_mmr, naive_mmr),
    "dpp": (dpp, numpy_dpp, naive_dpp),
}
