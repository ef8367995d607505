"""User-id rows of a retrieval model: what somebody chose comes nearer, for them alone."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from feedmill.features import FeatureSpec
from feedmill.features.spec import Field
from feedmill.train.update.config import IncrementalConfig
from feedmill.train.update.tower_rows import TowerRows

SPEC = FeatureSpec((Field("user", "user", "user.id", "user"),), (), {"user": 3}, 4, 1.0, "")


class Plain(nn.Module):
    """A user's vector is the user's row."""

    def forward(self, user: Tensor, user_numeric: Tensor) -> Tensor:
        return user[:, 0]


def rows(is_cosine: bool = False) -> tuple[TowerRows, np.ndarray]:
    random = np.random.default_rng(0)
    items = random.normal(size=(30, 4)).astype(np.float32)
    items[[0, 7]] = 0
    table = random.normal(scale=0.1, size=(SPEC.n_rows, 4)).astype(np.float32)
    table[0] = 0
    config = IncrementalConfig(alpha=0.2, batch_size=2, n_negatives=16)
    return TowerRows(Plain(), SPEC, table, items, config, temperature=0.5, is_cosine=is_cosine, seed=0), items


def above(items: np.ndarray, vector: np.ndarray, is_cosine: bool) -> float:
    """By how much item 5 scores above the mean."""
    known = items[items.any(axis=1)]
    scores = known @ vector / (np.linalg.norm(vector) * np.linalg.norm(known, axis=1) if is_cosine else 1)
    return float((scores[4] - scores.mean()) / scores.std())


def learn(on: TowerRows, user: list[int], item: list[int]) -> None:
    n = len(user)
    on.learn(np.array(user, np.int32)[:, None], np.zeros((n, 0), np.float32), np.array(item, np.int32))


def test_what_was_chosen_comes_nearer() -> None:
    for is_cosine in (False, True):
        on, items = rows(is_cosine)
        before = on.rows.table.copy()
        learn(on, [2] * 20, [5] * 20)
        assert above(items, on.rows.table[2], is_cosine) > above(items, before[2], is_cosine) + 1
        np.testing.assert_array_equal(on.rows.table[[1, 3]], before[[1, 3]])
        assert on.changes()["embedding"].rows.tolist() == [2]


def test_an_item_without_a_vector_or_a_user_without_a_row_teaches_nothing() -> None:
    on, _ = rows()
    before = on.rows.table.copy()
    learn(on, [1, 2, 0], [7, 400, 5])
    np.testing.assert_array_equal(on.rows.table, before)
    assert len(on.changes()["embedding"].rows) == 0


def test_an_item_is_not_held_against_itself() -> None:
    """With one item to draw from, the chosen one, there is nothing to learn, and no loss of infinity."""
    items = np.zeros((3, 4), np.float32)
    items[1] = 1
    config = IncrementalConfig(n_negatives=4)
    table = np.full((SPEC.n_rows, 4), 0.5, np.float32)
    on = TowerRows(Plain(), SPEC, table, items, config, temperature=1.0, is_cosine=False, seed=0)
    learn(on, [1], [1])
    np.testing.assert_array_equal(on.rows.table, table)
    assert torch.isfinite(torch.from_numpy(on.rows.table)).all()
