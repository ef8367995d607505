from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from contracts.channel import REQUEST, viewer
from feedmill.core.batches import LANE_ROW, Floats, Part, UserColumns
from feedmill.core.errors import ArtifactError
from feedmill.core.events import EventBatch, Kind
from feedmill.retrieval.text import DAY_MS, TextChannel, TextChannelConfig
from feedmill.state import State

WORDS = {"war": [1, 0], "love": [0, 1], "peace": [0.6, 0.8], "": [1, 1]}
VECTORS = np.array([[9, 9], [1, 0], [0, 1], [0.6, 0.8], [0, 0]], np.float32)  # the last item has no text


def encode(texts: Sequence[str]) -> Floats:
    return np.array([WORDS.get(text, [0, 0]) for text in texts], np.float32)


def state_with(*payloads: str) -> State:
    state = State()
    ids = [f"i{row}" for row in range(1, len(payloads) + 1)]
    state.fold(EventBatch.of({"kind": int(Kind.ITEM), "item_id": ids, "payload": list(payloads)}))
    state.fold(EventBatch.of({"kind": int(Kind.SEARCH), "user_id": ["u", "u"], "payload": ["war", "love"]}))
    return state


def channel(state: State | None = None, **config: float) -> TextChannel:
    part = Part("text", {}, {"item_vectors": VECTORS})
    state = state or state_with("{}", "{}", "{}", "{}")
    return TextChannel("text", msgspec.convert(config, TextChannelConfig), part, state, texts=encode)


def found(of: TextChannel, query: str = "", user: UserColumns | None = None, limit: int = 9) -> list[int]:
    request = msgspec.structs.replace(REQUEST, context={"query": query} if query else {})
    rows: list[int] = of.fetch(request, user or viewer(), limit).item.tolist()
    return rows


def test_what_means_the_same_is_nearest() -> None:
    assert found(channel(), "war") == [1, 3, 2]
    assert found(channel(), " peace ", limit=2) == [3, 2]
    batch = channel().fetch(msgspec.structs.replace(REQUEST, context={"query": "war"}), viewer(), 9)
    assert batch.found[:, 0].tolist() == pytest.approx([1, 0.6, 0])


def test_words_of_which_nothing_is_known_find_nothing() -> None:
    assert found(channel(), "qwertz") == []
    assert found(channel(), "   ") == []
    assert found(channel()) == []


def test_without_a_query_it_is_the_user_s_last_search() -> None:
    searched = viewer(1, searched=[2, 1])
    assert found(channel(), user=searched) == [2, 3, 1]
    assert found(channel(), "war", searched) == [1, 3, 2]
    assert found(channel(), user=viewer(1, searched=[77])) == []  # newer than what the state knows


def test_a_search_grows_old() -> None:
    user = viewer(1, searched=[2])
    history_ms = user.history_ms.copy()
    history_ms[0, LANE_ROW["searched"], 0] = REQUEST.time_ms - 2 * DAY_MS
    old = replace(user, history_ms=history_ms)
    assert found(channel(), user=old) == [2, 3, 1]
    assert found(channel(last_search_days=1), user=old) == []
    assert found(channel(last_search_days=0), user=user) == []


def test_unavailable_items_take_no_places() -> None:
    state = state_with("{}", "{}", '{"available": false}', "{}")
    assert found(channel(state), "war", limit=2) == [1, 2]


def test_a_part_without_a_model_is_refused() -> None:
    with pytest.raises(ArtifactError, match="no text model") as caught:
        TextChannel("text", TextChannelConfig(), Part("text", {}, {"item_vectors": VECTORS}), State())
    assert "feedmill train" in caught.value.fix
