from __future__ import annotations

import os
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.batches import Floats, Part
from feedmill.core.config import convert, explain
from feedmill.core.errors import ConfigError, DataError
from feedmill.samples.scores import Scores
from feedmill.train.retrieval.completion import CompletionConfig, fit_completion
from feedmill.train.retrieval.completion_kernels import solve_rows, solve_symmetric

METHODS = ["als", "sgd"]
PLAIN = CompletionConfig(embedding_dim=2, epochs=40, l2=1e-6, biases=False)


def observed(scores: Floats, share: float = 1.0, seed: int = 0) -> Scores:
    """A random share of a matrix whose row and column 0 are nobody and nothing."""
    u, i = np.nonzero(np.random.default_rng(seed).random(scores.shape) < share)
    keep = (u > 0) & (i > 0)
    u, i = u[keep], i[keep]
    return Scores(u.astype(np.int32), i.astype(np.int32), scores[u, i].astype(np.float32), *scores.shape)


def low_rank(n_users: int, n_items: int, rank: int, noise: float = 0.0, seed: int = 0) -> Floats:
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(n_users, rank)), random.normal(size=(n_items, rank))
    return (a @ b.T + noise * random.normal(size=(n_users, n_items))).astype(np.float32)


def fitted(triples: Scores, config: CompletionConfig = PLAIN, seed: int = 0, **changes: Any) -> Part:
    config = msgspec.structs.replace(config, **changes)
    return fit_completion(config, triples, triples.n_users, triples.n_items, seed)


def expected(part: Part) -> Floats:
    product: Floats = part.arrays["user_vectors"] @ part.arrays["item_vectors"].T
    return product


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize(("rank", "share"), [(1, 0.6), (2, 0.7)])
def test_als_fills_in_a_matrix_of_known_rank(rank: int, share: float, biases: bool) -> None:
    scores = low_rank(30, 25, rank)
    part = fitted(observed(scores, share), embedding_dim=rank, epochs=150, biases=biases)
    np.testing.assert_allclose(expected(part)[1:, 1:], scores[1:, 1:], atol=0.01)


def test_sgd_fills_in_a_matrix_of_rank_one() -> None:
    scores = low_rank(30, 25, 1)
    part = fitted(observed(scores, 0.6), method="sgd", embedding_dim=1, epochs=400, learning_rate=0.1)
    np.testing.assert_allclose(expected(part)[1:, 1:], scores[1:, 1:], atol=0.05)


@given(st.integers(1, 6), st.integers(0, 3), st.floats(1e-3, 2.0), st.booleans())
def test_the_objective_of_als_never_rises(width: int, seed: int, l2: float, biases: bool) -> None:
    triples = observed(low_rank(12, 9, 3, noise=1.0, seed=seed) + 2, 0.5, seed)
    part = fitted(triples, embedding_dim=width, epochs=12, l2=l2, biases=biases)
    losses = np.array(part.config["loss"])
    assert (np.diff(losses) <= 1e-6 * losses[:-1]).all()


@pytest.mark.parametrize("biases", [False, True])
def test_the_loss_told_is_the_objective(biases: bool) -> None:
    triples = observed(low_rank(12, 9, 2, noise=1.0) + 3, 0.5)
    part = fitted(triples, l2=0.3, epochs=3, biases=biases)
    user, item = part.arrays["user_vectors"][triples.user], part.arrays["item_vectors"][triples.item]
    errors = triples.score - (user * item).sum(1)
    lengths = (user[:, :2] ** 2).sum(1) + (item[:, :2] ** 2).sum(1)
    if biases:
        lengths += (user[:, 2] - triples.score.mean()) ** 2 + item[:, 3] ** 2
    assert part.config["loss"][-1] == pytest.approx((errors**2 + 0.3 * lengths).mean(), rel=1e-5)
    assert part.config["rmse"] == pytest.approx(np.sqrt((errors**2).mean()), rel=1e-5)


@pytest.mark.parametrize("biases", [False, True])
def test_sgd_comes_near_the_objective_of_als(biases: bool) -> None:
    triples = observed(low_rank(60, 50, 2, noise=0.3) + 2, 0.4)
    als = fitted(triples, l2=0.05, epochs=60, biases=biases).config["loss"]
    sgd = fitted(triples, l2=0.05, epochs=100, biases=biases, method="sgd", learning_rate=0.05).config["loss"]
    assert sgd[-1] < sgd[0]
    assert als[-1] * 0.999 < sgd[-1] < als[-1] * 1.03


@pytest.mark.parametrize("method", METHODS)
def test_unseen_scores_are_told_better_than_by_the_mean(method: str) -> None:
    scores = low_rank(120, 80, 2, noise=0.3) + 3
    known, held = observed(scores, 0.3, seed=1), observed(scores, 0.1, seed=2)
    new = ~np.isin(held.user * 80 + held.item, known.user * 80 + known.item)
    config = CompletionConfig(embedding_dim=4, epochs=60, l2=0.02, learning_rate=0.05)
    told = expected(fitted(known, config, method=method))[held.user, held.item][new]
    y = held.score[new]
    rmse, by_mean = (np.sqrt(((y - guess) ** 2).mean()) for guess in (told, known.score.mean()))
    assert rmse < 0.5 * by_mean


