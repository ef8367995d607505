"""MMR and DPP against plain NumPy that takes every similarity and every determinant from scratch, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from contracts.rule import N_ITEMS, REQUEST, some, state
from feedmill.core.batches import CandidateBatch, Floats
from feedmill.core.clock import rng
from feedmill.rerank.dpp import DPP, LEAST_QUALITY, DPPConfig
from feedmill.rerank.mmr import MMR, MMRConfig
from feedmill.rerank.similarity import VarietyConfig, noise

N, K = 30, 20
WINDOWS, SEEDS = [1, 2, 5, 10, 40], range(4)
MIXES: list[dict[str, float]] = [
    {"topic_weight": 0.0},
    {"topic_weight": 0.5},
    {"topic_weight": 0.3, "author_weight": 0.3},
]


def vectors(seed: int) -> Floats:
    return rng(seed, "vectors").standard_normal((N_ITEMS, 16)).astype(np.float32)


def values(batch: CandidateBatch) -> Any:
    """float64[C] from the lowest, 0, to the highest, 1."""
    value = batch.value.astype(np.float64)
    return (value - value.min()) / (value.max() - value.min())


def similarities(batch: CandidateBatch, of: Floats, config: VarietyConfig) -> Any:
    """float64[C, C]."""
    catalogue, item = state().catalogue, batch.item
    unit = of[item].astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    has = catalogue.topics[item][:, None, :] == np.arange(1, len(catalogue.topic_ids))[None, :, None]
    topics = has.any(axis=2).astype(np.float64)
    both = topics @ topics.T
    either = topics.sum(1)[:, None] + topics.sum(1) - both
    author = catalogue.author[item]
    same = (author[:, None] == author) & (author > 0)
    rest = 1 - config.topic_weight - config.author_weight
    jaccard = np.divide(both, either, out=np.zeros_like(both), where=either > 0)
    return config.topic_weight * jaccard + config.author_weight * same + rest * unit @ unit.T


def best(score: Any, picked: list[int]) -> int:
    score = score.copy()
    score[picked] = -np.inf
    return int(score.argmax())


def log_det(s: Any, rows: list[int]) -> float:
    return float(np.linalg.slogdet(s[np.ix_(rows, rows)])[1]) if rows else 0.0


@pytest.mark.parametrize("temperature", [0.0, 0.2])
@pytest.mark.parametrize("mix", MIXES, ids=str)
@pytest.mark.parametrize("window", WINDOWS)
def test_mmr(window: int, mix: dict[str, float], temperature: float) -> None:
    for seed in SEEDS:
        config = MMRConfig(theta=0.2 * (1 + seed), window=window, temperature=temperature, **mix)
        batch, of = some(N, seed), vectors(seed)
        sims, value = similarities(batch, of, config), values(batch)
        drawn = noise(temperature, seed, "mmr", K, N) if temperature else np.zeros((K, N))
        picked: list[int] = []
        alike: list[float] = []
        for slot in range(K):
            recent = picked[max(0, slot - window) :]
            nearest = sims[:, recent].max(axis=1) if recent else np.zeros(N)
            picked.append(best(config.theta * value - (1 - config.theta) * nearest + drawn[slot], picked))
            alike.append(nearest[picked[-1]])
        rule = MMR(config, state(), of)
        assert rule.apply(replace(REQUEST, seed=seed), batch, K).rows.tolist() == picked
        found = rule._pick(value.astype(np.float32), batch.item, K, seed)
        np.testing.assert_allclose(found[1], alike, atol=1e-6)


@pytest.mark.parametrize("temperature", [0.0, 0.2])
@pytest.mark.parametrize("form", ["theta", "quality"])
@pytest.mark.parametrize("mix", MIXES, ids=str)
@pytest.mark.parametrize("window", WINDOWS)
def test_dpp(window: int, mix: dict[str, float], form: Any, temperature: float) -> None:
    for seed in SEEDS:
        theta = 0.2 * (1 + seed)
        config = DPPConfig(form=form, theta=theta, window=window, temperature=temperature, **mix)
        batch, of = some(N, seed), vectors(seed)
        s, value = similarities(batch, of, config) + config.ridge * np.eye(N), values(batch)
        gain, weight = (theta * value, 1 - theta) if form == "theta" else (2 * np.log(value.clip(LEAST_QUALITY)), 1.0)
        drawn = noise(temperature, seed, "dpp", K, N) if temperature else np.zeros((K, N))
        picked: list[int] = []
        fresh: list[float] = []
        for slot in range(K):
            recent = picked[max(0, slot - window + 1) :] if window > 1 else []
            more = np.array([log_det(s, [*recent, i]) - log_det(s, recent) if i not in picked else 0 for i in range(N)])
            picked.append(best(gain + weight * more + drawn[slot], picked))
            fresh.append(np.exp(more[picked[-1]]) / s[picked[-1], picked[-1]])
        rule = DPP(config, state(), of)
        assert rule.apply(replace(REQUEST, seed=seed), batch, K).rows.tolist() == picked
        found = rule._pick(value.astype(np.float32), batch.item, K, seed)
        np.testing.assert_allclose(found[1], fresh, atol=1e-6)
