"""Matrix completion on observed scores, by alternating least squares or by stochastic gradients: the baseline.

    minimise  sum over observed (u, i) of  (y - <a_u, b_i>)² + l2 (|a_u|² + |b_i|²)

Koren, Bell and Volinsky, Computer 2009. That each observation carries the L2 of both its vectors is Zhou et al., AAIM
2008: one l2 is then right for users of five items and of five thousand, and it is what a step of sgd minimises.

Why it is a baseline and no more: only pairs that met are fitted. What nobody like the user was shown has no say in the
sum, so the vectors of rare items lie where a few scores and the L2 left them, and a search for the largest product over
the whole catalogue, which is what retrieval is, finds just these. A good fit of the scores says little of it: who meets
what is no accident, since people choose what they will like (Marlin and Zemel, RecSys 2009; Cremonesi et al., RecSys
2010). On MovieLens 100K, a random tenth of the ratings held out, it tells them to .91 stars (root mean square; the mean
score: 1.13) and has 4 % of them among each user's top 20, where the most popular films have 19 %. Retrieval has to tell
what is chosen from all that is not: that takes negatives drawn from the catalogue and a pairwise or softmax loss, which
``models.losses`` has.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Part, Rows
from feedmill.core.clock import rng
from feedmill.core.config import Config
from feedmill.core.errors import ConfigError, DataError
from feedmill.core.progress import progress
from feedmill.retrieval.cores import spans
from feedmill.samples.scores import Scores
from feedmill.train.retrieval.completion_kernels import gradient_steps, solve_rows, squared_errors

START = 0.1  # standard deviation of the vectors' entries before the first pass


class CompletionConfig(Config, frozen=True):
    """How the table of observed scores is completed."""

    embedding_dim: Annotated[int, Meta(ge=1, description="width of every vector, biases not counted")] = 32
    method: Annotated[
        Literal["als", "sgd"],
        Meta(description="als: each row solved exactly, on all cores; sgd: one observation at a time, on one core"),
    ] = "als"
    epochs: Annotated[int, Meta(ge=1, description="passes over the observations")] = 20
    l2: Annotated[float, Meta(gt=0, description="weight of the squared lengths, per observation")] = 0.1
    learning_rate: Annotated[
        float, Meta(gt=0, description="of sgd in the first pass; falls in a straight line to 0 after the last")
    ] = 0.02
    biases: Annotated[
        bool, Meta(description="add the mean score and a bias per user and item, as two more dimensions of the vectors")
    ] = True


class Side(NamedTuple):
    """Vectors float32[rows, D] and biases float32[rows] of users or of items; 0 where nothing was observed."""

    vectors: Floats
    biases: Floats


class Observed(NamedTuple):
    """The scores from both sides: user u has ``user_ptr[u]:user_ptr[u + 1]``, item i the like."""

    user_ptr: NDArray[np.int64]
    user_items: Rows
    user_values: Floats
    item_ptr: NDArray[np.int64]
    item_users: Rows
    item_values: Floats


class Fit(NamedTuple):
    """What a method works on; it changes the sides in place."""

    config: CompletionConfig
    table: Observed
    mean: float
    users: Side
    items: Side
    pool: ThreadPoolExecutor


def fit_completion(config: CompletionConfig, triples: Scores, n_users: int, n_items: int, seed: int) -> Part:
    """Observed scores -> vectors whose inner product is the score to be expected.

    The same seed gives the same bytes, whatever the number of cores.

    Returns:
        a part of kind "vector": ``user_vectors`` float32[n_users, W] and ``item_vectors`` float32[n_items, W], where W
        is embedding_dim, or with biases embedding_dim + 2. Rows without observations are zero vectors, as row 0 is.
        Its config has ``loss``, the objective above per observation after each pass, and ``rmse`` on what was observed.

    Raises:
        DataError: rows beyond the tables, or a score that is not finite.
        ConfigError: the steps of sgd were too large, and the loss is not finite.
    """
    _check(triples, n_users, n_items)
    n = len(triples)
    mean = float(triples.score.mean(dtype=np.float64)) if config.biases and n else 0.0
    table = _observed(triples, n_users, n_items)
    random = rng(seed, "matrix")
    users, items = (_start(ptr, config.embedding_dim, random) for ptr in (table.user_ptr, table.item_ptr))
    losses, error = [], 0.0
    with (
        progress(f"matrix by {config.method}", config.epochs * n) as advance,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        fit = Fit(config, table, mean, users, items, pool)
        for _ in (_als(fit) if config.method == "als" else _sgd(fit, triples, random)) if n else ():
            error = _squared_error(fit)
            losses.append((error + config.l2 * _squared_lengths(fit)) / n)
            if not np.isfinite(losses[-1]):
                raise ConfigError(f"learning_rate = {config.learning_rate:g}: the loss is {losses[-1]}", fix="lower it")
            advance(n)
    told = {**msgspec.to_builtins(config), "loss": losses, "rmse": float(np.sqrt(error / max(n, 1)))}
    user_vectors, item_vectors = _with_biases(fit) if config.biases else (users.vectors, items.vectors)
    return Part("vector", told, {"user_vectors": user_vectors, "item_vectors": item_vectors})


def _check(triples: Scores, n_users: int, n_items: int) -> None:
    for name, rows, n in (("user", triples.user, n_users), ("item", triples.item, n_items)):
        if len(rows) and (rows.min() < 1 or rows.max() >= n):
            given, expected = f"{name} rows {rows.min()}..{rows.max()}", f"rows 1..{n - 1}"
            raise DataError(given, expected, "read the scores by the state that the vectors are for")
    if not np.isfinite(triples.score).all():
        raise DataError("a score that is not finite", "finite scores", "look for NaN among the values of the log")


def _observed(triples: Scores, n_users: int, n_items: int) -> Observed:
    def side(key: Rows, other: Rows, n: int) -> tuple[NDArray[np.int64], Rows, Floats]:
        order = np.argsort(key, kind="stable")
        ptr = np.concatenate([[0], np.cumsum(np.bincount(key, minlength=n))])
        return ptr.astype(np.int64), other[order], triples.score[order]

    return Observed(*side(triples.user, triples.item, n_users), *side(triples.item, triples.user, n_items))


def _start(ptr: NDArray[np.int64], width: int, random: np.random.Generator) -> Side:
    """Small random vectors for the rows that have observations."""
    observed = np.diff(ptr) > 0
    vectors = random.standard_normal((len(observed), width), np.float32) * np.float32(START)
    vectors[~observed] = 0
    return Side(vectors, np.zeros(len(observed), np.float32))


def _als(fit: Fit) -> Iterator[None]:
    """Each pass: the best users for these items, then the best items for these users."""
    config, table = fit.config, fit.table
    by_user = table.user_ptr, table.user_items, table.user_values
    by_item = table.item_ptr, table.item_users, table.item_values

    def solve(side: Side, other: Side, grouped: tuple[NDArray[np.int64], Any, Any]) -> None:
        def rows(first: int, last: int) -> None:
            solve_rows(first, last, *grouped, *other, fit.mean, config.l2, config.biases, *side)

        _on_all_cores(fit.pool, grouped[0], rows)

    for _ in range(config.epochs):
        solve(fit.users, fit.items, by_user)
        solve(fit.items, fit.users, by_item)
        yield


def _sgd(fit: Fit, triples: Scores, random: np.random.Generator) -> Iterator[None]:
    """Each pass in another order. On one core: two that step at once give another model in every run."""
    config = fit.config
    for epoch in range(config.epochs):
        rate = config.learning_rate * (1 - epoch / config.epochs)
        order = random.permutation(len(triples))
        observed = triples.user[order], triples.item[order], triples.score[order] - np.float32(fit.mean)
        gradient_steps(*observed, rate, config.l2, config.biases, *fit.users, *fit.items)
        yield


def _on_all_cores(pool: ThreadPoolExecutor, ptr: NDArray[np.int64], rows: Callable[[int, int], None]) -> None:
    """``rows(first, last)``, which lets go of the GIL, over spans that hold about equally many observations."""
    for job in [pool.submit(rows, first, last) for first, last in spans(np.diff(ptr).astype(np.float64), 64)]:
        job.result()


def _squared_error(fit: Fit) -> float:
    table, errors = fit.table, np.zeros(len(fit.users.biases))
    grouped = table.user_ptr, table.user_items, table.user_values

    def rows(first: int, last: int) -> None:
        squared_errors(first, last, *grouped, *fit.users, *fit.items, fit.mean, errors)

    _on_all_cores(fit.pool, table.user_ptr, rows)
    return float(errors.sum())


def _squared_lengths(fit: Fit) -> float:
    """Those of both vectors of each observation, biases included, added up."""
    total = 0.0
    for side, ptr in ((fit.users, fit.table.user_ptr), (fit.items, fit.table.item_ptr)):
        squares = np.square(side.vectors, dtype=np.float64).sum(1) + np.square(side.biases, dtype=np.float64)
        total += float(squares @ np.diff(ptr))
    return total


def _with_biases(fit: Fit) -> tuple[Floats, Floats]:
    """[a, c + mean, 1] and [b, 1, d], so that the product is <a, b> + c + mean + d; zeros where nothing was seen."""
    (a, c), (b, d) = fit.users, fit.items
    user, item = ((np.diff(ptr) > 0).astype(np.float32) for ptr in (fit.table.user_ptr, fit.table.item_ptr))
    return np.column_stack([a, c + np.float32(fit.mean) * user, user]), np.column_stack([b, item, d])
