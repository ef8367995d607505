from __future__ import annotations

import math

import pytest
import torch

from feedmill.models.text import ENCODERS
from feedmill.models.text.dssm import DSSM, dssm_loss

SMALL = {"embedding_dim": 6, "output_dim": 5}


def made(kind: str, n_fields: int = 0, **more: object) -> DSSM:
    cls = ENCODERS[kind]
    torch.manual_seed(0)
    return DSSM(cls, cls.Config(**SMALL, **more), n_fields)  # type: ignore[attr-defined]


def texts(kind: str, n: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(n, 1 if kind == "bag" else 5, 6), torch.tensor([5, 4, 3, 1][:n])


@pytest.mark.parametrize("kind", list(ENCODERS))
def test_vectors_are_of_length_one_and_rows_do_not_know_each_other(kind: str) -> None:
    model, (x, length) = made(kind), texts(kind)
    vectors = model.query(x, length)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(4))
    torch.testing.assert_close(model.query(x[1:3], length[1:3]), vectors[1:3])
    torch.testing.assert_close(model.item(x, length), vectors)  # one encoder for both sides
    apart = made(kind, is_shared=False)
    assert not torch.allclose(apart.item(x, length), apart.query(x, length))


@pytest.mark.parametrize("kind", list(ENCODERS))
def test_every_weight_learns_and_the_state_round_trips(kind: str) -> None:
    model, (x, length) = made(kind, n_fields=2), texts(kind)
    fields = torch.randn(4, 2, 6)
    torch.nn.init.normal_(model.side[2].weight)  # type: ignore[index,arg-type]
    (model.query(x, length) * model.item(x, length, fields)).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())
    torch.manual_seed(9)
    other = DSSM(ENCODERS[kind], ENCODERS[kind].Config(**SMALL), 2)  # type: ignore[attr-defined]
    assert not torch.equal(other.query(x, length), model.query(x, length))
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.item(x, length, fields), model.item(x, length, fields))


def test_other_features_are_added_to_the_text() -> None:
    model, (x, length) = made("bag", n_fields=2), texts("bag")
    fields = torch.randn(4, 2, 6)
    assert model.side is not None
    assert not model.side(fields.flatten(1)).any()  # at first they say nothing
    torch.nn.init.normal_(model.side[2].weight)  # type: ignore[arg-type]
    added = model.item_encoder(x, length) + model.side(fields.flatten(1))
    torch.testing.assert_close(model.item(x, length, fields), added / added.norm(dim=1, keepdim=True))


def test_the_loss_by_hand() -> None:
    """R+ = .5 against .1 and -.2, gamma 10: P = e^5 / (e^5 + e^1 + e^-2)."""
    own, others = torch.tensor([0.5]), torch.tensor([[0.1, -0.2]])
    wanted = -math.log(math.exp(5) / (math.exp(5) + math.exp(1) + math.exp(-2)))
    assert dssm_loss(own, others, 10.0).item() == pytest.approx(wanted, rel=1e-5)
    masked = dssm_loss(own, others, 10.0, torch.tensor([[True, False]])).item()
    assert masked == pytest.approx(-math.log(math.exp(5) / (math.exp(5) + math.exp(-2))), rel=1e-4)
    assert dssm_loss(own, others[:, :0], 10.0).item() == 0


def test_nothing_but_masked_negatives_is_finite() -> None:
    own = torch.tensor([0.5], requires_grad=True)
    dssm_loss(own, torch.zeros(1, 3), 10.0, torch.ones(1, 3, dtype=torch.bool)).backward()
    assert torch.isfinite(own.grad).all()  # type: ignore[arg-type]
