"""What a batch is scored against, against counting by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from feedmill.core.batches import Interactions
from feedmill.core.clock import rng
from feedmill.core.config import convert
from feedmill.models.losses import RetrievalLossConfig, retrieval_loss
from feedmill.samples.hard import HardNegatives
from feedmill.samples.negatives import NegativesConfig
from feedmill.train.retrieval.columns import Columns, Likes
from feedmill.train.retrieval.examples import Shown

N = 8
COUNT = np.array([0, 6, 3, 1, 0, 2, 0, 0])
NO_HARD = HardNegatives(np.zeros(0, np.int32), np.zeros(0, np.int32))


def liked(*pairs: tuple[int, int]) -> Likes:
    user, item = np.array(sorted(pairs), np.int32).T
    return Likes(
        Interactions(user.copy(), item.copy(), np.ones(len(user), np.float32), np.zeros(len(user), np.int64), 4, N)
    )


def batch(user: list[int], item: list[int]) -> Shown:
    n = len(item)
    none = np.zeros((n, 0))
    rows = np.array(item, np.int32)
    return Shown(
        np.array(user, np.int32),
        none.astype(np.int32),
        none.astype(np.float32),
        rows,
        np.arange(n),
        np.ones(n, np.float32),
    )


def columns(
    likes: Likes, hard: HardNegatives = NO_HARD, loss: dict[str, bool] | None = None, **parameters: Any
) -> Columns:
    return Columns(likes, convert(parameters, NegativesConfig), COUNT, hard, rng(0, "test"), **(loss or {}))


def p(item: Any) -> Any:
    return (COUNT / COUNT.sum())[item]


def test_in_the_batch_items_stand_once_and_count_as_often_as_they_came() -> None:
    shown = batch([1, 2, 3], [1, 1, 2])
    drawn = columns(liked((1, 1), (2, 1), (3, 2))).draw(shown, p)
    assert drawn.item.tolist() == [1, 2]
    assert drawn.place.tolist() == [0, 0, 1]
    # item 1 was to be expected 3 * 6/12 times and came twice
    np.testing.assert_allclose(drawn.log_q, np.log([1.5 / 2, 0.75 / 1]), rtol=1e-6)
    np.testing.assert_allclose(drawn.log_q_positive, np.log([1.5, 1.5, 0.75]), rtol=1e-6)
    assert drawn.keep.tolist() == [[False, True], [False, True], [True, False]]


def test_other_likes_are_no_negatives() -> None:
    drawn = columns(liked((1, 1), (1, 2), (2, 2))).draw(batch([1, 2], [1, 2]), p)
    assert drawn.keep.tolist() == [[False, False], [True, False]]


def test_sources_add_up() -> None:
    """Expected is what all sources together bring; only what was drawn is a negative, the positives alone are not."""
    shown = batch([1, 2], [1, 3])
    mixed = columns(liked((1, 1), (2, 3)), sources={"in_batch": 1, "uniform": 50})
    drawn = mixed.draw(shown, p)
    assert drawn.item.tolist() == list(range(1, N)), "100 uniform draws meet all of 7 items"
    expected = 2 * p(drawn.item) + 100 / 7
    times = expected / np.exp(drawn.log_q)
    assert times.sum() == pytest.approx(102)
    alone = columns(liked((1, 1), (2, 3)), sources={"uniform": 0.5}).draw(shown, p)
    drawn_once = np.exp(-alone.log_q) * 1 / 7
    is_negative = alone.keep.any(0)
    assert is_negative.sum() <= 1, "one draw"
    assert np.allclose(drawn_once[is_negative], 1)


def test_hard_negatives_weigh_their_share() -> None:
    hard = HardNegatives(np.array([1, 1], np.int32), np.array([6, 7], np.int32))
    drawn = columns(liked((1, 1), (2, 2)), hard, hard_share=0.75).draw(batch([1, 2], [1, 2]), p)
    mass = np.asarray(drawn.keep) * np.exp(-drawn.log_q)
    is_hard = np.isin(drawn.item, [6, 7])
    assert mass[0, is_hard].sum() == pytest.approx(3 * mass[0, ~is_hard].sum(), rel=1e-5)
    assert mass[1, is_hard].sum() == 0, "another user's"


def test_a_like_is_no_hard_negative() -> None:
    hard = HardNegatives(np.array([1], np.int32), np.array([6], np.int32))
    drawn = columns(liked((1, 1), (1, 6), (2, 2)), hard).draw(batch([1, 2], [1, 2]), p)
    assert np.asarray(drawn.keep)[0, drawn.item.tolist().index(6)] == 0


def test_losses_that_read_no_log_q_weigh_by_draws() -> None:
    shown = batch([1, 2, 3], [1, 1, 2])
    drawn = columns(liked((1, 1), (2, 1), (3, 2)), loss={"is_softmax": False}).draw(shown, p)
    assert drawn.keep.tolist() == [[0, 1], [0, 1], [2, 0]]
    assert (drawn.log_q == 0).all()


def test_without_correction_only_the_draws_count() -> None:
    drawn = columns(liked((1, 1), (2, 1), (3, 2)), loss={"is_corrected": False}).draw(batch([1, 2, 3], [1, 1, 2]), p)
    np.testing.assert_allclose(drawn.log_q, -np.log([2, 1]), rtol=1e-6)
    assert (drawn.log_q_positive == 0).all()


def test_without_correction_a_softmax_counts_every_draw() -> None:
    """Item 1 came twice, so for the third row it stands there twice, as in a batch with a column for every row."""
    drawn = columns(liked((1, 1), (2, 1), (3, 2)), loss={"is_corrected": False}).draw(batch([1, 2, 3], [1, 1, 2]), p)
    scores = torch.tensor([[0.3, -0.2], [0.1, 0.4], [0.5, 0.2]])
    loss = retrieval_loss(
        RetrievalLossConfig(correction="none"), scores[torch.arange(3), torch.from_numpy(drawn.place)], scores,
        torch.from_numpy(drawn.keep), temperature=1.0,
        log_q_positive=torch.from_numpy(drawn.log_q_positive), log_q_negative=torch.from_numpy(drawn.log_q),
    )  # fmt: skip
    rows = [[0.3, -0.2], [0.1, 0.4], [0.2, 0.5, 0.5]]  # the positive first, then the negatives
    plain = -np.mean([row[0] - np.log(np.exp(row).sum()) for row in rows])
    assert loss.item() == pytest.approx(plain, rel=1e-6)
