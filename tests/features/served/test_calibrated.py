from __future__ import annotations

import json

import numpy as np
import pytest

from feedmill.core.batches import Floats, Part, Rows, UserColumns
from feedmill.core.errors import ArtifactError, ConfigError
from feedmill.core.events import EventBatch, Kind
from feedmill.features.buckets import Buckets
from feedmill.features.served.calibrated import calibrated
from feedmill.metrics.calibrators import Isotonic, Platt, Shifts, stored
from feedmill.metrics.down_sampling import corrected_heads
from feedmill.state import State
from worlds import START_MS, catalogue, click, people


class Says:
    """A graph that says the same of every item."""

    heads = ("click", "like", "watch_s")

    def __init__(self, *probs: float) -> None:
        self.probs = probs

    def score(self, user: UserColumns, items: Rows) -> Floats:
        return np.tile(np.array(self.probs, np.float32), (len(items), 1))


def state_of(*more: dict[str, object]) -> State:
    state = State()
    events = [click(START_MS + 1, "u1", "i1"), click(START_MS + 1, "u2", "i2"), *more]
    state.fold(EventBatch.concat([catalogue(12), people(3), EventBatch.rows(events)]))
    return state


def part(said: dict[str, object], **arrays: np.ndarray) -> Part:
    config = {"heads": list(Says.heads), "head_kinds": ["probability", "probability", "seconds"]}
    return Part("mmoe", {**config, "calibration": said} if said else config, arrays)


def test_a_part_that_says_nothing_is_served_as_it_is() -> None:
    graph = Says(0.5, 0.1, 3.0)
    assert calibrated(graph, part({}), state_of()) is graph


def test_down_sampling_is_corrected_and_seconds_are_left_alone() -> None:
    state = state_of()
    served = calibrated(Says(0.5, 0.1, 3.0), part({"keep_negatives": 0.01}), state)
    out = served.score(state.view("u1", START_MS + 2), np.arange(1, 4, dtype=np.int32))
    assert out.dtype == np.float32
    assert served.heads == Says.heads
    np.testing.assert_allclose(out[0, :2], corrected_heads(np.array([[0.5, 0.1]]), 0.01)[0], rtol=1e-6)
    assert (out[:, 2] == 3).all()


def test_each_head_through_its_own_after_the_correction() -> None:
    state = state_of()
    per_head, arrays = stored(
        {"click": Platt(1.0, np.log(2)), "like": Isotonic(np.array([0.0, 1.0]), np.array([0.0, 0.5]))}
    )
    said = {"keep_negatives": 0.5, "heads": per_head}
    served = calibrated(Says(0.5, 0.25, 3.0), part(said, **arrays), state)
    out = served.score(state.view("u1", START_MS + 2), np.array([1], np.int32))
    before = corrected_heads(np.array([[0.5, 0.25]]), 0.5)[0]
    odds = 2 * before[0] / (1 - before[0])
    np.testing.assert_allclose(out[0], [odds / (1 + odds), before[1] / 2, 3.0], rtol=1e-5)


def test_missing_and_infinite_scores_stay_missing() -> None:
    state = state_of()
    per_head, arrays = stored({"click": Platt(2.0, 0.0)})
    for bad in (np.nan, np.inf, -np.inf):
        served = calibrated(Says(bad, 0.1, 1.0), part({"keep_negatives": 0.1, "heads": per_head}, **arrays), state)
        out = served.score(state.view("nobody", START_MS), np.array([1, 2], np.int32))
        assert np.isnan(out[:, 0]).all()
        assert np.isfinite(out[:, 1:]).all()
    assert served.score(state.view("u1", START_MS), np.zeros(0, np.int32)).shape == (0, 3)


