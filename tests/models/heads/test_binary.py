import torch

from feedmill.models.heads.binary import BinaryHead


def test_loss_and_probability() -> None:
    head, z = BinaryHead(), torch.tensor([[0.0], [2.0], [-90.0]], requires_grad=True)
    label = torch.tensor([1.0, 0.0, 1.0])
    loss = head.loss(z, label)
    loss.sum().backward()
    probs = head.predict(z)
    torch.testing.assert_close(probs[:2], torch.tensor([0.5, 0.880797]))
    torch.testing.assert_close(loss, torch.tensor([0.693147, 2.126928, 90.0]))
    assert z.grad is not None
    torch.testing.assert_close(z.grad[:, 0], probs - label)
