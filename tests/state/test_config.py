from __future__ import annotations

import numpy as np
import pytest

from feedmill.core.batches import LANES, QUERY_LANES
from feedmill.core.config import convert
from feedmill.core.errors import ConfigError
from feedmill.core.events import EventBatch, Kind
from feedmill.state import COUNT_NAMES, State, StateConfig


def test_the_default_counts_what_ranking_reads() -> None:
    assert State().count_names == COUNT_NAMES
    assert COUNT_NAMES[:5] == ("impression.1d", "impression.7d", "impression.30d", "impression.all", "click.1d")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"counts": ["clck.1d"]}, 'did you mean "click.1d"'),
        ({"counts": ["click.2d"]}, 'no counter "click.2d"'),
        ({"counts": ["search.1d"]}, "search"),
        ({"counts": ["click.1d", "click.1d"]}, "once"),
        ({"windows": {"all": 5}}, "never decays"),
        ({"windows": {"1s": 0.5}}, "1s"),
        ({"history_len": 0}, "history_len"),
        ({"histories": 1}, 'did you mean "history_len"'),
    ],
)
def test_mistakes_are_named(raw: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError) as e:
        convert(raw, StateConfig)
    assert words in str(e.value)


def test_columns_stand_by_kind_whatever_the_order_in_the_config() -> None:
    config = StateConfig(counts=("like.all", "click.5s", "click.all"), windows={"5s": 5.0})
    assert config.count_names == ("click.5s", "click.all", "like.all")
    state = State(config)
    state.fold(EventBatch.of({"kind": [1, 1, 2], "user_id": "u", "item_id": "a", "time_ms": [0, 5_000, 5_000]}))
    assert state.view("u", 5_000).counts[0] == pytest.approx([1 + np.exp(-1), 2, 1])


def test_a_state_that_counts_nothing_still_remembers() -> None:
    state = State(StateConfig(counts=()))
    state.fold(EventBatch.of({"kind": int(Kind.LIKE), "user_id": "u", "item_id": "a", "time_ms": [1, 2]}))
    probed = state.probe(state.view("u", 3), np.array([1], np.int32))
    assert probed.item_counts.shape == (1, 0)
    assert probed.users.recent("liked").tolist() == [1]


def test_the_settings_hash_is_of_what_is_kept() -> None:
    assert State().settings_hash == State(StateConfig()).settings_hash
    assert State(StateConfig(history_len=7)).settings_hash != State().settings_hash
    assert State(StateConfig(counts=("click.all",))).settings_hash != State().settings_hash


def test_every_kind_enters_the_lanes_that_core_says() -> None:
    for kind in Kind:
        state = State()
        state.fold(EventBatch.of({"kind": [int(kind)], "user_id": "u", "item_id": "a", "payload": '{"x": 1}'}))
        view = state.view("u", 0)
        assert [lane for lane in LANES if len(view.recent(lane))] == [n for n, kinds in LANES.items() if kind in kinds]


def test_lanes_of_queries_take_nothing_but_searches() -> None:
    """The kernel looks up the rows of other kinds as items."""
    assert all((kinds == (Kind.SEARCH,)) == (lane in QUERY_LANES) for lane, kinds in LANES.items())
    assert all(Kind.SEARCH not in kinds for lane, kinds in LANES.items() if lane not in QUERY_LANES)
