"""The pre-ranker on a small world: it learns, it serves what it learned, and it says what it cannot do."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from feedmill.core.batches import Part
from feedmill.core.errors import ArtifactError, DataError
from feedmill.core.events import EventBatch
from feedmill.features.served.graph import Graph
from feedmill.features.served.late_fusion import SIDE, USER, LateFusionGraph
from feedmill.metrics.classification import auc
from feedmill.rerank.fusion import FusionConfig
from feedmill.state import State
from feedmill.train.loop import threads
from feedmill.train.rank.distilled import Scale, draw, fused
from feedmill.train.rank.prerank import PrerankNet, fit_prerank
from rankers import Trained, trained
from worlds import DAY_MS, START_MS, click, tastes

NOW = START_MS + 30 * DAY_MS
NET = PrerankNet(hidden_dim=8, dot_dim=8, tower_dim=16, epochs=6, batch_size=32, n_requests=200, n_drawn=16)
ITEMS = np.arange(1, 61, dtype=np.int32)
VALUE = fused(FusionConfig())


def fit(made: Trained, config: PrerankNet) -> Part:
    with threads(1):
        return fit_prerank(
            config, made.spec, made.arrays, made.batch, made.probed, made.samples, made.part, made.state, VALUE, 0
        )


@pytest.fixture(scope="module")
def made() -> Trained:
    return trained(epochs=4)


@pytest.fixture(scope="module")
def distilled(made: Trained) -> Part:
    return fit(made, NET)


def agreement(part: Part, made: Trained) -> float:
    """Mean AUC of its scores against the upper half of the ranker's order, over users."""
    graph, ranker = LateFusionGraph(part, made.state), Graph(made.part, made.state)
    out = []
    for k in range(1, 41):
        user = made.state.view(f"u{k}", NOW)
        value = VALUE(ranker.score(user, ITEMS), ranker.heads)
        out.append(auc(value > np.median(value), graph.score(user, ITEMS)[:, 0]))
    return float(np.mean(out))


@pytest.mark.slow
def test_it_learns_the_rankers_order(made: Trained, distilled: Part) -> None:
    with_labels_alone = agreement(fit(made, msgspec.structs.replace(NET, distill=0.0)), made)
    assert agreement(distilled, made) > max(0.8, with_labels_alone)


@pytest.mark.slow
def test_it_serves_any_user_and_item(made: Trained, distilled: Part) -> None:
    state = State()
    state.fold(tastes())
    graph = LateFusionGraph(distilled, state)
    state.fold(EventBatch.rows([click(NOW, "u1", "brand new")]))
    items = np.array([5, state.items.row("brand new"), 9], np.int32)
    for name in ("u1", "nobody"):
        scores = graph.score(state.view(name, NOW), items)
        assert scores.shape == (3, 1)
        assert ((scores > 0) & (scores < 1)).all()
        np.testing.assert_allclose(graph.score(state.view(name, NOW), items[::-1])[::-1], scores, rtol=1e-6)
    assert graph.score(state.view("u1", NOW), items[:0]).shape == (0, 1)
    assert graph.items.n_made == 1
    odd = replace(state.view("u1", NOW), counts=np.full((1, len(state.count_names)), np.nan, np.float32))
    assert np.isfinite(graph.score(odd, items)).all()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_model(made: Trained, distilled: Part) -> None:
    again = fit(made, NET)
    for name, values in distilled.arrays.items():
        np.testing.assert_array_equal(values, again.arrays[name], err_msg=name)


@pytest.mark.slow
def test_a_part_that_cannot_be_served_is_refused(made: Trained, distilled: Part) -> None:
    with pytest.raises(ArtifactError, match=USER):
        LateFusionGraph(replace(distilled, blobs={}), made.state)
    with pytest.raises(ArtifactError, match=SIDE):
        LateFusionGraph(replace(distilled, arrays={k: v for k, v in distilled.arrays.items() if k != SIDE}), made.state)
    narrow = {**distilled.arrays, SIDE: distilled.arrays[SIDE][:, 1:]}
    with pytest.raises(ArtifactError, match="width"):
        LateFusionGraph(replace(distilled, arrays=narrow), made.state).score(made.state.view("u1", NOW), ITEMS)


def test_labels_that_are_worth_nothing() -> None:
    with pytest.raises(DataError, match="alike"):
        Scale(np.zeros((5, 2), np.float32), ("click", "like"), VALUE)


def test_one_number_between_nothing_and_the_best_there_is() -> None:
    labels = np.array([[0, 0], [1, 0], [1, 1]], np.float32)
    scale = Scale(labels, ("click", "like"), fused(FusionConfig(weights={"click": 1.0, "like": 3.0})))
    assert scale(labels).tolist() == [0, 0.25, 1]
    assert scale(np.array([[0.5, 0.5], [2, 2]], np.float32)).tolist() == [0.5, 1]


def test_drawn_candidates_are_items_and_popular_ones_come_more_often() -> None:
    from feedmill.samples import SamplesConfig, sample

    events, state = tastes(), State()
    state.fold(events)
    samples, _ = sample(events, state, SamplesConfig(n_negatives=2), seed=0)
    labels = np.zeros_like(samples.labels)
    labels[samples.probe.item == 7] = 1
    users, items = draw(samples, labels, len(state.items), 50, 40, 0)
    assert items.min() > 0
    assert items.max() < len(state.items)
    assert set(users) <= set(samples.probe.user)
    assert 0.4 < (items == 7).mean() < 0.6
