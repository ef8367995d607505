"""The sign of the sampling-bias correction, in a world whose P(item | user) is known.

In the batch, popular items are negatives as often as they are popular. So the optimum of the softmax is log P - log q
without correction, log P with - log q, and log P - 2 log q with the sign flipped (Yi et al., RecSys 2019, and the
formulas of importance sampling).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from feedmill.core.clock import rng
from feedmill.models.losses import sampled_softmax
from feedmill.models.losses.sampled_softmax import Correction
from feedmill.samples.frequency import Frequency, FrequencyConfig

N_USERS, N_ITEMS, N_POPULAR, BATCH, STEPS = 6, 120, 12, 128, 250


@dataclass(frozen=True)
class World:
    """User types, equally frequent, who like what is popular and what is to their taste."""

    p: np.ndarray  # float64[N_USERS, N_ITEMS], P(item | user)

    @property
    def q(self) -> np.ndarray:
        return self.p.mean(0)

    @property
    def popular(self) -> np.ndarray:
        return np.argsort(-self.q)[:N_POPULAR]

    def draw(self, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        user = random.integers(0, N_USERS, BATCH)
        item = (self.p.cumsum(1)[user] < random.random((BATCH, 1))).sum(1)
        return user, np.minimum(item, N_ITEMS - 1)

    def share(self, scores: np.ndarray) -> float:
        """Share of popular items among the ten best of every user."""
        return float(np.isin(np.argsort(-scores, axis=1)[:, :10], self.popular).mean())


def world(seed: int = 0) -> World:
    random = rng(seed, "world")
    score = -0.8 * np.log(np.arange(1, N_ITEMS + 1)) + 0.7 * random.normal(size=(N_USERS, N_ITEMS))
    p = np.exp(score)
    return World(p / p.sum(1, keepdims=True))


def learned(at: World, correction: Correction, frequency: Frequency | None = None) -> np.ndarray:
    """A free table of scores after some steps of the in-batch softmax: what it converges to is the loss's optimum."""
    scores = torch.zeros(N_USERS, N_ITEMS, requires_grad=True)
    step, random = torch.optim.Adam([scores], lr=0.15), rng(1, "batches")
    slower = torch.optim.lr_scheduler.LinearLR(step, 1.0, 0.05, STEPS)
    log_q = np.log(at.q).astype(np.float32)
    for _ in range(STEPS):
        user, item = at.draw(random)
        if frequency is not None:
            frequency.update(item)
        u, i = torch.from_numpy(user), torch.from_numpy(item)
        drawn = torch.from_numpy(log_q[item] if frequency is None else frequency.log_p(item))
        loss = sampled_softmax(
            scores[u, i],
            scores[u][:, i],
            i[:, None] != i[None, :],
            temperature=1.0,
            log_q_positive=drawn,
            log_q_negative=drawn,
            correction=correction,
        )
        step.zero_grad()
        loss.backward()
        step.step()
        slower.step()
    return scores.detach().numpy().astype(np.float64)


def slope(at: World, scores: np.ndarray) -> float:
    """d score / d log q between items, tastes averaged out: 1 + what the correction left of it."""
    return float(np.polyfit(np.log(at.q), (scores - scores.mean(1, keepdims=True)).mean(0), 1)[0])


@pytest.fixture(scope="module")
def at() -> World:
    return world()


@pytest.fixture(scope="module")
def tables(at: World) -> dict[Correction, np.ndarray]:
    kinds: tuple[Correction, ...] = ("subtract", "none", "flipped")
    return {kind: learned(at, kind) for kind in kinds}


def test_the_share_of_popular_items_orders_and_only_the_right_sign_tells_the_truth(
    at: World, tables: dict[Correction, np.ndarray]
) -> None:
    share = {kind: at.share(scores) for kind, scores in tables.items()}
    truth = at.share(at.p)
    assert share["subtract"] > share["none"] > share["flipped"]
    assert share["subtract"] == pytest.approx(truth, abs=0.06)
    assert truth - share["none"] > 0.3


@pytest.mark.parametrize(("correction", "left"), [("subtract", 1), ("none", 0), ("flipped", -1)])
def test_what_is_learned_is_log_p_less_what_was_not_corrected(
    at: World, tables: dict[Correction, np.ndarray], correction: Correction, left: int
) -> None:
    """s = log P, log P - log q, log P - 2 log q: popularity counts once, not at all, or against an item."""
    assert slope(at, tables[correction]) == pytest.approx(left, abs=0.15)


def test_the_streaming_estimate_corrects_as_well_as_the_truth(at: World, tables: dict[Correction, np.ndarray]) -> None:
    estimate = Frequency(FrequencyConfig(n_slots=1024, alpha=0.02, initial_p=0.005))
    random = rng(2, "before")
    for _ in range(40):
        estimate.update(at.draw(random)[1])
    scores = learned(at, "subtract", estimate)
    assert slope(at, scores) == pytest.approx(slope(at, tables["subtract"]), abs=0.1)
    assert at.share(scores) == pytest.approx(at.share(at.p), abs=0.06)
