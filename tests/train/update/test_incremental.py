"""Between two full passes: only the rows of users who were seen move, in order, and all of it is one delta."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feedmill.core.batches import SampleBatch
from feedmill.core.errors import ArtifactError
from feedmill.core.workspace import Workspace
from feedmill.features import assemble
from feedmill.features.served.logged import requests
from feedmill.features.served.trees_graph import TreesGraph
from feedmill.publish import delta as deltas
from feedmill.publish import load, write
from feedmill.publish.delta import Delta
from feedmill.samples.down_sampling import taken
from feedmill.state import Probed
from feedmill.train.trees.part import fit_trees, update_trees
from feedmill.train.update.incremental import Incremental
from feedmill.train.update.ranker_rows import aligned
from train.trees_world import CONFIG, World
from train.update_world import RANK, RAW, UpdateWorld


@pytest.fixture(scope="module")
def world() -> UpdateWorld:
    return UpdateWorld()


def learner(world: UpdateWorld, last: Delta | None = None, **more: Any) -> Incremental:
    raw = {**RAW, "update": {"incremental": {"alpha": 0.1, "batch_size": 8, "min_rows": 20, **more}}}
    return Incremental(Workspace(Path(), raw), world.artifact, last)


def stretch(world: UpdateWorld, low: int, high: int) -> tuple[SampleBatch, Probed]:
    of = world.samples.probe.request_of
    return taken(world.samples, (of >= low) & (of < high)), requests(world.probed, low, high)


def step(on: Incremental, world: UpdateWorld, low: int, high: int) -> Delta:
    return on.step(*stretch(world, low, high), world.state, world.offset + high)


def same(a: Delta, b: Delta) -> None:
    assert a.base == b.base
    for name, arrays in a.changes.items():
        for key, change in arrays.items():
            np.testing.assert_array_equal(change.rows, b.changes[name][key].rows, err_msg=key)
            np.testing.assert_array_equal(change.values, b.changes[name][key].values, err_msg=key)


def test_only_the_rows_of_users_that_were_seen_move(world: UpdateWorld) -> None:
    before = {k: np.array(v) for k, v in world.part.arrays.items()}
    samples, probed = stretch(world, 0, 5)
    delta = learner(world).step(samples, probed, world.state, 1)
    change = delta.changes["rank"]["embedding"]
    slots, low = world.part.arrays["slots.user"], world.spec.offsets()["user"]
    users = np.unique(slots[samples.probe.user])
    np.testing.assert_array_equal(change.rows, users[users > 0] + low)
    assert (change.values != before["embedding"][change.rows]).any(axis=1).all()
    assert set(delta.changes["rank"]) == {"embedding", "squares", "online", "online.counts", "online.time_ms"}
    for name, values in before.items():
        np.testing.assert_array_equal(world.part.arrays[name], values, err_msg="the base stays as it is")


def test_what_it_says_before_is_what_the_base_says(world: UpdateWorld) -> None:
    """With a step of nothing every prediction is the trained model's, bit for bit; else only the first batch's are."""
    batch = world.fitted.predict(world.spec, assemble(world.spec, world.part.arrays, world.state, world.probed))
    inner: Any = learner(world, alpha=0.0, calibrate=False).learners["rank"]
    said = inner.learn(world.samples, world.probed, world.state)
    np.testing.assert_allclose(said, batch, atol=1e-6)
    inner = learner(world, calibrate=False).learners["rank"]
    said = inner.learn(world.samples, world.probed, world.state)
    n = int((world.samples.probe.request_of < 8).sum())
    np.testing.assert_allclose(said[:n], batch[:n], atol=1e-6)
    assert np.abs(said[n:] - batch[n:]).max() > 1e-4


def test_it_learns() -> None:
    """The same rows once more are less of a surprise, to a model that reads its users."""
    world = UpdateWorld({**RAW, "rank": {**RANK, "epochs": 20, "learning_rate": 0.02}})
    inner: Any = learner(world, calibrate=False, alpha=0.3).learners["rank"]
    samples = aligned(world.samples, world.part.config["heads"])
    first = inner.learn(samples, world.probed, world.state)
    for _ in range(5):
        last = inner.learn(samples, world.probed, world.state)

    def loss(p: np.ndarray) -> float:
        return float(-np.log(np.where(samples.labels > 0, p, 1 - p)).mean())

    assert loss(last) < loss(first) - 0.005


def test_one_step_or_two_are_the_same_and_order_matters(world: UpdateWorld) -> None:
    """Cut between batches, a stretch teaches what it teaches whole; two stretches the other way round do not."""
    whole, halves, turned = learner(world, calibrate=False), learner(world, calibrate=False), learner(world)
    one = step(whole, world, 0, 32)
    step(halves, world, 0, 16)
    two = step(halves, world, 16, 32)
    same(Delta(one.base, 2, {"rank": {"embedding": one.changes["rank"]["embedding"]}}), two)
    step(turned, world, 16, 32)
    other = step(turned, world, 0, 16).changes["rank"]["embedding"]
    np.testing.assert_array_equal(other.rows, one.changes["rank"]["embedding"].rows)
    assert (other.values != one.changes["rank"]["embedding"].values).any()


def test_a_learner_that_was_stopped_goes_on_from_its_delta(world: UpdateWorld) -> None:
    through = learner(world)
    first = step(through, world, 0, 40)
    again = learner(world, first)
    assert again.seq == 1
    same(again.delta(), first)
    same(step(again, world, 40, 90), step(through, world, 40, 90))
    with pytest.raises(ArtifactError, match="delta of version"):
        learner(world, Delta("f" * 12, 1, {}))


def test_what_was_learned_can_be_forgotten(world: UpdateWorld) -> None:
    """After a roll-back the rows are those of the earlier delta, also for a server that had taken up the later one."""
    on = learner(world)
    good = step(on, world, 0, 20)
    bad = step(on, world, 20, 90)
    back = on.roll_back(good)
    assert (back.seq, back.about["rolled_back"]) == (3, 2)
    table = np.array(world.part.arrays["embedding"])
    for delta in (good, bad, back):
        change = delta.changes["rank"]["embedding"]
        table[change.rows] = change.values
    expected = np.array(world.part.arrays["embedding"])
    expected[good.changes["rank"]["embedding"].rows] = good.changes["rank"]["embedding"].values
    np.testing.assert_array_equal(table, expected)
    np.testing.assert_array_equal(back.changes["rank"]["online"].values, good.changes["rank"]["online"].values)
    nothing = on.roll_back(None).changes["rank"]["embedding"]
    np.testing.assert_array_equal(nothing.values, world.part.arrays["embedding"][nothing.rows])


def test_a_user_without_a_row_teaches_nobody_and_is_served(world: UpdateWorld) -> None:
    samples, probed = stretch(world, 0, 3)
    users = probed.users
    unknown = type(users)(**{f: getattr(users, f) for f in users.__slots__} | {"row": np.full(3, 999, np.int32)})
    probed = type(probed)(**{f: getattr(probed, f) for f in probed.__slots__} | {"users": unknown})
    on = learner(world)
    delta = on.step(samples, probed, world.state, 1)
    assert len(delta.changes["rank"]["embedding"].rows) == 0
    inner: Any = on.learners["rank"]
    assert np.isfinite(inner.learn(samples, probed, world.state)).all()


def test_the_regression_on_trees_learns_while_it_serves(tmp_path: Path) -> None:
    """The trees stay; a graph that is being served says at once what the learner would."""
    trees = World()
    part = fit_trees(CONFIG, trees.spec, trees.arrays, trees.batch, trees.samples, 0)
    workspace = Workspace(Path(), {"retrieval": {"channels": {}}, "rank": {"kind": "gbdt_lr"}})
    artifact = load(tmp_path, write(tmp_path, {"rank": part}, {}), private=deltas.MOVING)
    graph = TreesGraph(artifact.part("rank"), trees.state)
    items = np.arange(1, len(trees.state.items), dtype=np.int32)
    user = trees.state.view("u2", trees.state.newest_ms)
    before = graph.score(user, items)
    on = Incremental(workspace, artifact)
    delta = on.step(trees.samples, trees.probed, trees.state, 1)
    assert set(delta.changes["rank"]) == {"lr.weight", "lr.bias", "lr.gradient", "lr.squares"}
    np.testing.assert_array_equal(graph.score(user, items), before, err_msg="until it takes up the delta")
    deltas.apply(artifact, delta)
    learned, _ = update_trees(part, trees.batch, trees.samples)
    np.testing.assert_array_equal(graph.score(user, items), TreesGraph(learned, trees.state).score(user, items))
    assert np.abs(graph.score(user, items) - before).max() > 1e-4
    fresh = load(tmp_path, artifact.version)
    again, through = Incremental(workspace, fresh, delta), Incremental(workspace, fresh)
    through.step(trees.samples, trees.probed, trees.state, 1)
    rows = trees.samples, trees.probed, trees.state, 2
    same(again.step(*rows), through.step(*rows))


def test_a_head_that_the_samples_lack_is_not_learned(world: UpdateWorld) -> None:
    heads = ("click", "share")
    out = aligned(world.samples, heads)
    assert out.heads == heads
    assert not out.mask[:, 1].any()
    np.testing.assert_array_equal(out.labels[:, 0], world.samples.labels[:, world.samples.heads.index("click")])