def test_by_length_of_the_item() -> None:
    state = state_of()
    users = state.view("u1", START_MS + 2)
    items = np.arange(1, 13, dtype=np.int32)
    buckets = Buckets.fit("item.duration_s", 3, state, users, items, np.zeros(12, np.int32))
    assert buckets.n == 3
    assert buckets.names()[0] == "unknown"
    per_head, arrays = stored({"click": Shifts(np.array([0.0, -1.0, 0.0, 1.0]))})
    said = {"heads": per_head, "bucket": json.loads(json.dumps(buckets.as_dict()))}
    out = calibrated(Says(0.5, 0.5, 1.0), part(said, **arrays), state).score(users, items)[:, 0]
    assert out.tolist() == pytest.approx([1 / (1 + np.e)] * 4 + [0.5] * 4 + [np.e / (1 + np.e)] * 4)


@pytest.mark.parametrize(
    ("by", "expected"), [("user.group", [1, 0, 2]), ("item.topic", [1, 2, 0]), ("item.kind", [0, 0, 0])]
)
def test_by_category_of_user_or_item(by: str, expected: list[int]) -> None:
    described = {"kind": Kind.ITEM, "time_ms": START_MS + 3, "item_id": "i9", "payload": '{"kind": "film"}'}
    state = state_of(described)
    views = [state.view(u, START_MS + 4) for u in ("u1", "nobody", "u2")]
    item = state.items.rows(["i1", "i2", "i3"])
    values = {"user.group": ("odd", "even"), "item.topic": ("t1", "t2"), "item.kind": ("film",)}[by]
    which = Buckets(by, values=values).bind(state)
    zero = np.zeros(1, np.int64)
    assert [int(which(v, i[None], zero)[0]) for v, i in zip(views, item, strict=True)] == expected


def test_the_most_frequent_values_get_a_bucket() -> None:
    state = state_of()
    items = np.array([1, 1, 1, 2, 2, 3], np.int32)
    found = Buckets.fit("item.topic", 2, state, state.view("u1", START_MS), items, np.zeros(6, np.int32))
    assert found.values == ("t1", "t2")
    assert Buckets.of(found.as_dict()) == found


def test_values_that_came_later_and_attributes_that_nothing_has_are_unknown() -> None:
    state = state_of()
    which = Buckets("user.club", values=("red",)).bind(state)
    assert which(state.view("u1", START_MS), np.array([1], np.int32), np.zeros(1, int)).tolist() == [0]
    bound = Buckets("item.topic", values=("t1",)).bind(state)
    more = {"kind": Kind.ITEM, "time_ms": START_MS + 9, "item_id": "new", "payload": '{"topics": ["t99"]}'}
    state.fold(EventBatch.rows([more]))
    row = state.items.rows(["new"])
    assert bound(state.view("u1", START_MS + 9), row, np.zeros(1, int)).tolist() == [0]


def test_what_cannot_be_is_refused() -> None:
    state = state_of()
    with pytest.raises(ConfigError, match=r'no column "item\.duration"') as raised:
        Buckets.fit("item.duration", 3, state, state.view("u1", START_MS), np.array([1], np.int32), np.zeros(1, int))
    assert 'did you mean "item.duration_s"?' in str(raised.value)
    with pytest.raises(ArtifactError, match="keep_negatives"):
        calibrated(Says(0.1, 0.1, 1.0), part({"keep_negatives": 0.0}), state)
    with pytest.raises(ArtifactError, match="calibration of click"):
        calibrated(Says(0.1, 0.1, 1.0), part({"heads": {"click": {"kind": "bucket"}}}), state)


def test_fewer_rows_than_buckets_or_none_known() -> None:
    state = state_of({"kind": Kind.ITEM, "time_ms": START_MS + 5, "item_id": "bare", "payload": "{}"})
    users, zero = state.view("u1", START_MS + 6), np.zeros(2, np.int32)
    two = Buckets.fit("item.duration_s", 10, state, users, np.array([1, 5], np.int32), zero)
    assert 1 <= two.n <= 2
    bare = state.items.rows(["bare", "bare"])
    for by in ("item.duration_s", "item.topic"):
        none = Buckets.fit(by, 10, state, users, bare, zero)
        assert none.n == 0
        assert none.bind(state)(users, np.array([1, 2], np.int32), zero).tolist() == [0, 0]
