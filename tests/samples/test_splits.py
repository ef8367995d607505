import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.errors import DataError
from feedmill.core.events import N_COUNTED, EventBatch, Kind
from feedmill.samples.splits import EvaluateConfig, split
from worlds import START_MS, catalogue, click, tastes


def test_the_last_item_of_each_user_is_held_out_with_all_its_events() -> None:
    events = EventBatch.rows(
        [
            click(1, "a", "x"),
            click(2, "a", "y"),
            click(3, "b", "x"),
            click(4, "a", "z"),
            click(4, "a", "z", Kind.LIKE),
            click(5, "b", "y"),
        ]
    )
    held = split(events, EvaluateConfig())
    assert held.test.tolist() == [3, 4, 5]
    assert held.train.tolist() == [True, True, True, False, False, False]


def test_a_later_visit_to_an_old_item_is_not_held_out_and_does_not_train() -> None:
    events = EventBatch.rows([click(1, "a", "x"), click(2, "a", "y"), click(3, "a", "x")])
    held = split(events, EvaluateConfig())
    assert held.test.tolist() == [1]
    assert held.train.tolist() == [True, False, False]


def test_skip_gives_the_validation_item_and_drops_what_is_later() -> None:
    events = EventBatch.rows([click(t, "a", item) for t, item in enumerate("wxyz")])
    held = split(events, EvaluateConfig(skip=1))
    assert held.test.tolist() == [2]
    assert held.train.tolist() == [True, True, False, False]


def test_a_user_of_one_item_is_not_held_out() -> None:
    held = split(EventBatch.rows([click(1, "a", "x"), click(2, "b", "x"), click(3, "b", "y")]), EvaluateConfig())
    assert held.test.tolist() == [2]


def test_a_global_cut_trains_on_nothing_later() -> None:
    events = tastes()
    held = split(events, EvaluateConfig(split="global_time", share=0.25))
    time_ms, behaviour = events.numpy("time_ms"), events.numpy("kind") < N_COUNTED
    assert time_ms[held.train & behaviour].max() < time_ms[held.test].min()
    share = len(held.test) / behaviour.sum()
    assert 0.2 < share < 0.3


def test_the_hash_names_what_is_held_out() -> None:
    assert split(tastes(), EvaluateConfig()).hash == split(tastes(), EvaluateConfig()).hash
    assert split(tastes(), EvaluateConfig()).hash != split(tastes(), EvaluateConfig(skip=1)).hash
    assert split(tastes(seed=1), EvaluateConfig()).hash != split(tastes(), EvaluateConfig()).hash


def test_users_without_history_are_cold() -> None:
    rows = [click(START_MS + t, "old", f"i{t}") for t in range(1, 9)] + [click(START_MS + 20, "new", "i1")]
    held = split(EventBatch.rows(rows), EvaluateConfig(split="global_time", share=0.2))
    users = EventBatch.rows(rows).table.column("user_id").take(held.test).to_pylist()
    assert dict(zip(users, held.is_cold.tolist(), strict=True)) == {"old": False, "new": True}


def test_nothing_to_hold_out_is_said() -> None:
    with pytest.raises(DataError, match="nobody consumed"):
        split(catalogue(3), EvaluateConfig())


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), min_size=1, max_size=60), st.integers(0, 2))
def test_each_user_trains_only_on_what_came_before(rows: list[tuple[int, int]], skip: int) -> None:
    events = EventBatch.rows([click(t, f"u{u}", f"i{i}") for t, (u, i) in enumerate(rows)])
    held = split(events, EvaluateConfig(skip=skip))
    user = np.array([u for u, _ in rows])
    item = np.array([i for _, i in rows])
    for u in np.unique(user[held.test]):
        mine = held.test[user[held.test] == u]
        own = np.flatnonzero((user == u) & held.train)
        assert len(own) > 0
        assert own.max() < mine.min()
        assert not np.isin(item[mine], item[own]).any()
        assert len(np.unique(item[mine])) == 1


def test_a_feed_is_asked_for_before_the_request_that_showed_the_item() -> None:
    """Else the impression, just before the click, would tell the answer."""
    rows = [click(START_MS, "a", "x"), click(START_MS + 10, "a", "y")]
    rows += [click(START_MS + 50, "a", item, Kind.IMPRESSION, request_id="r1") for item in ("p", "z", "q")]
    rows += [click(START_MS + 60, "b", "x"), click(START_MS + 70, "a", "z", request_id="r1")]
    held = split(EventBatch.rows(rows), EvaluateConfig())
    assert held.test.tolist() == [6]
    assert held.at.tolist() == [2]
    assert held.train.tolist() == [True, True, False, False, False, True, False]


def test_without_an_impression_the_moment_is_the_event() -> None:
    rows = [click(START_MS, "a", "z", Kind.IMPRESSION), click(START_MS + 10, "a", "x")]
    rows += [click(START_MS + 5 * 86_400_000, "a", "z")]
    assert split(EventBatch.rows(rows), EvaluateConfig()).at.tolist() == [2]


def test_a_search_after_the_moment_does_not_train() -> None:
    """It tells what is to be predicted."""
    rows = [
        click(1, "a", "x"), click(2, "a", "y"),
        {"time_ms": 3, "kind": Kind.SEARCH, "user_id": "a", "payload": "before"},
        click(4, "a", "z"),
        {"time_ms": 5, "kind": Kind.SEARCH, "user_id": "a", "payload": "after"},
    ]  # fmt: skip
    assert split(EventBatch.rows(rows), EvaluateConfig()).train.tolist() == [True, True, True, False, False]
    by_time = split(EventBatch.rows(rows), EvaluateConfig(split="global_time", share=0.3))  # cut behind y
    assert by_time.train.tolist() == [True, True, False, False, False]
