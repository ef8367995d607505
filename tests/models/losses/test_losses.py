import numpy as np
import pytest
import torch

from feedmill.core.clock import rng
from feedmill.models.losses import in_batch_softmax, multi_task_bce


def test_masked_labels_have_no_gradient() -> None:
    logits = torch.zeros(3, 2, requires_grad=True)
    labels = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    mask = torch.tensor([[True, False], [True, False], [True, False]])
    loss = multi_task_bce(logits, labels, mask, torch.ones(3))
    loss.backward()
    assert loss.item() == pytest.approx(torch.log(torch.tensor(2.0)).item())
    assert logits.grad is not None
    assert (logits.grad[:, 1] == 0).all()


def test_weights_are_relative() -> None:
    logits, labels = torch.tensor([[2.0], [-1.0]]), torch.tensor([[1.0], [1.0]])
    mask = torch.ones(2, 1, dtype=torch.bool)
    one, ten = (multi_task_bce(logits, labels, mask, torch.tensor([w, 3 * w])) for w in (1.0, 10.0))
    torch.testing.assert_close(one, ten)


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
