"""Heads that presuppose others: P(h) = P(g) P(h | g), in logits."""

from __future__ import annotations

import pytest
import torch

from feedmill.core.config import convert
from feedmill.core.errors import ConfigError
from feedmill.models import RANKERS
from feedmill.models.rank.config import in_order
from feedmill.models.rank.entire_space import joint
from feedmill.models.rank.mmoe import MMoEConfig
from models.rank.pairs import made, pairs


def test_the_chance_of_both_is_the_product() -> None:
    logits = torch.randn(50, 3, dtype=torch.float64) * 3
    out = torch.sigmoid(joint(logits, [(2, 0)]))
    each = torch.sigmoid(logits)
    torch.testing.assert_close(out, torch.stack([each[:, 0], each[:, 1], each[:, 0] * each[:, 2]], dim=1))


def test_a_chain_multiplies_along_it() -> None:
    logits = torch.randn(50, 3, dtype=torch.float64)
    each = torch.sigmoid(logits)
    torch.testing.assert_close(torch.sigmoid(joint(logits, [(1, 0), (2, 1)]))[:, 2], each.prod(1))


@pytest.mark.parametrize("size", [0.0, 30.0, 80.0, 1e4])
def test_values_and_gradients_stay_finite(size: float) -> None:
    signs = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    logits = (size * signs).requires_grad_()
    out = joint(logits, [(1, 0)])
    out.sum().backward()
    assert torch.isfinite(out).all()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    if size > 1:
        assert out[:, 1].detach().sign().tolist() == [1, -1, -1, -1]


@pytest.mark.parametrize("kind", list(RANKERS))
def test_any_ranker_can_and_the_cut_one_agrees(kind: str) -> None:
    model, x = made(kind), pairs()
    plain = torch.sigmoid(model(*x))
    model.presuppose([(1, 0)])
    both = torch.sigmoid(model(*x))
    torch.testing.assert_close(both[:, 0], plain[:, 0])
    torch.testing.assert_close(both[:, 1], plain[:, 0] * plain[:, 1])
    user, user_numeric, item, item_numeric, of = x
    shares = model.user_first(user, user_numeric), model.item_first(item)
    torch.testing.assert_close(torch.sigmoid(model.scores(*shares, user, item, item_numeric, of)), both)


def test_the_order_is_from_what_comes_first() -> None:
    assert in_order({"share": "finish", "finish": "click", "like": "click"}) == ["finish", "share", "like"]
    assert in_order({}) == []
    with pytest.raises(ConfigError, match="finish given like given finish"):
        convert({"given": {"finish": "like", "like": "finish"}}, MMoEConfig, "rank")
    with pytest.raises(ConfigError, match="click given click"):
        in_order({"click": "click"})
