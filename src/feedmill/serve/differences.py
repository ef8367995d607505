"""Served beside made again, feature by feature."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Mask
from feedmill.core.request import Trace
from feedmill.features.served.named import Columns, Named

Values = NDArray[Any]
Row = Sequence[int | float | None]
Place = tuple[str, str]  # request and item
NUMBERS = 1e-5  # relative: two ways to add up in float32
SCORES = 1e-4  # of six digits, after a net's worth of additions
HALVES = 2e-3  # of what is stored in float16, and of scores that are made of it: the neighbouring half


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One place where they differ."""

    request_id: str
    item_id: str
    served: list[int | float | None]
    recomputed: list[int | float | None]


class Line(msgspec.Struct, kw_only=True):
    """One feature of one side, or one head.

    Attributes:
        side: "user", "item" or "score".
        rows: that were compared: a request's user counts once.
        differing: that differ: ids at all, numbers by more than ``NUMBERS`` of the larger (a vector: of its largest).
        largest: the largest difference, as a share of the larger; 1 where an id differs or one of the two is missing.
    """

    side: str
    feature: str
    rows: int = 0
    differing: int = 0
    largest: float = 0.0
    example: Example | None = None


class Differences:
    """Counts over requests of several versions."""

    def __init__(self) -> None:
        self.features: dict[tuple[str, str], Line] = {}
        self.scores: dict[tuple[str, str], Line] = {}
        self.n_requests = self.n_rows = self.n_differing = 0

    def add(
        self, traces: Sequence[Trace], made: Named, scores: Floats, heads: Sequence[str], halves: Collection[str] = ()
    ) -> None:
        """Requests of one version, in the order of what was made of them again.

        Args:
            traces: with features.
            scores: float32[C, H].
            halves: what is stored in float16.
        """
        kept = [(t, t.features) for t in traces if t.features is not None]
        n_items = [len(t.items) for t, _ in kept]
        users = [(t.request_id, "") for t, _ in kept]
        shown = [(t.request_id, i.item_id) for t, _ in kept for i in t.items]
        differs = np.zeros(len(shown), np.bool_)
        for name in _names(made.user, [f.user for _, f in kept]):
            was = [f.user.get(name, []) for _, f in kept]
            differs |= np.repeat(self._compare("user", name, was, made.user.get(name), users), n_items)
        for name in _names(made.items, [f.items for _, f in kept]):
            was = [row for (_, f), n in zip(kept, n_items, strict=True) for row in f.items.get(name, [[]] * n)]
            limit = HALVES if name in halves else NUMBERS
            differs |= self._compare("item", name, was, made.items.get(name), shown, limit)
        for h, head in enumerate(heads):
            was = [[i.scores[head]] if head in i.scores else [None] for t, _ in kept for i in t.items]
            differs |= self._compare("score", head, was, scores[:, [h]], shown, HALVES if halves else SCORES)
        self.n_requests += len(kept)
        self.n_rows += len(shown)
        self.n_differing += int(differs.sum())

    def _compare(
        self,
        side: str,
        name: str,
        was: Sequence[Row],
        made: Values | None,
        places: Sequence[Place],
        limit: float = NUMBERS,
    ) -> Mask:
        """bool[n]: which rows differ."""
        lines = self.scores if side == "score" else self.features
        line = lines.setdefault((side, name), Line(side=side, feature=name))
        far = how_far(was, made)
        differs: Mask = far > limit
        line.rows += len(far)
        line.differing += int(differs.sum())
        if differs.any() and far.max() > line.largest:
            worst = int(far.argmax())
            example = Example(
                request_id=places[worst][0],
                item_id=places[worst][1],
                served=list(was[worst]),
                recomputed=[] if made is None else made[worst].tolist(),
            )
            line.example = example
        line.largest = max(line.largest, float(far.max(initial=0)))
        return differs


def sorted_lines(found: dict[tuple[str, str], Line]) -> list[Line]:
    """What differs most first."""
    return sorted(found.values(), key=lambda x: (-x.differing / max(1, x.rows), -x.largest, x.side, x.feature))


def how_far(was: Sequence[Row], made: Values | None) -> NDArray[np.float64]:
    """float64[n]: how far rows are from each other, 0 to 2 (numbers may differ in sign).

    Args:
        was: as a trace has them; a row of another width is missing.
        made: [n, width]; None: all are missing.
    """
    if made is None:
        return np.ones(len(was))
    width = made.shape[1]
    fits = np.array([len(row) == width for row in was], np.bool_)
    if not width or not len(was):
        return np.where(fits, 0.0, 1.0)
    nothing = [None] * width
    old = np.array([row if len(row) == width else nothing for row in was], np.float64)
    if made.dtype.kind != "f":
        return np.where((old != made).any(axis=1), 1.0, 0.0)
    new = made.astype(np.float64)
    old_nan, new_nan = np.isnan(old), np.isnan(new)
    gap = np.where(old_nan | new_nan, 0.0, np.abs(old - new)).max(axis=1)
    largest = np.maximum(np.where(old_nan, 0.0, np.abs(old)), np.where(new_nan, 0.0, np.abs(new))).max(axis=1)
    far = np.divide(gap, largest, out=np.zeros_like(gap), where=largest > 0)
    return np.where(fits & (old_nan == new_nan).all(axis=1), far, 1.0)


def _names(made: Columns, kept: Sequence[Mapping[str, object]]) -> list[str]:
    """Of either, in order."""
    return list(dict.fromkeys([*made, *(name for f in kept for name in f)]))
