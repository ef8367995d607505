from typing import Any

import pytest
import torch

from feedmill.core.errors import ConfigError
from feedmill.models.rank.personal.ppnet import PPNet, PPNetConfig

D, FIELDS, NUMBERS, GATED = 4, (3, 3), (2, 5), (6, 2)
IDS = ((0,), (0, 2))  # the second field of the item is no id


def made(**given: Any) -> PPNet:
    torch.manual_seed(0)
    return PPNet(PPNetConfig(**given), FIELDS, NUMBERS, GATED, embedding_dim=D, ids=IDS)


def shaken(model: PPNet) -> PPNet:
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.5)
    return model


def inputs(n: int = 7) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(n, FIELDS[0], D), torch.rand(n, NUMBERS[0]), torch.randn(n, FIELDS[1], D)


def test_training_starts_at_gates_of_exactly_one() -> None:
    model, (user, numbers, item) = made(), inputs()
    gates = model.gates(model.user_first(user, numbers) + model.item_first(item))
    assert [tuple(g.shape) for g in gates] == [(7, 6), (7, 2)]
    assert all(bool((g == 1).all()) for g in gates)


def test_any_scale_starts_at_one() -> None:
    model, (user, numbers, item) = made(scale=3.0), inputs()
    for gate in model.gates(model.user_first(user, numbers) + model.item_first(item)):
        torch.testing.assert_close(gate, torch.ones_like(gate))


def test_gates_are_the_formula() -> None:
    model, (user, numbers, item) = shaken(made(hidden_dim=5)), inputs()
    found = model.gates(model.user_first(user, numbers) + model.item_first(item))
    g = torch.cat([user.flatten(1), numbers, item.flatten(1)], dim=1)
    weight = torch.cat([model.from_user.weight, model.from_item.weight], dim=1)
    first = g @ weight.t() + model.from_user.bias
    for layer, gate in enumerate(found):
        hidden = first[:, 5 * layer : 5 * layer + 5].clamp(min=0)
        last: Any = model.gate_nets.last[layer]
        torch.testing.assert_close(gate, 2 / (1 + torch.exp(-(hidden @ last.weight.t() + last.bias))))
        assert gate.min() > 0
        assert gate.max() < 2


def test_only_ids_learn_from_the_gates() -> None:
    model, (user, numbers, item) = shaken(made()), inputs()
    user.requires_grad_()
    item.requires_grad_()
    first = model.user_first(user, numbers) + model.item_first(item)
    torch.cat(model.gates(first), dim=1).square().sum().backward()  # type: ignore[no-untyped-call]
    assert user.grad is not None
    assert item.grad is not None
    assert user.grad[:, 0].abs().min() > 0
    assert not user.grad[:, 1:].any()
    assert item.grad[:, [0, 2]].abs().min() > 0
    assert not item.grad[:, 1].any()


def test_no_field_need_be_an_id() -> None:
    model = shaken(PPNet(PPNetConfig(), FIELDS, NUMBERS, GATED, embedding_dim=D, ids=((), ())))
    _, _, item = inputs()
    item.requires_grad_()
    model.item_first(item).sum().backward()  # type: ignore[no-untyped-call]
    assert item.grad is not None
    assert not item.grad.any()


def test_a_ranker_without_layers_to_scale_is_refused() -> None:
    with pytest.raises(ConfigError, match="hidden layers"):
        PPNet(PPNetConfig(), FIELDS, NUMBERS, (), embedding_dim=D)
