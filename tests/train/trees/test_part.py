"""Trees on a log: fitted, stored, served without torch and LightGBM, and learning on."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
from numpy.typing import NDArray

from feedmill.core.batches import Part, SampleBatch
from feedmill.core.errors import ArtifactError, DataError
from feedmill.features import FeatureBatch, FeaturesConfig, FeatureSpec, assemble
from feedmill.features import fit as fit_features
from feedmill.features.served.tree_columns import categorical, matrix, tree_columns
from feedmill.features.served.trees_graph import TreesGraph
from feedmill.metrics.classification import auc
from feedmill.publish import artifact, writer
from feedmill.state import State, StateConfig
from feedmill.train.trees.gbdt_lr import GbdtLr, GbdtLrConfig
from feedmill.train.trees.part import fit_trees, update_trees
from train.trees_world import CONFIG, World


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def part(world: World) -> Part:
    return world.fit()


def scores(part: Part, world: World) -> NDArray[np.float32]:
    items = np.arange(1, len(world.state.items), dtype=np.int32)
    return TreesGraph(part, world.state).score(world.state.view("u2", world.state.newest_ms), items)


def test_it_learns_from_a_log(part: Part, world: World) -> None:
    said = TreesGraph(part, world.state).of_probed(world.probed)
    known = world.samples.mask[:, 0]
    assert auc(world.samples.labels[known, 0], said[known, 0]) > 0.6
    assert part.config["heads"] == ["click", "like"]
    model = GbdtLr.of(CONFIG, part.arrays)
    table = matrix(tree_columns(world.spec, CONFIG.max_categories), world.batch)
    np.testing.assert_allclose(said, model.predict(table), atol=1e-6, err_msg="as it is served and as it was trained")
    assert 0 < part.config["ne"]["click"] < 1.2


def test_serving_needs_neither_lightgbm_nor_torch(
    part: Part, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stored, mapped from the disk and read-only, it says the same, bit for bit."""
    version = writer.write(tmp_path, {"rank": part}, {})
    loaded = artifact.load(tmp_path, version).part("rank")
    for name in ("lightgbm", "torch"):
        monkeypatch.setitem(sys.modules, name, None)
    np.testing.assert_array_equal(scores(loaded, world), scores(part, world))
    assert scores(part, world).dtype == np.float32
    assert np.isfinite(scores(part, world)).all()


def test_the_text_is_a_lightgbm_model_of_the_same_leaves(part: Part, world: World) -> None:
    booster = lightgbm.Booster(model_str=part.blobs["click.lightgbm.txt"].decode())
    columns = tree_columns(world.spec, CONFIG.max_categories)
    assert categorical(columns)
    x = matrix(columns, world.batch)
    graph: Any = TreesGraph(part, world.state)
    leaves = graph._forest.leaves(x, slice(0, 8)) - graph._forest.leaf_start[:8]
    np.testing.assert_array_equal(leaves, booster.predict(x, pred_leaf=True))


def test_unknown_users_and_no_candidates(part: Part, world: World) -> None:
    graph = TreesGraph(part, world.state)
    nobody = world.state.view("nobody", world.state.newest_ms)
    assert np.isfinite(graph.score(nobody, np.array([1, 2, 3], np.int32))).all()
    assert graph.score(nobody, np.zeros(0, np.int32)).shape == (0, 2)


def test_updates_in_any_pieces_are_one_stream(part: Part, world: World) -> None:
    """The accumulators are in the part: half now and half later is all at once; the trees are the same."""
    n = len(world.samples.probe) // 2
    whole, said = update_trees(part, world.batch, world.samples)
    halves: list[tuple[FeatureBatch, SampleBatch]] = [_requests(world, 0, n), _requests(world, n, 2 * n + 1)]
    once, first = update_trees(part, *halves[0])
    twice, second = update_trees(once, *halves[1])
    for name in ("lr.weight", "lr.gradient", "lr.squares"):
        np.testing.assert_allclose(twice.arrays[name], whole.arrays[name], atol=1e-12)
        assert (twice.arrays[name] != part.arrays[name]).any()
    np.testing.assert_allclose(np.concatenate([first, second]), said, atol=1e-6)
    np.testing.assert_array_equal(twice.arrays["forest.child"], part.arrays["forest.child"])
    assert (scores(twice, world) != scores(part, world)).any()
    np.testing.assert_array_equal(np.isnan(said), ~world.samples.mask)


