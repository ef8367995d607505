from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from feedmill.retrieval.weights import _Problem, fit_weights


def sample(
    n_requests: int, truth: list[float], seed: int = 0, n: int = 20
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Requests of n candidates, of whom one is chosen by softmax of ``truth`` times what the channels say."""
    random = np.random.default_rng(seed)
    x = random.exponential(size=(n_requests, n, len(truth))).astype(np.float32)
    noise = random.gumbel(size=(n_requests, n))
    chosen = (x @ np.array(truth) + noise).argmax(1)
    positive = np.zeros((n_requests, n), bool)
    positive[np.arange(n_requests), chosen] = True
    return x.reshape(-1, len(truth)), positive.ravel(), np.repeat(np.arange(n_requests, dtype=np.int32), n)


def test_the_truth_is_found_where_nothing_pulls() -> None:
    weights = fit_weights(*sample(4000, [1.5, 1.0, 0.5]), shrinkage=0)
    np.testing.assert_allclose(weights, [1.5, 1.0, 0.5], atol=0.12)


def test_more_shrinkage_is_nearer_to_equal() -> None:
    drawn = sample(1000, [1.5, 1.0, 0.5])
    away = [np.abs(fit_weights(*drawn, shrinkage=s) - 1).max() for s in (0, 100, 1000, 1e4, 1e8)]
    assert all(a > b for a, b in pairwise(away))
    assert away[-1] < 1e-3


def test_little_evidence_moves_little() -> None:
    """The same shrinkage, with ten requests and with many."""
    few, many = (fit_weights(*sample(n, [2.0, 0.0]), shrinkage=500) for n in (10, 5000))
    assert np.abs(few - 1).max() < 0.1 < 0.5 < np.abs(many - 1).max()


def test_a_channel_that_misleads_gets_nothing() -> None:
    weights = fit_weights(*sample(3000, [2.0, 0.5, -1.0]), shrinkage=1)
    assert weights[2] == 0
    assert weights.mean() == pytest.approx(1)


def test_the_scale_of_all_scores_does_not_matter() -> None:
    x, positive, request_of = sample(500, [1.0, 0.3])
    for times in (1e-4, 1e3):
        again = fit_weights((x * times).astype(np.float32), positive, request_of, 50)
        np.testing.assert_allclose(again, fit_weights(x, positive, request_of, 50), rtol=1e-3)


def test_where_nothing_can_be_learned_weights_are_equal() -> None:
    x, positive, request_of = sample(50, [1.0, 0.3])
    assert fit_weights(x, positive & False, request_of, 0).tolist() == [1, 1]
    assert fit_weights(x[:0], positive[:0], request_of[:0], 0).tolist() == [1, 1]
    assert fit_weights(x[:, :1], positive, request_of, 0).tolist() == [1]
    assert fit_weights(np.zeros_like(x), positive, request_of, 0).tolist() == [1, 1]
    misled = sample(2000, [-1.0, -1.0])
    assert fit_weights(*misled, 0).tolist() == [1, 1]


def test_a_perfect_channel_does_not_run_away() -> None:
    x, positive, request_of = sample(300, [1.0, 0.0])
    x[:, 0] = positive
    weights = fit_weights(x, positive, request_of, 10)
    assert np.isfinite(weights).all()
    assert weights[0] > 1 > weights[1]


def test_slopes_are_those_of_the_loss() -> None:
    """Against differences, with requests of several positives and of different sizes."""
    random = np.random.default_rng(0)
    request_of = np.repeat(np.arange(6, dtype=np.int32), [3, 1, 5, 2, 4, 7])
    positive = random.random(22) < 0.5
    problem = _Problem.of(random.random((22, 3)).astype(np.float32), positive, request_of)
    assert problem is not None
    w, h = np.array([0.5, -1.0, 2.0]), 1e-5
    _, slope, curve = problem.at(w)
    for m, step in enumerate(np.eye(3) * h):
        (up, s_up, _), (down, s_down, _) = problem.at(w + step), problem.at(w - step)
        assert slope[m] == pytest.approx((up - down) / (2 * h), abs=1e-6)
        np.testing.assert_allclose(curve[m], (s_up - s_down) / (2 * h), atol=1e-6)
