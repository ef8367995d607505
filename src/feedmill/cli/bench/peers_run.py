"""The peers' own calls, run as a script by an interpreter that has them: `peers_run.py NAME IN.npz OUT.npz`.

It imports nothing of feedmill, so it can run where feedmill is not installed. Rows 0 of users and items are nobody and
nothing. Each library gets what its documentation tells a user to call, with its defaults, and all cores.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

NOT_INSTALLED = 3
Ask = Callable[[Any, NDArray[np.int32], int], NDArray[np.int32]]  # likes [users x items], users, k -> items [U, k]
STEP = 1024


def table(given: Any) -> Any:
    """Likes as a SciPy matrix, users x items, float32."""
    from scipy.sparse import csr_matrix

    n_users, n_items, _ = given["n"]
    ones = np.ones(len(given["user"]), np.float32)
    return csr_matrix((ones, (given["user"], given["item"])), (n_users, n_items))


def implicit_model(name: str) -> Callable[[Any], Ask]:
    """Nearest neighbours and ALS of implicit."""

    def fit(likes: Any) -> Ask:
        from implicit.als import AlternatingLeastSquares
        from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, TFIDFRecommender

        models = {
            "cosine": CosineRecommender,
            "TF-IDF": TFIDFRecommender,
            "BM25": BM25Recommender,
            "ALS": lambda: AlternatingLeastSquares(random_state=0),
        }
        model = models[name]()
        model.fit(likes, show_progress=False)

        def ask(likes: Any, users: NDArray[np.int32], k: int) -> NDArray[np.int32]:
            found, _ = model.recommend(users, likes[users], N=k, filter_already_liked_items=True)
            items: NDArray[np.int32] = np.maximum(found, 0).astype(np.int32)
            return items

        return ask

    return fit


def best(scores: Any, likes: Any, users: NDArray[np.int32], k: int) -> NDArray[np.int32]:
    """The k best unseen of dense or sparse scores."""
    dense = np.asarray(scores.todense() if hasattr(scores, "todense") else scores, np.float32)
    seen = likes[users].tocoo()
    dense[seen.row, seen.col] = 0
    dense[:, 0] = 0
    top = np.argpartition(-dense, k, axis=1)[:, :k]
    values = np.take_along_axis(dense, top, 1)
    order = np.argsort(-values, axis=1, kind="stable")
    return np.where(values > 0, top, 0)[np.arange(len(top))[:, None], order].astype(np.int32)


def sparse_dot_topn(likes: Any) -> Ask:
    """The 100 largest cosines of each item by sp_matmul_topn; they are added up by SciPy."""
    from scipy.sparse import diags
    from sparse_dot_topn import sp_matmul_topn

    length = np.sqrt(np.asarray(likes.power(2).sum(axis=0)).ravel())
    unit = (likes @ diags(np.where(length > 0, 1 / np.maximum(length, 1e-9), 0).astype(np.float32))).tocsr()
    sims = sp_matmul_topn(unit.T.tocsr(), unit, top_n=100, n_threads=_cores())
    return lambda likes, users, k: best(likes[users] @ sims, likes, users, k)


def recfarm(name: str) -> Callable[[Any], Ask]:
    """LibRecommender's Rust kernels, called as LibRecommender calls them, with its defaults."""

    def fit(likes: Any) -> Ask:
        import recfarm as library

        of_user, of_item = _sparse(likes), _sparse(likes.T.tocsr())
        consumed = {u: likes.indices[likes.indptr[u] : likes.indptr[u + 1]].tolist() for u in range(likes.shape[0])}
        if name == "Swing":
            model = library.Swing(20, 1.0, 100_000_000, *likes.shape, of_user, of_item, consumed, 0.0)
            model.compute_swing(_cores())
        else:
            model = library.ItemCF("ranking", 20, *likes.shape, 1, of_user, of_item, consumed, 0.0)
            model.compute_similarities(True, _cores())

        def ask(likes: Any, users: NDArray[np.int32], k: int) -> NDArray[np.int32]:
            found, _ = model.recommend(users.tolist(), k, True, False)
            return np.array([(row + [0] * k)[:k] for row in found], np.int32)

        return ask

    return fit


def ease(likes: Any) -> Ask:
    """EASE (Steck 2019), lambda 500, as its paper's five lines of NumPy: dense in the items, so for small ones."""
    if likes.shape[1] > 12_000:
        raise MemoryError(f"{likes.shape[1]} items: the dense inverse is left out above 12,000")
    gram = np.asarray((likes.T @ likes).todense(), np.float64)
    gram[np.diag_indices_from(gram)] += 500.0
    inverse = np.linalg.inv(gram)
    weights = inverse / -np.diag(inverse)
    weights[np.diag_indices_from(weights)] = 0
    return lambda likes, users, k: best(likes[users] @ weights, likes, users, k)


def _sparse(likes: Any) -> Any:
    from types import SimpleNamespace

    return SimpleNamespace(
        sparse_indices=likes.indices.tolist(), sparse_indptr=likes.indptr.tolist(), sparse_data=likes.data.tolist()
    )


def _cores() -> int:
    import os

    return os.cpu_count() or 1


FITS: dict[str, Callable[[Any], Ask]] = {
    **{f"implicit {name}": implicit_model(name) for name in ("cosine", "TF-IDF", "BM25", "ALS")},
    "sparse_dot_topn cosine": sparse_dot_topn,
    **{f"recfarm {name}": recfarm(name) for name in ("Swing", "ItemCF")},
    "EASE in NumPy": ease,
}


def main(name: str, source: str, target: str) -> None:
    """Fit, time the fitting, ask for everybody, write."""
    with np.load(source, allow_pickle=False) as given:
        likes, users, k = table(given), given["ask"], int(given["n"][2])
    start = time.perf_counter()
    ask = FITS[name](likes)
    fit_s = time.perf_counter() - start
    item = np.concatenate([ask(likes, users[at : at + STEP], k) for at in range(0, len(users), STEP)])
    np.savez(target, item=item, fit_s=fit_s)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except ModuleNotFoundError as e:
        sys.stderr.write(f"{e.name}\n")
        sys.exit(NOT_INSTALLED)
