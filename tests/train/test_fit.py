"""The whole offline pass on a small world, without a server."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from feedmill.core.errors import ConfigError, DataError
from feedmill.core.workspace import Workspace
from feedmill.features.served.graph import Graph
from feedmill.log.memory import MemoryLog
from feedmill.serve.evaluate import Evaluation, evaluate
from feedmill.state import State
from feedmill.train import Fitted, fit
from feedmill.train.loop import deterministic
from worlds import START_MS, catalogue, tastes

pytestmark = pytest.mark.slow

RAW = {
    "retrieval": {"channels": {"popular": {"limit": 30}, "itemcf": {"limit": 30}, "two_tower": {"kind": "vector"}}},
    "train": {
        "n_threads": 2,
        "two_tower": {"epochs": 10, "embedding_dim": 8, "hidden_dims": [16, 8], "batch_size": 64},
    },
    "rank": {"kind": "mmoe", "embedding_dim": 8, "hidden_dims": [16, 8], "epochs": 6, "batch_size": 64},
    "samples": {"n_negatives": 4},
    "features": {"histories": {"clicked": [3, 10]}},
}


def _log() -> MemoryLog:
    log = MemoryLog()
    log.append(tastes())
    return log


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    return fit(Workspace(Path(), RAW), _log())


@pytest.fixture(scope="module")
def measured(fitted: Fitted) -> Evaluation:
    return evaluate(Workspace(Path(), RAW), fitted.parts, fitted.about, fitted.replay, fitted.split)


def test_it_learns_who_likes_what(measured: Evaluation) -> None:
    """Even users like even items: half the catalogue can be told from the other half, and popularity cannot do it."""
    lines = {line.what: line for line in measured.lines}
    assert measured.auc["click"].low > 0.55
    assert lines["two_tower"].recall_10.mean > lines["popular"].recall_10.mean
    assert lines["after rank"].recall_10.mean > lines["popular"].recall_10.mean
    assert set(lines) == {
        "popular", "itemcf", "two_tower", "after merge", "after pre-rank", "after rank", "after re-rank",
        "ranker alone",
    }  # fmt: skip
    assert measured.n_users == 40


def test_the_same_seed_gives_the_same_table(fitted: Fitted, measured: Evaluation) -> None:
    again = fit(Workspace(Path(), RAW), _log())
    for name, part in fitted.parts.items():
        for array, values in part.arrays.items():
            np.testing.assert_array_equal(values, again.parts[name].arrays[array], err_msg=f"{name}.{array}")
    second = evaluate(Workspace(Path(), RAW), again.parts, again.about, again.replay, again.split)
    assert second.lines == measured.lines


def test_what_is_served_equals_what_was_trained(fitted: Fitted) -> None:
    """ONNX on pooled rows, for one user at a time, against the state the model was fitted on."""
    state = State()
    state.fold(fitted.replay.events)
    graph = Graph(fitted.parts["rank"], state)
    user = state.view("u1", START_MS)
    items = np.arange(1, 20, dtype=np.int32)
    together = graph.score(user, items)
    assert together.shape == (19, 2)
    assert ((together > 0) & (together < 1)).all()
    one_by_one = np.vstack([graph.score(user, items[i : i + 1]) for i in range(len(items))])
    np.testing.assert_allclose(together, one_by_one, rtol=1e-5)
    assert graph.score(user, items[:0]).shape == (0, 2)
    tower = Graph(fitted.parts["two_tower"], state)
    assert np.linalg.norm(tower.users(user), axis=1) == pytest.approx(1, abs=1e-5)


def test_an_unknown_user_is_scored_too(fitted: Fitted) -> None:
    state = State()
    state.fold(fitted.replay.events)
    scores = Graph(fitted.parts["rank"], state).score(state.view("nobody knows", START_MS), np.array([1, 2], np.int32))
    assert np.isfinite(scores).all()


def test_the_artifact_says_what_it_is(fitted: Fitted) -> None:
    about = fitted.about
    assert about["split_hash"] == fitted.split.hash
    assert about["heads"] == ["click", "like"]
    assert about["spec_hash"] == fitted.parts["rank"].config["spec_hash"]
    assert "never touched" in about["negatives"]


def test_a_log_without_feedback_says_so() -> None:
    log = MemoryLog()
    log.append(catalogue(5))
    with pytest.raises(DataError, match="consumed"):
        fit(Workspace(Path(), RAW), log)


@pytest.mark.parametrize(
    ("section", "value", "said"),
    [
        ("rank", {"kind": "mmoee"}, "did you mean"),
        ("rank", {"kind": "mmoe", "epoch": 3}, r'unknown key "rank.epoch"[\s\S]*did you mean "epochs"'),
        ("rank", {"kind": "gdbt_lr"}, 'did you mean "gbdt_lr"'),
        ("rank", {"kind": "gbdt_lr", "embedding_dim": 8}, 'unknown key "rank.embedding_dim" for kind = "gbdt_lr"'),
        ("train", {"two_tower": {"temprature": 1.0}}, 'unknown key "train.two_tower.temprature"'),
    ],
)
def test_a_wrong_parameter_is_refused_before_any_work(section: str, value: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        fit(Workspace(Path(), {**RAW, section: value}), MemoryLog())


def test_two_threads_add_up_a_gradient_in_one_order() -> None:
    """Rows that many candidates share, as a request's fields are: the case in which the order used to vary."""
    torch.manual_seed(0)
    rows, of = torch.randn(64, 256), torch.randint(0, 64, (20_000,))
    weight = torch.randn(20_000, 256)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with deterministic():
            gradients = []
            for _ in range(5):
                x = rows.clone().requires_grad_()
                (x[of] * weight).sum().backward()
                gradients.append(x.grad)
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(gradients[0], g) for g in gradients)
    assert not torch.are_deterministic_algorithms_enabled()
