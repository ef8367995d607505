"""The kernels of the factor model against NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from feedmill.sim.feeds.fast.factors import (
    Attributes,
    Side,
    add_views,
    fit_rows,
    fit_shared,
    invert,
    score_pairs,
    solve,
)

P = 4
L2 = np.array([2, 2, 2, 5], np.float32)


def positive(seed: int) -> NDArray[np.float32]:
    x = np.random.default_rng(seed).normal(size=(9, P)).astype(np.float32)
    return x.T @ x + np.eye(P, dtype=np.float32)


def attributes(codes: list[list[int]], n_codes: int) -> Attributes:
    start = np.cumsum([0, *map(len, codes)]).astype(np.int32)
    return Attributes.of(start, np.array([c for row in codes for c in row], np.int32), n_codes)


def none(n: int) -> NDArray[np.float32]:
    return np.zeros((n, P, P), np.float32)


def test_solve_and_invert_are_numpys() -> None:
    for seed in range(5):
        matrix, right = positive(seed), np.arange(P, dtype=np.float32)
        root, out, inverse = matrix.copy(), right.copy(), np.zeros((P, P), np.float32)
        solve(root, out)
        invert(root, inverse)
        np.testing.assert_allclose(out, np.linalg.solve(matrix, right), rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(inverse[:-1, :-1], np.linalg.inv(matrix)[:-1, :-1], rtol=1e-3, atol=1e-4)
        assert not inverse[-1].any()


def test_a_row_is_the_ridge_of_its_views() -> None:
    random = np.random.default_rng(1)
    theirs = random.normal(size=(20, P)).astype(np.float32)
    others, target = np.arange(20, dtype=np.int32), random.normal(size=20).astype(np.float32)
    gram, pull, vectors = none(1), np.zeros((1, P), np.float32), np.zeros((1, P), np.float32)
    rows, weight = np.zeros(20, np.int32), np.full(20, 0.5, np.float32)
    add_views(0, 1, rows, others, theirs, target, weight, gram, pull, none(20))
    nothing = attributes([[]], 0)
    fit_rows(np.zeros(1, np.int32), nothing, np.zeros((0, P), np.float32), gram, pull, L2, vectors, none(1))
    x = np.concatenate([theirs[:, :-1], np.ones((20, 1))], 1)
    expected = np.linalg.solve(0.5 * x.T @ x + np.diag(L2), 0.5 * x.T @ (target - theirs[:, -1]))
    np.testing.assert_allclose(vectors[0], expected, rtol=1e-3, atol=1e-4)


def test_doubt_about_the_other_side_counts_as_noise() -> None:
    gram, doubt = none(1), none(1)
    doubt[0, 0, 0] = 3
    one = np.zeros(1, np.int32)
    theirs, full = np.zeros((1, P), np.float32), np.ones(1, np.float32)
    add_views(0, 1, one, one, theirs, full, full, gram, np.zeros((1, P), np.float32), doubt)
    assert gram[0, 0, 0] == 3
    assert gram[0, -1, -1] == 1


def test_attributes_and_own_parts_together_are_the_ridge_of_both() -> None:
    """Rounds over attributes and rows reach the solution of the one large system."""
    random = np.random.default_rng(2)
    codes = [[0], [0, 1], [1], [2]]
    gram = np.stack([positive(s) for s in range(4)])
    gram[3] = 0  # without views: what its attribute, which nobody else has, says: nothing
    pull = random.normal(size=(4, P)).astype(np.float32)
    pull[3] = 0
    shared, vectors, at = np.zeros((3, P), np.float32), np.zeros((4, P), np.float32), attributes(codes, 3)
    for _ in range(200):
        fit_shared(at, shared, gram, pull, L2, vectors)
        fit_rows(np.arange(4, dtype=np.int32), at, shared, gram, pull, L2, vectors, none(4))
    member = np.array([[c in row for c in range(3)] for row in codes], float)
    design = np.concatenate([np.kron(member, np.eye(P)), np.eye(4 * P)], 1)
    block = np.zeros((4 * P, 4 * P))
    for k in range(4):
        block[k * P : (k + 1) * P, k * P : (k + 1) * P] = gram[k]
    whole = design.T @ block @ design + np.diag(np.tile(L2, 7))
    expected = design @ np.linalg.solve(whole, design.T @ pull.ravel())
    np.testing.assert_allclose(vectors.ravel(), expected, rtol=1e-2, atol=1e-3)


def test_a_new_row_begins_as_its_attributes() -> None:
    side = Side(L2, np.random.default_rng(1), 1e-6)
    side.grow(attributes([[0]], 1))
    side.shared[0] = [1, 2, 3, 4]
    side.grow(attributes([[0], [0]], 1))
    np.testing.assert_allclose(side.vectors[1], [1, 2, 3, 4], atol=1e-4)


def test_scores_are_products_and_biases() -> None:
    users, items = np.array([[1, 2, 3]], np.float32), np.array([[4, 5, 6], [0, 0, 1]], np.float32)
    assert score_pairs(users, items, np.zeros(2, np.int32), np.arange(2, dtype=np.int32)).tolist() == [23, 4]
