"""Rows of user ids: the gradient is that of the loss by them, the step that of the formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from feedmill.features import FeatureSpec
from feedmill.features.spec import Field
from feedmill.train.update.config import IncrementalConfig
from feedmill.train.update.user_rows import UserRows, move

SPEC = FeatureSpec(
    fields=(Field("clicked", "user", "user.clicked", "item", 2), Field("user", "user", "user.id", "user")),
    numerics=(), tables={"item": 3, "user": 4}, n_quantiles=4, prior_count=1.0, state_hash="",
)  # fmt: skip
CONFIG = IncrementalConfig(alpha=0.3, beta=0.5)


def test_a_step_by_hand() -> None:
    table, squares = np.ones((4, 2), np.float32), np.zeros(4, np.float32)
    g = np.array([[3.0, 4.0]], np.float32)
    rows, at = np.array([2], np.int32), np.array([2], np.int64)
    move(table, squares, rows, at, g, 0.3, 0.5)
    rate = 0.3 / (0.5 + np.sqrt((9 + 16) / 2))
    np.testing.assert_allclose(table[2], 1 - rate * g[0], rtol=1e-6)
    move(table, squares, rows, at, g, 0.3, 0.5)
    np.testing.assert_allclose(table[2], 1 - (rate + 0.3 / (0.5 + np.sqrt(25))) * g[0], rtol=1e-6)
    np.testing.assert_array_equal(table[[0, 1, 3]], 1)


def test_the_gradient_is_autograds_through_the_whole_table() -> None:
    random = np.random.default_rng(0)
    table = random.normal(size=(SPEC.n_rows, 3)).astype(np.float32)
    table[0] = 0
    ids = np.array([[1, 2, 4], [0, 0, 4], [3, 0, 6], [1, 1, 0]], np.int32)
    weight = torch.from_numpy(random.normal(size=(2, 3)).astype(np.float32))

    def loss(fields: Tensor) -> Tensor:
        return ((fields * weight).sum((1, 2)) ** 2).sum()

    rows = UserRows(SPEC, table, CONFIG)
    rows.step(ids, loss)
    whole = torch.tensor(table, requires_grad=True)
    history = torch.stack([whole[[1, 2]].mean(0), torch.zeros(3), whole[3], whole[1]])
    own = torch.stack([whole[4], whole[4], whole[6], torch.zeros(3)])
    loss(torch.stack([history, own], dim=1)).backward()  # type: ignore[no-untyped-call]
    assert whole.grad is not None
    gradient = whole.grad.numpy()
    expected = table.copy()
    for row in (4, 6):
        expected[row] -= 0.3 / (0.5 + np.sqrt((gradient[row] ** 2).mean())) * gradient[row]
    np.testing.assert_allclose(rows.table, expected, rtol=1e-5)
    np.testing.assert_array_equal(rows.moved, [4, 6])
    np.testing.assert_array_equal(np.delete(rows.table, [4, 6], axis=0), np.delete(table, [4, 6], axis=0))


def test_a_model_without_user_ids_has_nothing_to_move() -> None:
    fields = tuple(f for f in SPEC.fields if f.name != "user")
    assert UserRows.has(SPEC)
    assert not UserRows.has(FeatureSpec(fields, (), {"item": 3}, 4, 1.0, ""))
    with pytest.raises(StopIteration):
        UserRows(FeatureSpec(fields, (), {"item": 3}, 4, 1.0, ""), np.zeros((4, 2), np.float32), CONFIG)
