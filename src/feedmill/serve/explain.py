"""Why an item stands where it stands, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from feedmill.core.batches import CandidateBatch, Rows
from feedmill.core.request import FeedItem
from feedmill.rerank.notes import moved
from feedmill.serve.run import Run


class Names(Protocol):
    """Ids and titles of item rows."""

    def ids(self, rows: Rows) -> list[str]: ...

    def titles(self, rows: Rows) -> list[str]: ...


def explain(run: Run, names: Names) -> list[FeedItem]:
    """The slate of a finished run as items with their scores at each stage and their reason."""
    slate = run.candidates
    ranked = run.after["fuse"].item
    places = np.searchsorted(ranked, slate.item, sorter=(by_row := np.argsort(ranked)))
    ids, titles, first = names.ids(slate.item), names.titles(slate.item), len(run.request.exclude)
    return [
        FeedItem(
            item_id=ids[i],
            title=titles[i],
            position=first + i,
            value=_rounded(float(slate.value[i])),
            channels=_named(slate.channels, slate.found[i].tolist()),
            scores=_named(slate.heads, slate.scores[i].tolist()),
            why=_why(slate, i, int(by_row[places[i]]), len(ranked), run.notes.get(int(slate.item[i]), [])),
        )
        for i in range(len(slate))
    ]


def _why(slate: CandidateBatch, at: int, place: int, n: int, notes: list[str]) -> str:
    found = [c for c, score in zip(slate.channels, slate.found[at].tolist(), strict=True) if not math.isnan(score)]
    ranked = f"ranked {_ordinal(place + 1)} of {n} by value {float(slate.value[at]):.4g}"
    if place != at and not notes:
        notes = [f"others moved, so {moved(at, place).removeprefix('moved it ')}"]
    return "; ".join([f"{_and(found)} found it", ranked, *notes])


def _named(names: Sequence[str], scores: Sequence[float]) -> dict[str, float]:
    return {name: _rounded(s) for name, s in zip(names, scores, strict=True) if math.isfinite(s)}


def _rounded(score: float) -> float:
    """Six digits, all a float32 has, and JSON stays short."""
    return float(f"{score:.6g}")


def _and(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _ordinal(n: int) -> str:
    suffix = "th" if 10 <= n % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{suffix}"
