from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from feedmill.core.batches import Floats
from feedmill.core.clock import rng
from feedmill.train.loop import threads
from feedmill.train.rank.regression import Regression, fit_regression


def linear(n_steps: int) -> Iterator[tuple[Floats, Floats]]:
    """y1 = x1 + 3, y2 = -x2."""
    draw = rng(0, "linear")
    for _ in range(n_steps):
        x = draw.standard_normal((32, 3), dtype=np.float32)
        yield x, np.stack([x[:, 0] + 3, -x[:, 1]], axis=1)


def test_a_body_learns_numbers_and_says_the_loss_of_each_step() -> None:
    with threads(1):
        losses = fit_regression(Regression("mmoe", {"hidden_dims": (8,), "tower_dim": 4}, 3, 2, 0), linear(300), 0.01)
    assert losses.shape == (300,)
    assert losses[0] > 4  # a mean of 3 is not known at the start
    assert losses[-20:].mean() < 0.2


def test_weights_are_counted() -> None:
    model = Regression("shared_bottom", {"hidden_dims": (5,), "tower_dim": 4}, 3, 2, 0)
    assert model.n_weights == (3 * 5 + 5) + 2 * (5 * 4 + 4) + 2 * 4 + 2


def test_a_seed_is_a_start() -> None:
    first, again, other = (Regression("omoe", {"hidden_dims": (4,)}, 3, 2, seed) for seed in (1, 1, 2))
    assert first.first.tolist() == again.first.tolist() != other.first.tolist()
