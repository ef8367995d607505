from typing import Any

import pytest
import torch
from torch import nn

from feedmill.core.errors import ConfigError
from feedmill.models.rank.personal.poso import POSO, POSOConfig
from feedmill.models.rank.personal.poso_modules import POSOMLP, POSOAttention, POSOLinear, POSOModules

CONFIG, P = POSOConfig(hidden_dim=5), 3


def inputs(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(*shape), torch.rand(shape[0], P)


def gate_by_hand(gate: Any, code: torch.Tensor) -> torch.Tensor:
    hidden = (code @ gate.first.weight.t() + gate.first.bias).clamp(min=0)
    last = gate.last.last[0]
    return 2 / (1 + torch.exp(-(hidden @ last.weight.t() + last.bias)))


def shaken(module: nn.Module) -> nn.Module:
    for p in module.parameters():
        nn.init.normal_(p, std=0.7)
    return module


def test_gates_of_a_ranker_start_at_one_and_read_the_users_numbers_alone() -> None:
    model = POSO(CONFIG, (2, 3), (P, 4), (6, 2), embedding_dim=4)
    user, code = inputs(5, 2, 4)
    item = torch.randn(5, 3, 4)
    gates = model.gates(model.user_first(user, code) + model.item_first(item))
    assert [tuple(g.shape) for g in gates] == [(5, 6), (5, 2)]
    assert all(bool((g == 1).all()) for g in gates)
    shaken(model)
    gates = model.gates(model.user_first(user, code) + model.item_first(item))
    again = model.gates(model.user_first(-user, code) + model.item_first(-item))
    assert all(torch.equal(a, b) for a, b in zip(gates, again, strict=True))
    assert torch.cat(gates, dim=1).std(dim=0).min() > 0


def test_no_numbers_of_the_user_are_refused() -> None:
    with pytest.raises(ConfigError, match="numbers"):
        POSO(CONFIG, (2, 3), (0, 4), (6,), embedding_dim=4)


def test_identical_modules_at_the_start_are_the_plain_one() -> None:
    plain = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    x, code = inputs(9, 4)
    model = POSOModules(CONFIG, plain, 4, P, is_drawn=False)
    assert torch.equal(model(x, code), plain(x))  # C = 1 / 4 is exact in binary


def test_modules_are_summed_by_their_gates() -> None:
    torch.manual_seed(0)
    model = POSOModules(CONFIG, nn.Linear(4, 2), 3, P)
    assert not torch.equal(model.copies[0].weight, model.copies[1].weight)  # type: ignore[arg-type]
    nn.init.normal_(model.gate.last.last[0].weight)  # type: ignore[arg-type]
    x, code = inputs(9, 7, 4)
    gate = gate_by_hand(model.gate, code)
    expected = sum(gate[:, i, None, None] * f(x) for i, f in enumerate(model.copies)) / 3
    torch.testing.assert_close(model(x, code), expected)


def test_linear_is_masked_and_at_the_start_plain() -> None:
    x, code = inputs(9, 4)
    model = POSOLinear(CONFIG, 4, 6, P)
    assert torch.equal(model(x, code), model.linear(x))
    shaken(model)
    torch.testing.assert_close(model(x, code), gate_by_hand(model.gate, code) * model.linear(x))


def test_mask_of_a_linear_layer_is_the_full_form_with_a_module_for_each_unit() -> None:
    """Module i gives unit i of W x and 0 elsewhere: sum_i g_i f_i(x) = g ⊙ W x."""
    x, code = inputs(9, 4)
    model = POSOLinear(CONFIG, 4, 3, P)
    shaken(model)
    full = POSOModules(CONFIG, nn.Linear(4, 3), 3, P)
    full.gate.load_state_dict(model.gate.state_dict())
    for i in range(3):
        only: Any = full.copies[i]
        only.weight.data = model.linear.weight * (torch.arange(3) == i)[:, None]
        only.bias.data = model.linear.bias * (torch.arange(3) == i)
    torch.testing.assert_close(3 * full(x, code), model(x, code))


def test_mlp_is_gated_layer_by_layer_and_at_the_start_plain() -> None:
    x, code = inputs(9, 4)
    model = POSOMLP(CONFIG, [4, 6, 2], P)
    first, second = model.layers
    plain = torch.relu(second.linear(torch.relu(first.linear(x))))  # type: ignore[operator]
    assert torch.equal(model(x, code), plain)
    shaken(model)
    h = gate_by_hand(first.gate, code) * torch.relu(first.linear(x))  # type: ignore[operator]
    expected = gate_by_hand(second.gate, code) * torch.relu(second.linear(h))  # type: ignore[operator]
    torch.testing.assert_close(model(x, code), expected)


def attention() -> tuple[POSOAttention, list[torch.Tensor]]:
    torch.manual_seed(3)
    x, code = inputs(5, 6, 8)
    is_there = torch.arange(6)[None] < torch.tensor([6, 3, 1, 2, 4])[:, None]
    return POSOAttention(CONFIG, 8, 2, P), [torch.randn(5, 2, 8), x, is_there, code]


def torchs_attention(model: POSOAttention) -> nn.MultiheadAttention:
    plain = nn.MultiheadAttention(8, 2, batch_first=True)
    layers = model.query, model.key.linear, model.value.linear
    plain.in_proj_weight.data = torch.cat([layer.weight for layer in layers])
    plain.in_proj_bias.data = torch.cat([layer.bias for layer in layers])
    plain.out_proj.load_state_dict(model.out.state_dict())
    return plain


def test_attention_starts_as_torchs() -> None:
    model, (query, x, is_there, code) = attention()
    expected, _ = torchs_attention(model)(query, x, x, key_padding_mask=~is_there)
    torch.testing.assert_close(model(query, x, is_there, code), expected)


def test_attention_masks_keys_and_values() -> None:
    """With one code for all, the masks are weights: torch's attention with those weights gives the same."""
    model, (query, x, is_there, _) = attention()
    shaken(model)
    code = torch.rand(1, P).expand(5, P)
    plain = torchs_attention(model)
    one = torch.ones(1, 8)
    mask = torch.cat([one, gate_by_hand(model.key.gate, code[:1]), gate_by_hand(model.value.gate, code[:1])], dim=1)[0]
    plain.in_proj_weight.data *= mask[:, None]
    plain.in_proj_bias.data *= mask
    expected, _ = plain(query, x, x, key_padding_mask=~is_there)
    torch.testing.assert_close(model(query, x, is_there, code), expected, rtol=1e-4, atol=1e-5)


def test_attention_to_nothing_gives_the_bias() -> None:
    model, (query, x, is_there, code) = attention()
    nothing = model(query, x, torch.zeros_like(is_there), code)
    torch.testing.assert_close(nothing, model.out.bias.expand_as(nothing))
