from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from feedmill.core.config import convert
from feedmill.core.errors import DataError
from feedmill.models.heads.mse import MSEConfig, MSEHead
from watch_times import best_constant, drawn, segmm, unknown

T = drawn()
NONE = torch.full((1,), torch.nan)
REPAIRS = (("constant", unknown(len(T))), ("duration", np.full(len(T), 20, np.float32)), ("learned", unknown(len(T))))
TURNED = {
    "none": (lambda t: t, lambda y: y),
    "log": (np.log1p, np.expm1),
    "power": (lambda t: t**0.3, lambda y: y ** (1 / 0.3)),
}


def made(seconds: np.ndarray = T, duration: np.ndarray | None = None, **block: Any) -> MSEHead:
    return MSEHead(convert(block, MSEConfig), seconds, unknown(len(seconds)) if duration is None else duration)


@pytest.mark.parametrize("transform", TURNED)
def test_labels_are_standardised_and_the_gradient_is_of_the_formula(transform: str) -> None:
    head, forward = made(transform=transform), TURNED[transform][0]
    t = torch.from_numpy(T)
    logits = torch.zeros(len(T), 1, requires_grad=True)
    loss = head.loss(logits, t, NONE)
    loss.sum().backward()
    assert loss.mean().item() == pytest.approx(1, rel=1e-3)  # of logits of 0, whatever the unit
    y = forward(T.astype(np.float64))
    assert logits.grad is not None
    np.testing.assert_allclose(logits.grad[:, 0], -2 * (y - y.mean()) / y.std(), atol=2e-4)


@pytest.mark.parametrize("transform", TURNED)
def test_serves_what_the_mean_of_the_transformed_turns_back_to(transform: str) -> None:
    forward, back = TURNED[transform]
    expected = back(forward(T.astype(np.float64)).mean())
    assert best_constant(made(transform=transform), T) == pytest.approx(expected, rel=1e-5)
    assert made(transform=transform).predict(torch.zeros(1, 1), NONE).item() == pytest.approx(expected, rel=1e-4)


def test_the_more_a_transform_bends_the_lower_it_reads() -> None:
    read = {k: best_constant(made(transform=k), T) / T.mean() for k in TURNED}
    assert read["none"] == pytest.approx(1, rel=1e-5)
    assert read["log"] < read["power"] < 0.8


@pytest.mark.parametrize("transform", ["log", "power"])
def test_a_factor_from_the_labels_repairs_it(transform: str) -> None:
    for repair, duration in REPAIRS:
        head = made(duration=duration, transform=transform, repair=repair)
        assert best_constant(head, T, duration) == pytest.approx(T.mean(), rel=1e-4)


def test_what_is_served_stays_between_nothing_and_the_cap() -> None:
    for transform in TURNED:
        served = made(transform=transform, cap_s=60).predict(torch.tensor([[-1e6], [1e6]]), NONE)
        np.testing.assert_allclose(served, [0, 60], rtol=1e-5)


def test_on_real_watch_times(shared_data: Path) -> None:
    t, _ = segmm(shared_data)
    read = [best_constant(made(t, transform=k), t) / t.mean() for k in TURNED]
    np.testing.assert_allclose(read, [1, 0.507, 0.593], atol=0.002)


def test_one_label_is_refused() -> None:
    with pytest.raises(DataError, match="7 s"):
        made(np.full(5, 7, np.float32))
