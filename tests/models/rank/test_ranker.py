"""What all kinds share: a first layer in three shares, towers, a wide term and personal gates."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from feedmill.core.config import convert
from feedmill.core.errors import ConfigError
from feedmill.models import RANKERS
from feedmill.models.rank.mmoe import MMoEConfig
from models.rank.pairs import first_sums, made, pairs

SIDES = {
    "both sides": ((3, 2), (2, 4)),
    "a table": ((0, 5), (0, 3)),
    "no numbers": ((2, 2), (0, 0)),
    "ids alone": ((0, 3), (0, 0)),
}


class Halves(nn.Module):
    """Gates that read both sides and are anything but neutral."""

    def __init__(self, gated: tuple[int, ...], value: float | None = None) -> None:
        super().__init__()
        self.gated, self.width, self.value = gated, 3, value
        self.weights = [torch.randn(3, w) for w in gated]

    def user_first(self, user: Tensor, user_numeric: Tensor) -> Tensor:
        return user.sum((1, 2))[:, None].expand(-1, 3) + user_numeric.sum(1)[:, None]

    def item_first(self, item: Tensor) -> Tensor:
        return item.sum((1, 2))[:, None] * torch.tensor([1.0, 2.0, 3.0], dtype=item.dtype)

    def gates(self, first: Tensor) -> list[Tensor]:
        if self.value is not None:
            return [first.new_full((len(first), w), self.value) for w in self.gated]
        return [2 * torch.sigmoid(first @ w.to(first.dtype)) for w in self.weights]


def cut(model: Any, x: list[Tensor]) -> Tensor:
    user, user_numeric, item, item_numeric, of = x
    out: Tensor = model.scores(
        model.user_first(user, user_numeric), model.item_first(item), user, item, item_numeric, of
    )
    return out


def doubles(x: list[Tensor]) -> list[Tensor]:
    return [column.double() if column.is_floating_point() else column for column in x]


@pytest.mark.parametrize("sides", SIDES)
@pytest.mark.parametrize("kind", list(RANKERS))
def test_shares_made_beforehand_give_the_same_scores(kind: str, sides: str) -> None:
    model, x = made(kind, *SIDES[sides]).double(), doubles(pairs(*SIDES[sides]))
    torch.testing.assert_close(cut(model, x), model(*x), rtol=1e-9, atol=1e-9)
    model.personalise(Halves(model.gated))
    assert model.width == model.body.width + 3
    assert model.user_first(*x[:2]).shape == (3, model.width)
    torch.testing.assert_close(cut(model, x), model(*x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", list(RANKERS))
def test_gates_of_one_are_the_plain_model_and_others_are_not(kind: str) -> None:
    model, x = made(kind), pairs()
    plain = model(*x)
    torch.testing.assert_close(model.personalise(Halves(model.gated, 1.0))(*x), plain, rtol=0, atol=0)
    assert not torch.allclose(model.personalise(Halves(model.gated, 0.5))(*x), plain, atol=1e-3)


@pytest.mark.parametrize("kind", list(RANKERS))
def test_heads_may_have_several_logits(kind: str) -> None:
    model, x = made(kind, n_logits=(1, 3, 2)).double(), doubles(pairs())
    assert model(*x).shape == (7, 6)
    torch.testing.assert_close(cut(model, x), model(*x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", [kind for kind in RANKERS if kind != "lr"])
@pytest.mark.parametrize("hidden_dims", [(5,), (6, 5, 4)])
def test_any_number_of_layers(kind: str, hidden_dims: tuple[int, ...]) -> None:
    model, x = made(kind, hidden_dims=hidden_dims, tower_dim=0), pairs()
    assert model(*x).shape == (7, 2)
    n_levels = getattr(model.body, "levels", [0])
    assert len(model.gated) == len(hidden_dims) * len(n_levels)


def test_the_wide_term_is_linear_in_dots_and_item_numbers() -> None:
    model, x = made("mmoe"), pairs()
    with torch.no_grad():
        model.towers.out.zero_()
    user, _, item, item_numeric, of = x
    dots = torch.einsum("cfd,cgd->cfg", item, user[of]).flatten(1)
    expected = torch.cat([dots, item_numeric], dim=1) @ model.wide.weight.t() + model.wide.bias
    torch.testing.assert_close(model(*x), expected)


def test_without_dots_they_are_nowhere() -> None:
    model, x = made("mmoe", dots=False), pairs()
    assert model.from_item.shape[0] == 2 * 4 + 4 + 1
    logits = model.towers(model.body(first_sums(model, x))) + model.wide(x[3])
    torch.testing.assert_close(model(*x), logits)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"personal": {"kind": "ppnot"}}, 'did you mean "ppnet"'),
        ({"personal": {"kind": "ppnet", "hiden_dim": 3}}, 'unknown key "rank.personal.hiden_dim"'),
        ({"watch_time": {"kind": "weighted"}}, 'did you mean "weighted_logistic"'),
        ({"watch_time": {"kind": "weighted_logistic", "cap_s": -1}}, "rank.watch_time.cap_s"),
        ({"hidden_dims": []}, "rank.hidden_dims"),
    ],
)
def test_a_wrong_config_says_where(raw: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        convert(raw, MMoEConfig, "rank")
