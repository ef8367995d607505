"""What trees read of a FeatureBatch."""

from __future__ import annotations

import numpy as np

from feedmill.features import FeatureBatch, FeatureSpec, Field, Numeric
from feedmill.features.served.tree_columns import categorical, matrix, tree_columns

SPEC = FeatureSpec(
    fields=(
        Field("user", "user", "user.id", "user"),
        Field("clicked_3", "user", "user.clicked", "item", 3),
        Field("group", "user", "user.group", "user.group"),
        Field("item", "item", "item.id", "item"),
        Field("topics", "item", "item.topics", "topic", 2),
    ),
    numerics=(
        Numeric("item.click.all", "item"),
        Numeric("user.click.all", "user"),
        Numeric("cross.duration_s", "item"),
    ),
    tables={"user": 90, "item": 80, "user.group": 2, "topic": 3},
    n_quantiles=2,
    prior_count=1.0,
    state_hash="",
)
GROUP, TOPIC = 170, 172  # rows of the fused table before theirs


def batch() -> FeatureBatch:
    """Two users, three candidates of the first and one of the second; user ids, then history, then group."""
    return FeatureBatch(
        user_ids=np.array([[5, 91, 92, 0, GROUP + 2], [0, 0, 0, 0, 0]], np.int32),
        user_numeric=np.array([[0.5, 0.25, 0.7], [1, 1, 1]], np.float32),
        item_ids=np.array([[91, TOPIC + 1, TOPIC + 3], [92, 0, TOPIC + 2], [0, 0, 0], [93, TOPIC + 3, 0]], np.int32),
        item_numeric=np.arange(24, dtype=np.float32).reshape(4, 6),
        request_of=np.array([0, 0, 0, 1]),
    )


def test_numbers_once_few_values_as_categories_bags_by_what_they_have() -> None:
    columns = tree_columns(SPEC, 10)
    assert [(c.name, c.kind) for c in columns] == [
        ("user.click.all", "number"),
        ("item.click.all", "number"),
        ("cross.duration_s", "number"),
        ("clicked_3: known", "known"),
        ("group", "category"),
        ("topics: known", "known"),
        ("topics: has", "has"),
    ]
    assert categorical(columns) == [4]
    expected = [
        # clicks of user and item, duration, history known, group, topics known, topic 1, 2, 3
        [0.5, 0, 1, 2 / 3, 2, 1, 1, 0, 1],
        [0.5, 6, 7, 2 / 3, 2, 0.5, 0, 1, 0],
        [0.5, 12, 13, 2 / 3, 2, 0, 0, 0, 0],
        [1, 18, 19, 0, 0, 0.5, 0, 0, 1],
    ]
    np.testing.assert_allclose(matrix(columns, batch()), np.array(expected), rtol=1e-6)


def test_more_categories_take_in_more_ids() -> None:
    columns = tree_columns(SPEC, 90)
    assert [c.name for c in columns if c.kind == "category"] == ["user", "group", "item"]
    table = matrix(columns, batch())
    assert table.shape == (4, sum(c.width for c in columns))
    at = [c.name for c in columns].index("user")
    assert table[:, at].tolist() == [5, 5, 5, 0]
    assert not [c for c in tree_columns(SPEC, 0) if c.kind in ("category", "has")]


def test_no_candidates() -> None:
    none = FeatureBatch(*(x[:0] for x in vars_of(batch())))
    assert matrix(tree_columns(SPEC, 10), none).shape == (0, 9)


def vars_of(b: FeatureBatch) -> tuple[np.ndarray, ...]:  # type: ignore[type-arg]
    return b.user_ids, b.user_numeric, b.item_ids, b.item_numeric, b.request_of
