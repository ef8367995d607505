"""Self-supervision on a world in which the features of an item say what an id without clicks cannot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from feedmill.core.clock import rng
from feedmill.core.config import convert
from feedmill.models.embeddings import FusedEmbedding
from feedmill.models.losses import contrastive, sampled_softmax
from feedmill.models.two_tower import TwoTower, TwoTowerConfig
from feedmill.train.retrieval.views import SelfSupervisedConfig, Views

pytestmark = pytest.mark.slow

GROUPS, ITEMS, USERS, FIELDS, VALUES = 12, 2000, 200, 5, 240
N_CLICKS, N_TARGETS, TOP = 8, 5, 50
STARTS = list(range(FIELDS + 2))  # the item's id, then five tags
SEEDS = range(3)


@dataclass(frozen=True)
class World:
    """Every user likes one hidden group of items, whose tags tell of the group, four times in five.

    A tag has 20 values per group, so a value is on some 8 items in 10 clicks, and on 40 of the catalogue: which values
    belong together is mostly written there. Clicks follow popularity; what is looked for does not.

    Attributes:
        ids: int32[1 + ITEMS, 1 + FIELDS] rows of the embedding table, item row 0 is nothing.
        clicks: int64[n, 2] user and item row.
        targets: int64[m, 2] liked and not clicked, half of them from the less popular half of the items.
        is_rare: bool[1 + ITEMS].
    """

    ids: np.ndarray
    clicks: np.ndarray
    targets: np.ndarray
    is_rare: np.ndarray


def world(seed: int) -> World:
    random = rng(seed, "rare items")
    group, popularity = random.integers(0, GROUPS, ITEMS), random.permutation(1 / np.arange(1, ITEMS + 1) ** 0.7)
    ids = np.zeros((1 + ITEMS, 1 + FIELDS), np.int32)
    ids[1:, 0] = 1 + USERS + np.arange(ITEMS)
    for f in range(FIELDS):
        told = np.where(random.random(ITEMS) < 0.2, random.integers(0, GROUPS, ITEMS), group)
        value = told * (VALUES // GROUPS) + random.integers(0, VALUES // GROUPS, ITEMS)
        ids[1:, 1 + f] = 1 + USERS + ITEMS + f * VALUES + value
    is_rare = np.append(False, popularity < np.median(popularity))
    clicks, targets = [], []
    for user, taste in enumerate(random.integers(0, GROUPS, USERS)):
        liked = popularity * (group == taste)
        clicked = 1 + random.choice(ITEMS, N_CLICKS, replace=False, p=liked / liked.sum())
        clicks += [(user, item) for item in clicked]
        for half in (is_rare, ~is_rare):
            others = np.setdiff1d(np.flatnonzero((np.append(0, liked) > 0) & half), clicked)
            targets += [(user, item) for item in random.choice(others, N_TARGETS, replace=False)]
    return World(ids, np.array(clicks), np.array(targets), is_rare)


def embedded(embedding: FusedEmbedding, side: object, *ids: np.ndarray) -> list[torch.Tensor]:
    """Vectors of one tower for matrices of ids."""
    width = ids[0].shape[1]
    fields = embedding(*((torch.from_numpy(x.astype(np.int64)), list(range(width + 1))) for x in ids))
    return [side(x, torch.zeros(len(x), 0)) for x in fields]  # type: ignore[operator]


def recall(at: World, weight: float, seed: int) -> tuple[float, float]:
    """Recall@50 over the whole catalogue of targets among rare and among popular items."""
    torch.manual_seed(seed)
    config = convert({"embedding_dim": 16, "hidden_dims": [32, 16], "dropout": 0.1}, TwoTowerConfig)
    embedding = FusedEmbedding(1 + USERS + ITEMS + FIELDS * VALUES, config.embedding_dim, config.dropout)
    model = TwoTower(config, (1, 1 + FIELDS), (0, 0))
    views = Views(convert({"transform": "complementary"}, SelfSupervisedConfig), at.ids, STARTS, seed)
    dense = torch.optim.Adam(model.parameters(), lr=1e-2)
    sparse = torch.optim.SparseAdam(list(embedding.parameters()), lr=1e-2)
    user, item = at.clicks.T
    users = 1 + np.arange(USERS)[:, None]
    liked = torch.zeros(USERS, 1 + ITEMS, dtype=torch.bool)
    liked[user, item] = True
    log_q = torch.from_numpy(np.log(np.bincount(item, minlength=1 + ITEMS) / len(item) + 1e-9).astype(np.float32))
    random = rng(seed, "order")
    for batch in np.concatenate([random.permutation(len(item)).reshape(-1, 200) for _ in range(15)]):
        u, i = user[batch], item[batch]
        (a,), (b,) = embedded(embedding, model.user, users[u]), embedded(embedding, model.item, at.ids[i])
        drawn = log_q[i]
        loss = sampled_softmax(
            (a * b).sum(1), a @ b.t(), ~liked[u][:, i], temperature=0.1, log_q_positive=drawn, log_q_negative=drawn
        )
        if weight:
            first, second, _ = views.draw(256)
            loss = loss + weight * contrastive(
                *embedded(embedding, model.item, first, second), views.config.temperature
            )
        dense.zero_grad()
        sparse.zero_grad()
        loss.backward()
        dense.step()
        sparse.step()
    embedding.eval()
    with torch.no_grad():
        (a,), (b,) = embedded(embedding, model.user, users), embedded(embedding, model.item, at.ids)
        scores = (a @ b.t()).masked_fill(liked, -9.0)
        scores[:, 0] = -9.0
    found = (scores.topk(TOP, 1).indices.numpy()[at.targets[:, 0]] == at.targets[:, 1:]).any(1)
    rare = at.is_rare[at.targets[:, 1]]
    return float(found[rare].mean()), float(found[~rare].mean())


def test_self_supervision_finds_more_of_the_less_popular_half() -> None:
    """On every seed, and the popular half does not pay for it. Whoever knew the group alone would find 0.31 of both."""
    worlds = [world(seed) for seed in SEEDS]
    without, with_views = (
        np.array([recall(at, weight, seed) for seed, at in enumerate(worlds)]) for weight in (0.0, 0.3)
    )
    gain = with_views - without
    assert (gain[:, 0] > 0).all()
    assert gain[:, 0].mean() > 0.02
    assert gain[:, 1].mean() > -0.01
