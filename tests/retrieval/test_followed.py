from __future__ import annotations

from typing import Any

import msgspec
import pytest

from contracts.channel import interactions
from feedmill.core.batches import CandidateBatch
from feedmill.core.config import convert
from feedmill.core.errors import ConfigError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.request import FeedRequest
from feedmill.retrieval.author import AuthorChannel
from feedmill.retrieval.followed import FollowedChannel, FollowedConfig
from feedmill.retrieval.topic import TopicChannel, TopicConfig
from feedmill.state import State
from retrieval.test_keyed import described

DAY_MS = 86_400_000
NOW = 100 * DAY_MS


def act(state: State, kind: Kind, *items: str, user: str = "u") -> None:
    state.fold(EventBatch.of({"kind": int(kind), "user_id": user, "item_id": list(items), "time_ms": NOW}))


def video(item: str, author: str = "", day: int = 0, *topics: str) -> tuple[str, dict[str, Any]]:
    return item, {"author_id": author, "publish_ms": day * DAY_MS, "topics": list(topics)}


def opened(cls: Any, state: State, pairs: list[tuple[int, int]] | None = None, **parameters: Any) -> Any:
    config = msgspec.convert(parameters, cls.Config)
    log = interactions(pairs or [], 9, len(state.items))
    return cls("c", config, cls.build(log, state, config, seed=0), state)


def ids(state: State, channel: Any, limit: int = 10, user: str = "u", **more: Any) -> list[str]:
    request = FeedRequest(request_id="r", user_id=user, time_ms=NOW, **more)
    answer: CandidateBatch = channel.fetch(request, state.view(user, NOW), limit)
    return state.items.ids(answer.item)


@pytest.fixture
def state() -> State:
    state = State()
    videos = [video("a1", "a", 1, "x"), video("a2", "a", 5, "y"), video("b1", "b", 3, "x"), video("c1", "c", 9, "z")]
    state.fold(described(*videos))
    return state


def test_the_latest_of_the_followed_come_first_and_nobody_elses(state: State) -> None:
    channel = opened(FollowedChannel, state)
    assert ids(state, channel) == []
    act(state, Kind.FOLLOW, "a1", "b1")
    act(state, Kind.LIKE, "c1")
    assert ids(state, channel) == ["a2", "b1", "a1"]


def test_a_video_that_came_after_the_training_is_found_at_once(state: State) -> None:
    channel = opened(FollowedChannel, state)
    act(state, Kind.FOLLOW, "a1", "b1")
    state.fold(described(video("b2", "b", 99)))
    assert ids(state, channel) == ["b2", "a2", "b1", "a1"]
    state.fold(described(("a2", {"author_id": "c"}), ("b1", {"deleted": True}), video("a9", "a", 101)))
    assert ids(state, channel) == ["b2", "a1"]  # moved away, taken down, not out yet


def test_one_busy_author_does_not_take_every_place(state: State) -> None:
    state.fold(described(*(video(f"a{k}", "a", 50 + k % 9) for k in range(10, 60))))
    act(state, Kind.FOLLOW, "a1", "b1")
    assert ids(state, opened(FollowedChannel, state, depth=2))[-1] == "b1"
    assert "b1" in ids(state, opened(FollowedChannel, state, mix="share"), 2)


def test_topics_weigh_what_their_items_weigh(state: State) -> None:
    """A liked item counts 2 and a clicked one 1; x has 2 + 1, z has 1: in share, x has the first places."""
    act(state, Kind.LIKE, "a1")
    act(state, Kind.CLICK, "b1", "c1")
    state.fold(described(video("x1", "", 0, "x"), video("z1", "", 0, "z")))
    channel = opened(TopicChannel, state, [(1, 4), (2, 4), (3, 1)], half_life_days=0)
    # x: a1 (1/2), b1, x1 at 3, 3/2, 1; z: c1, z1 at 1, 1/2
    assert ids(state, channel) == ["a1", "b1", "c1", "x1", "z1"]
    assert ids(state, opened(TopicChannel, state, max_keys=1)) == ["a1", "b1", "x1"]
    assert ids(state, opened(TopicChannel, state, order="newest", mix="score")) == ["b1", "a1", "c1", "x1", "z1"]


def test_an_item_of_two_topics_shares_its_weight_out() -> None:
    state = State()
    state.fold(described(video("both", "", 0, "x", "y"), video("y1", "", 0, "y"), video("z1", "", 0, "z")))
    act(state, Kind.CLICK, "both", "z1")
    answer = opened(TopicChannel, state).fetch(FeedRequest(request_id="", user_id="u"), state.view("u", NOW), 9)
    assert state.items.ids(answer.item) == ["z1", "both", "y1"]
    assert answer.found[:, 0].tolist() == [1, 0.5, 0.25]


def test_authors_of_what_was_liked(state: State) -> None:
    act(state, Kind.CLICK, "c1")
    act(state, Kind.LIKE, "a1")
    channel = opened(AuthorChannel, state, [(1, 2)])
    assert ids(state, channel) == ["a2", "a1"]
    state.fold(described(video("a3", "a", 2)))
    assert ids(state, channel) == ["a2", "a1", "a3"]


def test_mistakes_are_named() -> None:
    for kind in (TopicConfig, FollowedConfig):
        with pytest.raises(ConfigError) as e:
            convert({"lanes": {"searched": 1.0}}, kind, "retrieval.channels.x")
        assert "queries" in str(e.value)
        for raw in ({"lanes": {}}, {"max_keys": 0}, {"last_n": 0}, {"depth": 0}, {"order": "best"}, {"mix": "all"}):
            with pytest.raises(ConfigError):
                convert(raw, kind, "retrieval.channels.x")
