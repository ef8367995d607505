"""What an index holds at one moment, and the search in it. Nothing here changes, so many threads may search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from feedmill.core.batches import Floats, Mask, Rows
from feedmill.core.errors import DataError
from feedmill.retrieval.index.finder import Finder
from feedmill.retrieval.index.metric import Metric, Places, prepared, scores_at, top


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """n rows that a structure was built over, some of which may be gone since, and fresh ones beside it.

    Attributes:
        metric: of the scores.
        kind, config: of the structure: a key of INDEXES and its parameters.
        seed: it was built with.
        report: what the build said of it, as JSON values.
        vectors: float32[N, D], contiguous, as they were given; may be mapped from a file.
        rows: int32[n], ascending, > 0 and < N: those with a vector that is not zero.
        finder: None where n = 0.
        gone: bool[n], which of the rows are no longer in the index; None = all are.
        fresh_rows: int32[m], ascending; their rows of old are gone.
        fresh: float32[m, D], not zero.
    """

    metric: Metric
    kind: str
    config: Any
    seed: int
    report: Mapping[str, Any]
    vectors: Floats
    rows: Rows
    finder: Finder | None
    gone: Mask | None
    fresh_rows: Rows
    fresh: Floats

    @property
    def n_items(self) -> int:
        n_gone = 0 if self.gone is None else int(np.count_nonzero(self.gone))
        return len(self.rows) - n_gone + len(self.fresh_rows)

    @property
    def n_rows(self) -> int:
        """Rows that a mask speaks of: one more than the highest that the index has met."""
        highest = int(self.fresh_rows[-1]) + 1 if len(self.fresh_rows) else 0
        return max(len(self.vectors), highest)

    @property
    def dim(self) -> int:
        return int(self.vectors.shape[1])

    def kept(self, keep: Mask | None) -> Mask | None:
        """bool[n] by position; None = all of them."""
        if keep is not None:
            n, is_all = len(self.rows), len(self.rows) == len(self.vectors) - 1
            keep = keep[1 : n + 1] if is_all else keep[self.rows]
        if self.gone is None:
            return keep
        return ~self.gone if keep is None else keep & ~self.gone

    def search(self, queries: Floats, k: int, keep: Mask | None, few: int) -> tuple[Rows, Floats]:
        """See ``VectorIndex.search``; queries are sound, and of length 1 for the cosine."""
        rows, scores = np.zeros((len(queries), k), np.int32), np.full((len(queries), k), -np.inf, np.float32)
        old = self._old(queries, k, self.kept(keep), few)
        at = np.arange(len(self.fresh_rows))
        if keep is not None:
            at = at[keep[self.fresh_rows]]
        for r, (old_rows, old_scores) in enumerate(old):
            if len(at):
                new = scores_at(queries[r], self.fresh, at, self.metric)
                both = np.concatenate([old_rows, self.fresh_rows[at]]), np.concatenate([old_scores, new])
                old_rows, old_scores = top(*both, k)
            rows[r, : len(old_rows)], scores[r, : len(old_rows)] = old_rows, old_scores
        return rows, scores

    def _old(self, queries: Floats, k: int, keep: Mask | None, few: int) -> list[tuple[Rows, Floats]]:
        """Per query at most k of the rows in the structure, best first; comparing all of them where that is cheaper."""
        n = len(self.rows)
        n_kept = n if keep is None else int(np.count_nonzero(keep))
        keep = None if n_kept == n else keep
        if self.finder is None or n_kept == 0 or k == 0:
            return [(np.zeros(0, np.int32), np.zeros(0, np.float32))] * len(queries)
        effort = min(-(-self.finder.effort * n // n_kept), self.finder.max_effort)  # few kept lie further apart
        if n_kept <= max(few, 8 * k, self.finder.compared(effort)):
            at = np.arange(n) if keep is None else np.flatnonzero(keep)
            return [self._best(query, at, k) for query in queries]
        return self._found(self.finder, queries, k, keep, n_kept, effort)

    def _found(
        self, finder: Finder, queries: Floats, k: int, keep: Mask | None, n_kept: int, effort: int
    ) -> list[tuple[Rows, Floats]]:
        """What the structure finds; a query that got too few is tried harder, in the end by comparing everything."""
        wanted, out = min(k, n_kept), []
        for query, places in zip(queries, finder.find(queries, k, keep, effort), strict=True):
            found, harder = places[places >= 0], effort
            while len(found) < wanted:
                if harder >= finder.max_effort:
                    found = np.arange(len(self.rows)) if keep is None else np.flatnonzero(keep)
                    break
                harder = min(4 * harder, finder.max_effort)
                again = finder.find(query[None], k, keep, harder)[0]
                found = again[again >= 0]
            out.append(self._best(query, found, k))
        return out

    def _best(self, query: Floats, at: Places, k: int) -> tuple[Rows, Floats]:
        rows = self.rows[at]
        return top(rows, scores_at(query, self.vectors, rows.astype(np.int64), self.metric), k)

    def prepared(self) -> Floats:
        """float32[n, D] of ``rows`` as structures hold them."""
        is_all = len(self.rows) == len(self.vectors) - 1
        return prepared(self.vectors[1:] if is_all else self.vectors[self.rows], self.metric)


def sound(vectors: Floats, what: str = "the vector of row") -> Floats:
    """float32[N, D], contiguous.

    Raises:
        DataError: not N x D with D > 0, or not finite.
    """
    vectors = np.asarray(vectors)
    if vectors.ndim != 2 or vectors.shape[1] == 0:
        raise DataError(f"index: vectors of shape {vectors.shape}", "N x D with D > 0")
    vectors = np.ascontiguousarray(vectors, np.float32)
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        bad = int(np.flatnonzero(~finite)[0])
        raise DataError(f"index: {what} {bad} is not finite", "finite vectors", "train again")
    return vectors


def rows_with_vectors(vectors: Floats) -> Rows:
    """int32[n]: every row but 0 whose vector is not zero."""
    rows = np.flatnonzero(vectors.any(axis=1)).astype(np.int32)
    return rows[rows > 0]