def _requests(world: World, low: int, high: int) -> tuple[FeatureBatch, SampleBatch]:
    """By time, as the log has them."""
    s, b = world.samples, world.batch
    rows = (s.probe.request_of >= low) & (s.probe.request_of < high)
    of = s.probe.request_of[rows] - low
    probe = replace(
        s.probe, user=s.probe.user[low:high], time_ms=s.probe.time_ms[low:high], at=s.probe.at[low:high],
        item=s.probe.item[rows], request_of=of.astype(np.int32),
    )  # fmt: skip
    samples = replace(s, probe=probe, labels=s.labels[rows], mask=s.mask[rows], weight=s.weight[rows])
    batch = FeatureBatch(
        b.user_ids[low:high], b.user_numeric[low:high], b.item_ids[rows], b.item_numeric[rows], of.astype(np.int64)
    )
    return batch, samples


def test_heads_that_came_or_went(part: Part, world: World) -> None:
    """A new head waits for the next growth; a missing one is an error; their order does not matter."""
    s = world.samples
    more = replace(
        s,
        heads=("share", "like", "click"),
        labels=np.column_stack([s.labels[:, 0], s.labels[:, ::-1]]),
        mask=np.column_stack([s.mask[:, 0], s.mask[:, ::-1]]),
    )
    one, other = update_trees(part, world.batch, s)[0], update_trees(part, world.batch, more)[0]
    np.testing.assert_array_equal(one.arrays["lr.weight"], other.arrays["lr.weight"])
    fewer = replace(s, heads=("click",), labels=s.labels[:, :1], mask=s.mask[:, :1])
    with pytest.raises(DataError, match=r"heads \['click'\]"):
        update_trees(part, world.batch, fewer)


def test_labels_of_one_class_are_left_out(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    labels = world.samples.labels.copy()
    labels[:, 1] = 0
    part = world.fit(replace(world.samples, labels=labels))
    assert part.config["heads"] == ["click"]
    assert '"like"' in capsys.readouterr().err
    assert scores(part, world).shape[1] == 1
    with pytest.raises(DataError, match="no head"):
        world.fit(replace(world.samples, labels=labels * 0))


def test_what_cannot_be_served(part: Part, world: World) -> None:
    with pytest.raises(ArtifactError, match="state's settings"):
        TreesGraph(part, State(StateConfig(history_len=3)))
    for name, wrong in (
        ("lr.weight", part.arrays["lr.weight"][1:]),
        ("lr.bias", part.arrays["lr.bias"][1:]),
        ("lr.tree_start", part.arrays["lr.tree_start"][::-1].copy()),
        ("forest.feature", part.arrays["forest.feature"] + 1_000),
    ):
        with pytest.raises(ArtifactError, match="trees that ask"):
            TreesGraph(replace(part, arrays={**part.arrays, name: wrong}), world.state)
    with pytest.raises(ArtifactError, match='kind "mmoe"'):
        update_trees(replace(part, kind="mmoe"), world.batch, world.samples)


def test_features_that_trees_cannot_read(world: World) -> None:
    nothing = FeaturesConfig(numbers="none", only=("user.id", "item.id"))
    spec, arrays = fit_features.fit(nothing, world.state, world.probed)
    batch = assemble(spec, arrays, world.state, world.probed)
    with pytest.raises(DataError, match="nothing to split on"):
        fit_trees(GbdtLrConfig(max_categories=5), spec, arrays, batch, world.samples, 0)


def test_the_spec_is_the_one_it_was_trained_with(part: Part, world: World) -> None:
    spec: FeatureSpec = world.spec
    assert part.config["spec_hash"] == spec.hash
    with pytest.raises(ArtifactError, match="feature spec"):
        TreesGraph(replace(part, config={**part.config, "spec_hash": "other"}), world.state)
