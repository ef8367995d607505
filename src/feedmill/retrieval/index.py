"""Exact nearest neighbours by inner product, on faiss."""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Mask, Rows
from feedmill.core.errors import DataError


class FlatIndex:
    """Every item is compared with the query. Cosine: normalise vectors and queries first (``unit``).

    Exact, and below about 200 k items of 64 numbers still a few milliseconds. Row 0 is never returned.

    Args:
        vectors: float32[N, D], row 0 (nothing) included; N may be 0 or 1.
        n_threads: OpenMP threads of a search. One by default: in serving many requests search at once, and
            starting and awaiting a team of threads for each would cost more than the scan of one query.

    Raises:
        DataError: vectors are not N x D with D > 0, or some are not finite.
    """

    def __init__(self, vectors: Floats, n_threads: int = 1) -> None:
        if vectors.ndim != 2 or vectors.shape[1] == 0:
            raise DataError(f"index: vectors of shape {vectors.shape}", "N x D with D > 0")
        if not np.isfinite(vectors).all():
            bad = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
            raise DataError(f"index: the vector of row {bad} is not finite", "finite vectors", "train again")
        self.n_threads = n_threads
        self._index: Any = faiss.IndexFlatIP(vectors.shape[1])
        if len(vectors) > 1:
            self._index.add(np.ascontiguousarray(vectors[1:], np.float32))

    def __len__(self) -> int:
        """Items held, row 0 not counted."""
        return int(self._index.ntotal)

    def search(self, queries: Floats, k: int, keep: Mask | None = None) -> tuple[Rows, Floats]:
        """The k items with the largest inner product with each query, equal ones in the order of rows.

        Args:
            queries: float32[R, D].
            keep: bool[N], which rows may be returned (availability); k are found among them. None = all.

        Returns:
            rows int32[R, k'] and scores float32[R, k'] with k' = min(k, items held), best first. Where the
            mask leaves fewer, padded with row 0 and score -inf.

        Raises:
            DataError: queries are not R x D or not finite.
        """
        queries = np.ascontiguousarray(queries, np.float32)
        if queries.ndim != 2 or queries.shape[1] != self._index.d:
            raise DataError(f"index: queries of shape {queries.shape}", f"R x {self._index.d}")
        if not np.isfinite(queries).all():
            raise DataError("index: a query is not finite", "finite user vectors", "look at the user's features")
        k = max(0, min(k, len(self)))
        if k == 0 or len(queries) == 0:
            return np.zeros((len(queries), k), np.int32), np.zeros((len(queries), k), np.float32)
        faiss.omp_set_num_threads(self.n_threads)  # holds for the calling thread only: hence on every search
        parameters = self._parameters(keep)
        # One more than asked for shows whether the cut goes through a tie.
        scores, labels = self._index.search(queries, min(k + 1, len(self)), params=parameters)
        rows = (labels + 1).astype(np.int32)  # faiss pads with -1
        scores = np.where(rows > 0, scores, -np.inf).astype(np.float32)
        self._mend_ties(queries, rows, scores, k, parameters)
        order = np.lexsort((rows, -scores), axis=1)[:, :k]
        return np.take_along_axis(rows, order, 1), np.take_along_axis(scores, order, 1)

    def _parameters(self, keep: Mask | None) -> Any:
        if keep is None:
            return None
        if len(keep) != len(self) + 1:
            raise DataError(f"index: a mask of {len(keep)} rows", f"{len(self) + 1} rows")
        bits = np.packbits(keep[1:], bitorder="little")
        library: Any = faiss  # its Python layer takes arrays and keywords that its signatures do not tell of
        return library.SearchParameters(sel=library.IDSelectorBitmap(bits))

    def _mend_ties(self, queries: Floats, rows: Rows, scores: Floats, k: int, parameters: Any) -> None:
        """Which of several equal items at the cut faiss keeps is its own affair: take the lowest rows."""
        if scores.shape[1] == k:
            return
        for r in np.flatnonzero((scores[:, k - 1] == scores[:, k]) & (rows[:, k] > 0)):
            last = scores[r, k - 1]
            below = np.nextafter(last, np.float32(-np.inf))
            _, products, labels = self._index.range_search(queries[r : r + 1], below, params=parameters)
            tied = np.sort(labels[products == last].astype(np.int32) + 1)
            at = np.flatnonzero(scores[r] == last)
            if len(tied) >= len(at):
                rows[r, at] = tied[: len(at)]


def unit(vectors: Floats) -> NDArray[np.float32]:
    """Rows scaled to length 1, so that inner products are cosines; zero vectors stay zero."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    out = np.zeros(vectors.shape, np.float32)
    np.divide(vectors, length, out=out, where=length > 0)
    return out
