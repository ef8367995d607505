import pytest
import torch

from feedmill.models.losses import multi_task


def bce(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")


def test_masked_labels_have_no_gradient() -> None:
    logits = torch.zeros(3, 2, requires_grad=True)
    labels = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    mask = torch.tensor([[True, False], [True, False], [True, False]])
    loss = multi_task(bce(logits, labels), mask, torch.ones(3))
    loss.backward()
    assert loss.item() == pytest.approx(torch.log(torch.tensor(2.0)).item())
    assert logits.grad is not None
    assert (logits.grad[:, 1] == 0).all()


def test_weights_are_relative() -> None:
    logits, labels = torch.tensor([[2.0], [-1.0]]), torch.tensor([[1.0], [1.0]])
    mask = torch.ones(2, 1, dtype=torch.bool)
    one, ten = (multi_task(bce(logits, labels), mask, torch.tensor([w, 3 * w])) for w in (1.0, 10.0))
    torch.testing.assert_close(one, ten)


def test_what_is_not_known_may_be_anything() -> None:
    losses = torch.tensor([[1.0, torch.nan], [3.0, torch.inf]], requires_grad=True)
    mask = torch.tensor([[True, False], [True, False]])
    loss = multi_task(losses, mask, torch.ones(2))
    loss.backward()
    assert loss.item() == 2.0
    assert losses.grad is not None
    torch.testing.assert_close(losses.grad, torch.tensor([[0.5, 0.0], [0.5, 0.0]]))
