"""Trees and their regression together: several heads, labels that are not known, and learning that goes on."""

from __future__ import annotations

import numpy as np
import pytest

from feedmill.core.config import convert
from feedmill.core.errors import ConfigError, DataError
from feedmill.metrics.classification import auc, normalized_entropy
from feedmill.train.trees.boosted import TreesConfig
from feedmill.train.trees.gbdt_lr import GbdtLr, GbdtLrConfig, TableRows
from feedmill.train.trees.online_lr import OnlineLrConfig

CONFIG = GbdtLrConfig(trees=TreesConfig(n_trees=10, n_leaves=6, n_threads=1))


def world(n: int = 1_500, seed: int = 0) -> TableRows:
    """Head 0 is likely inside a square, head 1 above its diagonal."""
    random = np.random.default_rng(seed)
    x = random.random((n, 3)).astype(np.float32)
    inside = (abs(x[:, 0] - 0.5) < 0.3) & (abs(x[:, 1] - 0.5) < 0.3)
    chances = np.stack([np.where(inside, 0.8, 0.1), np.where(x[:, 0] > x[:, 1], 0.3, 0.02)], axis=1)
    return TableRows(x, (random.random((n, 2)) < chances).astype(np.float32))


def replaced(config: GbdtLrConfig, **changes: object) -> GbdtLrConfig:
    return GbdtLrConfig(**{**{f: getattr(config, f) for f in config.__struct_fields__}, **changes})


def test_each_head_learns_its_own_label() -> None:
    model, said = GbdtLr.fit(CONFIG, world())
    new = world(seed=1)
    probs = model.predict(new.x)
    assert probs.shape == (1_500, 2)
    for h, least in enumerate((0.8, 0.75)):
        assert auc(new.labels[:, h], probs[:, h]) > least
        assert abs(probs[:, h].mean() - new.labels[:, h].mean()) < 0.03
    assert said.shape == (450, 2), "0.3 of the rows, the newest, are the regression's"
    assert normalized_entropy(world().labels[-450:, 0], said[:, 0]) < 0.85


def test_from_the_trees_own_values_it_begins_as_the_trees() -> None:
    """What is said of the first of the newer rows is what the trees say by themselves."""
    rows = world()
    model, said = GbdtLr.fit(CONFIG, rows)
    first = model.active(rows.x[1050:1051], 0)[:, 1:]
    alone = 1 / (1 + np.exp(-model.forest.leaf_value[first].sum()))
    assert said[0, 0] == pytest.approx(alone)
    zero, said = GbdtLr.fit(replaced(CONFIG, start="zero"), rows)
    assert said[0, 0] == pytest.approx(rows.labels[:1050, 0].mean(), abs=0.01), "or as the rate of the older rows"
    assert auc(world(seed=1).labels[:, 0], zero.predict(world(seed=1).x)[:, 0]) > 0.75


def test_trees_do_not_see_the_newest_rows() -> None:
    rows = world()
    changed = rows.labels.copy()
    changed[1050:] = 1 - changed[1050:]
    one, other = (GbdtLr.fit(CONFIG, TableRows(rows.x, y))[0] for y in (rows.labels, changed))
    assert one.texts == other.texts
    assert (one.lr.weight != other.lr.weight).any()


def test_labels_that_are_not_known_teach_nothing() -> None:
    rows = world()
    mask = np.ones((1_500, 2), np.bool_)
    mask[::3, 1] = False
    noise = rows.labels.copy()
    noise[::3, 1] = np.nan
    masked, said = GbdtLr.fit(CONFIG, TableRows(rows.x, noise, mask))
    whole, _ = GbdtLr.fit(CONFIG, rows)
    assert masked.texts[0] == whole.texts[0]
    assert masked.texts[1] != whole.texts[1]
    np.testing.assert_array_equal(np.isnan(said[:, 1]), ~mask[1050:, 1])
    assert np.isfinite(masked.predict(rows.x)).all()
    weight = np.where(mask[:, 1], 1.0, 0.0)
    by_weight, _ = GbdtLr.fit(CONFIG, TableRows(rows.x, rows.labels, weight=weight))
    assert by_weight.n_heads == 2


@pytest.mark.parametrize("start", ["trees", "zero"])
@pytest.mark.parametrize("rate", [0, 1])
def test_a_head_of_one_class_says_its_rate(start: str, rate: int) -> None:
    """A column of all zeros or ones: no trees, but a bias that can still learn."""
    rows = world(600)
    labels = np.concatenate([rows.labels[:, :1], np.full((600, 1), rate)], axis=1)
    model, _ = GbdtLr.fit(replaced(CONFIG, start=start), TableRows(rows.x, labels))
    assert model.tree_start.tolist() == [0, 10, 10]
    probs = model.predict(rows.x)[:, 1]
    assert np.ptp(probs) == 0
    assert abs(probs[0] - rate) < 0.01
    before = probs[0]
    model.update(TableRows(rows.x, np.concatenate([rows.labels[:, :1], np.full((600, 1), 1 - rate)], axis=1)))
    assert abs(model.predict(rows.x)[0, 1] - (1 - rate)) < abs(before - (1 - rate))


def test_what_is_missing_infinite_or_unseen_gets_an_answer() -> None:
    model, _ = GbdtLr.fit(CONFIG, world(), categorical=())
    odd = np.array([[np.nan] * 3, [np.inf] * 3, [-np.inf] * 3, [1e30, -1e30, 0]], np.float32)
    probs = model.predict(odd)
    assert ((probs > 0) & (probs < 1)).all()
    assert model.predict(odd[:0]).shape == (0, 2)
    with pytest.raises(DataError, match="columns"):
        model.predict(odd[:, :1])


def test_it_goes_on_where_it_was_stored() -> None:
    model, _ = GbdtLr.fit(CONFIG, world())
    arrays = {k: v.copy() for k, v in model.arrays().items()}
    for v in arrays.values():
        v.flags.writeable = False
    again = GbdtLr.of(CONFIG, arrays)
    new = world(400, 2)
    np.testing.assert_array_equal(again.update(new), model.update(new))
    np.testing.assert_array_equal(again.predict(new.x), model.predict(new.x))


def test_the_same_seed_gives_the_same_model() -> None:
    one, other = (GbdtLr.fit(CONFIG, world(), seed=3)[0].arrays() for _ in range(2))
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name], err_msg=name)


def test_rows_that_cannot_be_used() -> None:
    rows = world(50)
    with pytest.raises(DataError, match="no rows"):
        GbdtLr.fit(CONFIG, rows.take(slice(0, 0)))
    with pytest.raises(DataError, match="0 and 1"):
        GbdtLr.fit(CONFIG, TableRows(rows.x, rows.labels * 3))
    with pytest.raises(DataError, match="shapes"):
        TableRows(rows.x, rows.labels[:, 0])
    with pytest.raises(DataError, match="shapes"):
        TableRows(rows.x, rows.labels, np.ones((50, 3), np.bool_))
    few, _ = GbdtLr.fit(CONFIG, rows.take(slice(0, 1)))
    assert np.isfinite(few.predict(rows.x)).all()


def test_config_of_the_section() -> None:
    raw = {"lr_share": 0.5, "trees": {"n_trees": 7}, "lr": {"alpha": 0.2}}
    config = convert(raw, GbdtLrConfig, "rank")
    assert (config.trees.n_trees, config.lr, config.start) == (7, OnlineLrConfig(alpha=0.2), "trees")
    with pytest.raises(ConfigError, match="n_tree"):
        convert({"trees": {"n_tree": 7}}, GbdtLrConfig, "rank")
