"""PPNet and POSO in every ranker: at the start the plain model bit for bit, cut in shares the same scores, learning."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from feedmill.core.errors import ConfigError
from feedmill.core.workspace import Component
from feedmill.models import PERSONAL, RANKERS
from models.rank.pairs import DIM, made, pairs

FIELDS, NUMBERS = (3, 2), (2, 4)


def gates_for(model: Any, personal: str) -> nn.Module:
    cls: Any = PERSONAL[personal]
    torch.manual_seed(5)
    gates: nn.Module = cls(cls.Config(), FIELDS, NUMBERS, model.gated, embedding_dim=DIM, ids=((0,), (0, 1)))
    return gates


@pytest.mark.parametrize("personal", list(PERSONAL))
@pytest.mark.parametrize("kind", list(RANKERS))
def test_at_the_start_a_ranker_is_the_plain_one(kind: str, personal: str) -> None:
    model, x = made(kind), pairs()
    plain = model(*x)
    assert torch.equal(model.personalise(gates_for(model, personal))(*x), plain)


@pytest.mark.parametrize("personal", list(PERSONAL))
@pytest.mark.parametrize("kind", list(RANKERS))
def test_cut_in_shares_it_gives_the_same_scores(kind: str, personal: str) -> None:
    model, x = made(kind), pairs()
    plain = model(*x)
    model.personalise(gates_for(model, personal))
    for p in model.personal.parameters():
        nn.init.normal_(p, std=0.5)
    user, user_numeric, item, item_numeric, of = x
    whole = model(*x)
    user_first, item_first = model.user_first(user, user_numeric), model.item_first(item)
    assert user_first.shape[1] == item_first.shape[1] == model.width
    cut = model.scores(user_first, item_first, user, item, item_numeric, of)
    torch.testing.assert_close(cut, whole, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(whole, plain, atol=1e-3)


@pytest.mark.parametrize("personal", list(PERSONAL))
def test_gates_learn_what_units_should_be_off(personal: str) -> None:
    """One step from the start moves the gates: nothing is stuck at the neutral point."""
    model, x = made("dnn"), pairs()
    model.personalise(gates_for(model, personal))
    model(*x).square().sum().backward()
    for last in model.personal.gate_nets.last:
        assert last.weight.grad.abs().max() > 0
        assert last.bias.grad.abs().max() > 0


def test_the_code_of_poso_is_the_numbers_it_is_given() -> None:
    cls: Any = PERSONAL["poso"]
    model = cls(cls.Config(), FIELDS, (4, 0), (6,), embedding_dim=DIM, code=[1, 3])
    for p in model.parameters():
        nn.init.normal_(p)
    numbers = torch.rand(5, 4)
    other = numbers.clone()
    other[:, [0, 2]] = 0.5
    user = torch.zeros(5, FIELDS[0], DIM)
    assert torch.equal(model.user_first(user, numbers), model.user_first(user, other))
    other[:, 3] = 2.0
    assert not torch.equal(model.user_first(user, numbers), model.user_first(user, other))


def _numpy(x: torch.Tensor) -> np.ndarray[Any, Any]:
    return x.detach().numpy()


@pytest.mark.slow
@pytest.mark.parametrize("personal", [*PERSONAL])
def test_the_graphs_of_a_gated_ranker_give_its_scores(personal: str) -> None:
    """Whole, and in shares: for two requests though exported with others, to 1e-5."""
    import onnxruntime as ort

    from feedmill.models.heads.binary import BinaryHead
    from feedmill.train.loop import Inputs
    from feedmill.train.rank.ranker_graphs import graphs

    model = made("mmoe")
    model.personalise(gates_for(model, personal))
    for p in model.personal.parameters():
        nn.init.normal_(p, std=0.5)
    x = pairs(n_requests=1, n_rows=9)
    blobs = graphs(model.eval(), [BinaryHead(), BinaryHead()], Inputs(*pairs(n_requests=2, n_rows=2)))
    expected = _numpy(torch.sigmoid(model(*x)))

    def answer(blob: str, given: dict[str, Any]) -> Any:
        session = ort.InferenceSession(blobs[blob])
        return session.run(None, {i.name: given[i.name] for i in session.get_inputs()})[0]

    names = ("user", "user_numeric", "item", "item_numeric", "request_of")
    given = {name: _numpy(column) for name, column in zip(names, x, strict=True)}
    np.testing.assert_allclose(answer("dense.onnx", given), expected, rtol=0, atol=1e-5)
    given |= {"user_first": answer("user_first.onnx", given), "item_first": answer("item_first.onnx", given)}
    np.testing.assert_allclose(answer("scores.onnx", given), expected, rtol=0, atol=1e-5)


def test_a_component_of_config_makes_them() -> None:
    """``personal`` of a ranker's config, read as train reads it, with ids and code found by their sources."""
    from feedmill.cli.bench.ranking.new_users import SPEC
    from feedmill.train.rank.personal import code_columns, personalised
    from feedmill.train.rank.ranker import sizes

    cls: Any = RANKERS["mmoe"]
    config = cls.Config(embedding_dim=DIM, personal={"kind": "poso", "code": ["user.activity_*"]})
    chosen = Component("mmoe", "mmoe", cls, config, {})
    shapes = sizes(SPEC, DIM)
    model = chosen.cls(config, *shapes, (1,))
    personalised(model, config, SPEC, shapes)
    n = shapes[1][0] // 3
    assert model.personal.code.tolist() == [p * n + i for p in range(3) for i in range(4)]
    with pytest.raises(ConfigError, match=r"user\.taste_0"):
        code_columns(SPEC, ["user.nothing"])