def test_biases_alone_are_told_by_the_extra_dimensions() -> None:
    c, d = np.linspace(-1, 1, 20), np.linspace(-2, 2, 15)
    scores = (3 + c[:, None] + d[None, :]).astype(np.float32)
    part = fitted(observed(scores, 0.5), embedding_dim=1, biases=True, epochs=60)
    assert part.arrays["user_vectors"].shape == (20, 3)
    assert (part.arrays["user_vectors"][1:, 2] == 1).all()
    assert (part.arrays["item_vectors"][1:, 1] == 1).all()
    np.testing.assert_allclose(expected(part)[1:, 1:], scores[1:, 1:], atol=0.02)


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_the_seed_decides_and_nothing_else(method: str, biases: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    triples = observed(low_rank(40, 30, 2, noise=1.0), 0.4)
    one = fitted(triples, method=method, biases=biases, epochs=5, seed=3)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    two = fitted(triples, method=method, biases=biases, epochs=5, seed=3)
    other = fitted(triples, method=method, biases=biases, epochs=5, seed=4)
    for name in ("user_vectors", "item_vectors"):
        assert one.arrays[name].tobytes() == two.arrays[name].tobytes()
        assert one.arrays[name].dtype == np.float32
        assert not np.array_equal(one.arrays[name], other.arrays[name])
    assert one.config == two.config


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_who_was_not_observed_has_the_zero_vector(method: str, biases: bool) -> None:
    triples = Scores(*(np.array(x, t) for x, t in (([1, 3], "i4"), ([2, 2], "i4"), ([4.0, 1.0], "f4"))), 5, 4)
    part = fitted(triples, method=method, biases=biases, epochs=3)
    assert part.kind == "vector"
    assert part.arrays["user_vectors"].any(1).tolist() == [False, True, False, True, False]
    assert part.arrays["item_vectors"].any(1).tolist() == [False, False, True, False]


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_nothing_observed_gives_nothing(method: str, biases: bool) -> None:
    empty = Scores(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32), 1, 4)
    part = fitted(empty, method=method, biases=biases)
    assert part.arrays["user_vectors"].shape == (1, 4 if biases else 2)
    assert part.arrays["item_vectors"].shape == (4, 4 if biases else 2)
    assert not part.arrays["item_vectors"].any()
    assert part.config["loss"] == []


@pytest.mark.parametrize("method", METHODS)
def test_one_user_and_one_item(method: str) -> None:
    one = Scores(np.array([1], np.int32), np.array([1], np.int32), np.array([3.0], np.float32), 2, 2)
    part = fitted(one, method=method, biases=True)
    assert expected(part)[1, 1] == pytest.approx(3.0, abs=1e-3)


def test_a_row_is_the_solution_of_its_normal_equations() -> None:
    """Against NumPy, at counts around the kernel's block of eight."""
    random = np.random.default_rng(0)
    features, biases = random.normal(size=(50, 5)).astype(np.float32), random.normal(size=50).astype(np.float32)
    counts = np.array([0, 1, 7, 8, 9, 40])
    ptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    others = np.concatenate([random.choice(50, n, replace=False) for n in counts]).astype(np.int32)
    values = random.normal(size=len(others)).astype(np.float32)
    out, out_biases = np.zeros((len(counts), 5), np.float32), np.zeros(len(counts), np.float32)
    solve_rows(0, len(counts), ptr, others, values, features, biases, 0.5, 0.1, True, out, out_biases)
    for row, n in enumerate(counts):
        at = slice(ptr[row], ptr[row + 1])
        f = np.column_stack([features[others[at]], np.ones(n)]).astype(np.float64)
        y = values[at] - 0.5 - biases[others[at]]
        x = np.linalg.lstsq(f.T @ f + 0.1 * n * np.eye(6), f.T @ y)[0]
        np.testing.assert_allclose([*out[row], out_biases[row]], x, atol=1e-5)


@given(st.integers(1, 12), st.integers(0, 5))
def test_cholesky_solves(n: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    f = random.normal(size=(n // 2 + 1, n))
    a, y = f.T @ f + 0.1 * np.eye(n), random.normal(size=n)
    x = y.copy()
    solve_symmetric(a.copy(), x, 0.1)
    np.testing.assert_allclose(a @ x, y, atol=1e-8)


def test_steps_that_are_too_large_are_told() -> None:
    with pytest.raises(ConfigError, match="learning_rate = 9"):
        fitted(observed(low_rank(20, 20, 1) * 5), method="sgd", learning_rate=9.0)


@pytest.mark.parametrize(
    ("user", "item", "score", "said"),
    [(7, 1, 1.0, "user rows 1..7"), (1, 0, 1.0, "item rows 0..2"), (1, 1, np.nan, "not finite")],
)
def test_scores_that_cannot_be_are_refused(user: int, item: int, score: float, said: str) -> None:
    columns = np.array([1, user], np.int32), np.array([2, item], np.int32), np.array([1.0, score], np.float32)
    with pytest.raises(DataError, match=said):
        fitted(Scores(*columns, 5, 5))


def test_every_parameter_says_what_it_is() -> None:
    assert all(said for _, _, said in explain(CompletionConfig()))
    with pytest.raises(ConfigError, match="l2"):
        convert({"l2": 0.0}, CompletionConfig)
