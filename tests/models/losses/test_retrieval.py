"""What every retrieval loss has in common, whatever its formula."""

from __future__ import annotations

import msgspec
import pytest
import torch

from feedmill.core.config import convert
from feedmill.core.errors import ConfigError
from feedmill.models.losses import (
    RetrievalLossConfig,
    pointwise,
    retrieval_loss,
    sampled_softmax,
    triplet_hinge,
    triplet_logistic,
)

TAU, SIGMA, MARGIN, RATIO = 0.5, 2.0, 0.7, 2.0
LOSSES = ("sampled_softmax", "pointwise", "triplet_hinge", "triplet_logistic")


def config(loss: str) -> RetrievalLossConfig:
    return convert({"loss": loss, "margin": MARGIN, "sigma": SIGMA, "n_per_positive": RATIO}, RetrievalLossConfig)


def drawn(rows: int = 6, width: int = 5) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Scores, a mask with one row that keeps nothing and one that keeps everything, rewards."""
    torch.manual_seed(0)
    keep = torch.rand(rows, width) < 0.6
    keep[0], keep[1] = False, True
    positive = torch.randn(rows, dtype=torch.float64, requires_grad=True)
    negative = torch.randn(rows, width, dtype=torch.float64, requires_grad=True)
    return positive, negative, keep, torch.rand(rows, dtype=torch.float64) + 0.5


def formula(
    loss: str, s_plus: float, s: list[float], weight: list[float], log_q_plus: float, log_q: list[float]
) -> tuple[float, float, list[float]]:
    """One row by hand: its loss, its derivative by the positive, and by each negative."""
    from math import exp, log, log1p

    def sigmoid(z: float) -> float:
        return 1 / (1 + exp(-z))

    total = sum(weight)
    if loss == "sampled_softmax":
        z_plus = s_plus / TAU - log_q_plus
        e = [w * exp(x / TAU - q) for x, w, q in zip(s, weight, log_q, strict=True)]
        norm = exp(z_plus) + sum(e)
        return log(norm) - z_plus, (exp(z_plus) / norm - 1) / TAU, [x / norm / TAU for x in e]
    if loss == "pointwise":
        share = [RATIO * w / total if total else 0.0 for w in weight]
        value = log1p(exp(-s_plus / TAU)) + sum(h * log1p(exp(x / TAU)) for h, x in zip(share, s, strict=True))
        return value, -sigmoid(-s_plus / TAU) / TAU, [h * sigmoid(x / TAU) / TAU for h, x in zip(share, s, strict=True)]
    share = [w / total if total else 0.0 for w in weight]
    if loss == "triplet_hinge":
        slope = [h * (x + MARGIN > s_plus) for h, x in zip(share, s, strict=True)]
        value = sum(h * (x + MARGIN - s_plus) for h, x in zip(slope, s, strict=True))
        return value, -sum(slope), slope
    value = sum(h * log1p(exp(SIGMA * (x - s_plus))) for h, x in zip(share, s, strict=True))
    slope = [h * SIGMA * sigmoid(SIGMA * (x - s_plus)) for h, x in zip(share, s, strict=True)]
    return value, -sum(slope), slope


@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
def test_value_and_gradient_equal_the_formula(loss: str, is_weighted: bool) -> None:
    positive, negative, keep, reward = drawn()
    rows, width = negative.shape
    if is_weighted:
        keep = keep * (torch.rand(rows, width, dtype=torch.float64) + 0.5)
    log_q_plus, log_q = torch.randn(rows, dtype=torch.float64), torch.randn(width, dtype=torch.float64)
    value = retrieval_loss(
        config(loss), positive, negative, keep, reward, temperature=TAU, log_q_positive=log_q_plus, log_q_negative=log_q
    )
    value.backward()
    assert positive.grad is not None
    assert negative.grad is not None
    expected = 0.0
    for i in range(rows):
        one, by_plus, by_minus = formula(
            loss,
            positive[i].item(),
            negative[i].tolist(),
            keep[i].double().tolist(),
            log_q_plus[i].item(),
            log_q.tolist(),
        )
        r = reward[i].item() / rows
        expected += r * one
        assert positive.grad[i].item() == pytest.approx(r * by_plus, rel=1e-9, abs=1e-12)
        assert negative.grad[i].tolist() == pytest.approx([r * g for g in by_minus], rel=1e-9, abs=1e-12)
    assert value.item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("loss", LOSSES)
def test_what_is_masked_has_no_gradient_and_no_say(loss: str) -> None:
    positive, negative, keep, reward = drawn()
    first = retrieval_loss(config(loss), positive, negative, keep, reward, temperature=TAU)
    first.backward()
    assert negative.grad is not None
    assert (negative.grad[~keep] == 0).all()
    other = torch.where(keep, negative.detach(), 50.0)
    torch.testing.assert_close(
        retrieval_loss(config(loss), positive, other, keep, reward, temperature=TAU), first, rtol=1e-12, atol=0
    )


@pytest.mark.parametrize("loss", LOSSES)
def test_rows_without_any_negative_are_finite(loss: str) -> None:
    positive = torch.tensor([3.0, -60.0], requires_grad=True)
    for width in (0, 4):
        negative = torch.full((2, width), 40.0, requires_grad=True)
        keep = torch.zeros(2, width, dtype=torch.bool)
        value = retrieval_loss(config(loss), positive, negative, keep, temperature=0.05)
        value.backward()
        assert torch.isfinite(value)
        assert positive.grad is not None
        assert negative.grad is not None
        assert torch.isfinite(positive.grad).all()
        assert (negative.grad == 0).all()
        if loss != "pointwise":
            assert value.item() == 0.0


@pytest.mark.parametrize("loss", LOSSES)
def test_positives_that_share_a_request_share_its_negatives(loss: str) -> None:
    positive, negative, keep, reward = drawn()
    of, log_q = torch.tensor([0, 2, 2, 3, 5, 5]), torch.randn(5, dtype=torch.float64)
    shared, repeated = (
        retrieval_loss(config(loss), positive, n, k, reward, of=o, temperature=TAU, log_q_negative=log_q)
        for n, k, o in ((negative, keep, of), (negative[of], keep[of], None))
    )
    torch.testing.assert_close(shared, repeated)
    for x in (positive, negative):
        torch.testing.assert_close(*(torch.autograd.grad(y, x, retain_graph=True)[0] for y in (shared, repeated)))


def test_a_loss_without_negatives_is_a_module() -> None:
    with pytest.raises(ValueError, match="HierarchicalSoftmax"):
        retrieval_loss(config("hierarchical_softmax"), torch.zeros(1), torch.zeros(1, 1), None, temperature=1.0)


@pytest.mark.parametrize("loss", LOSSES)
def test_no_rows_cost_nothing(loss: str) -> None:
    value = retrieval_loss(
        config(loss), torch.zeros(0), torch.zeros(0, 3), torch.ones(0, 3, dtype=torch.bool), temperature=1.0
    )
    assert value.item() == 0.0


@pytest.mark.parametrize("loss", LOSSES)
def test_everything_counts_where_no_mask_is_given(loss: str) -> None:
    positive, negative, keep, reward = drawn()
    torch.testing.assert_close(
        retrieval_loss(config(loss), positive, negative, None, reward, temperature=TAU),
        retrieval_loss(config(loss), positive, negative, torch.ones_like(keep), reward, temperature=TAU),
    )


@pytest.mark.parametrize("loss", LOSSES)
def test_a_reward_scales_its_row(loss: str) -> None:
    positive, negative, keep, _ = drawn()
    plain = retrieval_loss(config(loss), positive, negative, keep, temperature=TAU)
    doubled = retrieval_loss(config(loss), positive, negative, keep, torch.full((6,), 2.0).double(), temperature=TAU)
    torch.testing.assert_close(doubled, 2 * plain)


@pytest.mark.parametrize("loss", LOSSES)
def test_extreme_scores_stay_finite(loss: str) -> None:
    positive = torch.tensor([1e4, -1e4], requires_grad=True)
    negative = torch.tensor([[1e4, -1e4], [1e4, -1e4]], requires_grad=True)
    value = retrieval_loss(config(loss), positive, negative, torch.ones(2, 2, dtype=torch.bool), temperature=0.01)
    value.backward()
    assert positive.grad is not None
    assert torch.isfinite(value)
    assert torch.isfinite(positive.grad).all()


def test_each_kind_is_the_function_of_its_name() -> None:
    positive, negative, keep, reward = drawn()
    args = (positive, negative, keep, reward)
    expected = {
        "pointwise": pointwise(*args, temperature=TAU, n_per_positive=RATIO),
        "triplet_hinge": triplet_hinge(*args, margin=MARGIN),
        "triplet_logistic": triplet_logistic(*args, sigma=SIGMA),
        "sampled_softmax": sampled_softmax(*args, temperature=TAU),
    }
    for loss in LOSSES:
        assert torch.equal(retrieval_loss(config(loss), *args, temperature=TAU), expected[loss])


def test_the_ratio_of_pointwise_does_not_depend_on_how_many_were_drawn() -> None:
    positive = torch.zeros(2)
    few, many = (
        pointwise(positive, torch.full((2, n), 0.3), torch.ones(2, n, dtype=torch.bool), temperature=1.0)
        for n in (2, 50)
    )
    torch.testing.assert_close(few, many)


@pytest.mark.parametrize("wrong", [{"loss": "hinge"}, {"correction": "flipped"}, {"margin": -1.0}, {"sigma": 0.0}])
def test_a_wrong_parameter_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        convert(wrong, RetrievalLossConfig)


def test_every_parameter_says_what_it_is() -> None:
    for field in msgspec.inspect.type_info(RetrievalLossConfig).fields:  # type: ignore[attr-defined]
        assert isinstance(field.type, msgspec.inspect.Metadata)
