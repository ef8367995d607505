import pytest
import torch

from feedmill.models.rank.nets import Nets, mix


def plain(nets: Nets, first: torch.Tensor) -> torch.Tensor:
    hidden = torch.relu(first[:, : nets.width]).unflatten(1, (nets.n, -1))
    for weight, bias in zip(nets.weights, nets.biases, strict=True):
        hidden = torch.relu(torch.einsum("cni,nio->cno", hidden, weight) + bias[:, 0])
    return hidden.transpose(0, 1)


@pytest.mark.parametrize("extra", [0, 3])
def test_values_and_gradients_are_those_of_the_generic_operators(extra: int) -> None:
    torch.manual_seed(0)
    nets = Nets(3, (5, 4))
    first = torch.randn(8, nets.width + extra)
    one, two = first.clone().requires_grad_(), first.clone().requires_grad_()
    hidden, rest = nets.begin(one)
    a, b = nets.above(hidden), plain(nets, two)
    torch.testing.assert_close(a, b)
    weight = torch.randn_like(a)
    ((a * weight).sum() + (rest**2).sum()).backward()
    ((b * weight).sum() + (two[:, nets.width :] ** 2).sum()).backward()
    assert one.grad is not None
    torch.testing.assert_close(one.grad, two.grad)
    with torch.no_grad():
        torch.testing.assert_close(nets.above(nets.begin(first)[0]), b)


def test_mixing_is_a_weighted_sum_of_experts() -> None:
    torch.manual_seed(0)
    shares, experts = torch.rand(6, 2, 3), torch.randn(3, 6, 4)
    torch.testing.assert_close(mix(shares, experts), torch.einsum("che,ecd->hcd", shares, experts))
