"""How near two vectors are, and the exact scores of chosen rows: every kind of index answers with these."""

from __future__ import annotations

from typing import Any, Literal

import faiss
import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Rows

Metric = Literal["inner_product", "cosine", "l2"]
Places = NDArray[np.int64]


def unit(vectors: Floats) -> NDArray[np.float32]:
    """Rows scaled to length 1, so that inner products are cosines; zero vectors stay zero."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    out = np.zeros(vectors.shape, np.float32)
    np.divide(vectors, length, out=out, where=length > 0)
    return out


def prepared(vectors: Floats, metric: Metric) -> Floats:
    """float32[n, D] as structures hold them: for the cosine of length 1; a copy only where one is needed."""
    return unit(vectors) if metric == "cosine" else np.ascontiguousarray(vectors, np.float32)


def faiss_metric(metric: Metric) -> int:
    """The metric by which prepared vectors are compared, as faiss names it."""
    library: Any = faiss
    return int(library.METRIC_L2 if metric == "l2" else library.METRIC_INNER_PRODUCT)


def scores_at(query: Floats, vectors: Floats, rows: Places, metric: Metric) -> Floats:
    """float32[n]: the exact scores of some rows of ``vectors``, larger is nearer; for l2 the negated squared distance.

    Equal vectors have equal scores wherever they stand, which a matrix product does not promise.

    Args:
        query: float32[D], for the cosine of length 1.
        vectors: float32[N, D], contiguous, as they were given; may be mapped from a file.
        rows: int64[n] below N; for the cosine of vectors that are not zero.
    """
    library: Any = faiss
    out = np.empty(len(rows), np.float32)
    if len(rows):
        compare = library.fvec_L2sqr_by_idx if metric == "l2" else library.fvec_inner_products_by_idx
        pointers = (library.swig_ptr(a) for a in (out, np.ascontiguousarray(query), vectors, rows))
        compare(*pointers, vectors.shape[1], 1, len(rows))
    if metric == "l2":
        np.negative(out, out=out)
    elif metric == "cosine" and len(rows):
        out /= np.linalg.norm(vectors[rows], axis=1)
    return out


def top(rows: Rows, scores: Floats, k: int) -> tuple[Rows, Floats]:
    """The k best of n, best first, equal ones by row, also where the cut goes through them.

    Args:
        rows: int32[n], distinct.
        scores: float32[n].
    """
    if 0 < k < len(rows):
        least = np.partition(scores, len(scores) - k)[len(scores) - k]
        above, tied = np.flatnonzero(scores > least), np.flatnonzero(scores == least)
        tied = tied[np.argsort(rows[tied])][: k - len(above)]
        some = np.concatenate([above, tied])
        rows, scores = rows[some], scores[some]
    order = np.lexsort((rows, -scores))[: max(k, 0)]
    return rows[order], scores[order]
