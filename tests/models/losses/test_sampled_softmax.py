from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from feedmill.core.clock import rng
from feedmill.models.losses import sampled_softmax
from feedmill.models.losses.sampled_softmax import Correction


def test_gradients_agree_with_finite_differences() -> None:
    """Also where columns are corrected row by row, and where the matrix holds its positives."""
    torch.manual_seed(3)
    u, v = (torch.randn(4, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    log_q, keep = torch.randn(4, 4, dtype=torch.float64), ~torch.eye(4, dtype=torch.bool)

    def loss(u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        scores = u @ v.t()
        return sampled_softmax(scores.diagonal(), scores, keep, log_q_negative=log_q, temperature=0.7)

    assert torch.autograd.gradcheck(loss, (u, v))


def test_a_weight_of_two_is_the_column_twice() -> None:
    positive, negative = torch.tensor([0.3]), torch.tensor([[0.1, 0.5]])
    weighted = sampled_softmax(positive, negative, torch.tensor([[2.0, 1.0]]), temperature=1.0)
    torch.testing.assert_close(
        weighted, sampled_softmax(positive, torch.tensor([[0.1, 0.1, 0.5]]), None, temperature=1.0)
    )


@pytest.mark.parametrize(("correction", "sign"), [("subtract", -1), ("none", 0), ("flipped", 1)])
def test_the_correction_has_the_sign_of_its_name(correction: Correction, sign: int) -> None:
    torch.manual_seed(1)
    positive, negative, log_p, log_q = torch.randn(3), torch.randn(3, 5), torch.randn(3), torch.randn(5)
    got = sampled_softmax(
        positive,
        negative,
        None,
        temperature=1.0,
        log_q_positive=log_p,
        log_q_negative=log_q,
        correction=correction,
    )
    z = torch.cat([(positive + sign * log_p)[:, None], negative + sign * log_q], 1)
    torch.testing.assert_close(got, -torch.log_softmax(z, 1)[:, 0].mean())


def in_batch_softmax(
    scores: Tensor, log_p: Tensor, item: Tensor, reward: Tensor | None = None, other: Tensor | None = None
) -> Tensor:
    """-(1/B) sum_i r_i log softmax_j(s_ij - log p_j)[i]: the other rows' items are the negatives.

    Args:
        scores: float32[B, B], user i against the item of row j, divided by the temperature already.
        log_p: float32[B] log probability with which the item of column j is drawn.
        item: int64[B] item rows; the same item in another row (an accidental hit) is masked.
        reward: float32[B], 1 by default.
        other: bool[B, B] further cells to mask: items that user i is known to like.
    """
    keep = item[:, None] != item[None, :]
    if other is not None:
        keep &= ~other
    return sampled_softmax(
        scores.diagonal(), scores, keep, reward, temperature=1.0, log_q_positive=log_p, log_q_negative=log_p
    )


def test_in_batch_softmax_equals_the_plain_formula() -> None:
    torch.manual_seed(0)
    scores, log_p, item = torch.randn(4, 4), torch.log(torch.tensor([0.4, 0.1, 0.2, 0.3])), torch.arange(4)
    plain = 0.0
    for i in range(4):
        z = scores[i] - log_p
        plain -= (z[i] - torch.logsumexp(z, 0)).item() / 4
    assert in_batch_softmax(scores, log_p, item).item() == pytest.approx(plain, rel=1e-5)


def test_accidental_hits_are_no_negatives() -> None:
    scores = torch.tensor([[1.0, 9.0], [0.0, 1.0]])
    same = in_batch_softmax(scores, torch.zeros(2), torch.tensor([7, 7]))
    assert same.item() == 0.0  # nothing left to tell apart
    other = torch.tensor([[False, True], [False, False]])
    masked = in_batch_softmax(scores, torch.zeros(2), torch.tensor([7, 8]), other=other)
    assert masked.item() == pytest.approx(torch.nn.functional.softplus(torch.tensor(-1.0)).item() / 2, rel=1e-5)


def test_the_reward_scales_a_row() -> None:
    scores, log_p, item = torch.eye(3), torch.zeros(3), torch.arange(3)
    plain = in_batch_softmax(scores, log_p, item)
    torch.testing.assert_close(in_batch_softmax(scores, log_p, item, reward=torch.full((3,), 2.0)), 2 * plain)


@pytest.mark.parametrize(("is_corrected", "slope"), [(True, 1.0), (False, 0.0)])
def test_only_the_corrected_optimum_is_the_true_log_probability(is_corrected: bool, slope: float) -> None:
    """Users of one kind and P(item) known: with - log p the scores rise with log P one to one, without not at all."""
    p = 1 / np.arange(20, 220)
    p /= p.sum()
    log_p = torch.from_numpy(np.log(p)).float()
    scores = torch.zeros(200, requires_grad=True)
    step = torch.optim.Adam([scores], lr=0.02)
    random = rng(0, "batches")
    for _ in range(600):
        item = torch.from_numpy(random.choice(200, 256, p=p))
        drawn = log_p[item] if is_corrected else torch.zeros(256)
        loss = in_batch_softmax(scores[item][None, :].expand(256, 256), drawn, item)
        step.zero_grad()
        loss.backward()
        step.step()
    found = np.polyfit(log_p.numpy(), scores.detach().numpy(), 1)[0]
    assert found == pytest.approx(slope, abs=0.15)
