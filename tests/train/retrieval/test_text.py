"""Text models from end to end: searches of a small world, trained, stored, and served without torch."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from contracts.channel import REQUEST
from feedmill.core.batches import Part
from feedmill.core.clock import rng
from feedmill.core.errors import ArtifactError, ConfigError, DataError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.workspace import Workspace
from feedmill.features.served.text_graph import TextGraph
from feedmill.features.side import SideFields
from feedmill.log.memory import MemoryLog
from feedmill.models.text import ENCODERS
from feedmill.retrieval.text import TextChannel, TextChannelConfig
from feedmill.state import State
from feedmill.train import fit
from feedmill.train.retrieval.text import TextFit, TextPlan, Texts, fit_text
from worlds import START_MS, click

pytestmark = pytest.mark.slow

# What a topic's films are called, and what people type who look for them: no word in common.
WORLD = {
    "war": (["soldier", "battle", "tank", "front"], ["ammunition", "trenches", "general"]),
    "love": (["kiss", "wedding", "heart", "letter"], ["romantic", "couple", "valentine"]),
    "space": (["rocket", "planet", "orbit", "alien"], ["astronaut", "galaxy", "telescope"]),
    "吃": (["面条", "厨师", "火锅", "餐厅"], ["美食", "好吃", "做饭"]),
}
N_ITEMS, N_SEARCHES = 80, 600
SMALL = {"embedding_dim": 32, "output_dim": 32, "batch_size": 64, "n_negatives": 16, "learning_rate": 0.01}


def topic_of(item: int) -> str:
    return list(WORLD)[item % len(WORLD)]


def world(seed: int = 0) -> EventBatch:
    """Items i0… with two words of their topic and a number; users search with one or two words and click an item."""
    draw = rng(seed, "searches")
    titles = [" ".join([*draw.choice(WORLD[topic_of(i)][0], 2, replace=False), str(i)]) for i in range(N_ITEMS)]
    items = {
        "time_ms": START_MS, "kind": int(Kind.ITEM), "item_id": [f"i{i}" for i in range(N_ITEMS)],
        "payload": [json.dumps({"title": t, "brand": f"b{i % 3}"}) for i, t in enumerate(titles)],
    }  # fmt: skip
    rows: list[dict[str, Any]] = []
    for k in range(N_SEARCHES):
        at, user, item = START_MS + 60_000 * (k + 1), f"u{k % 40}", int(draw.integers(N_ITEMS))
        words = " ".join(draw.choice(WORLD[topic_of(item)][1], 1 + k % 2, replace=False))
        rows.append({"time_ms": at, "kind": Kind.SEARCH, "user_id": user, "payload": words})
        rows.append(click(at + 5_000, user, f"i{item}"))
    return EventBatch.concat([EventBatch.of(items), EventBatch.rows(rows)])


def folded(events: EventBatch) -> State:
    state = State()
    state.fold(events)
    return state


def plan(kind: str, **more: Any) -> TextPlan:
    return TextPlan.of("text", {"kind": kind, **SMALL, **more})


def served(part: Part, state: State) -> TextChannel:
    return TextChannel("text", TextChannelConfig(), part, state)


def found(channel: TextChannel, state: State, query: str, n: int = 10) -> list[int]:
    request = msgspec.structs.replace(REQUEST, context={"query": query})
    rows = channel.fetch(request, state.view("", START_MS), n).item
    return [int(item.removeprefix("i")) for item in state.items.ids(rows)]


@cache
def searched(kind: str) -> tuple[Part, State]:
    """A model of the world's searches, and the state that it was trained from."""
    events = world()
    state = folded(events)
    return fit_text(plan(kind, epochs=8), events, state, seed=1), state


@pytest.mark.parametrize("kind", list(ENCODERS))
def test_search_finds_what_people_meant(kind: str) -> None:
    part, state = searched(kind)
    assert part.kind == "text"
    assert part.config["n_searched"] > 500
    channel = served(part, state)
    for topic, (titles, queries) in WORLD.items():
        for query, least in ((" ".join(queries[:2]), 0.9), (queries[2], 0.8), (titles[0], 0.7)):
            share = np.mean([topic_of(item) == topic for item in found(channel, state, query)])
            assert share >= least, (kind, query, share)
    assert found(channel, state, "astronaut!! GALAXY") == found(channel, state, "astronaut galaxy")
    assert found(channel, state, "") == []
    assert found(channel, state, "кино") == []
    mixed = [topic_of(item) for item in found(channel, state, "厨师 general", 20)]
    assert set(mixed) <= set(WORLD)


def test_without_a_search_items_are_found_by_their_own_words() -> None:
    events = world()[:N_ITEMS]
    state = folded(events)
    channel = served(fit_text(plan("bag", epochs=20, own_words=4), events, state, seed=1), state)
    for word in ("rocket", "火锅"):
        titles = [state.catalogue.title(state.items.row(f"i{i}")) for i in found(channel, state, word, 3)]
        assert all(word in title for title in titles), titles


def test_an_item_without_words_is_not_found_and_one_like_others_is() -> None:
    events = world()
    more = {"time_ms": START_MS, "kind": int(Kind.ITEM), "item_id": ["i80", "i81"], "user_id": ""}
    events = EventBatch.concat(
        [EventBatch.of({**more, "payload": ['{"brand": "b1"}', '{"title": "alien rocket"}']}), events]
    )
    state = folded(events)
    part = fit_text(plan("bag", epochs=4), events, state, seed=1)
    assert not part.arrays["item_vectors"][state.items.row("i80")].any()
    assert 81 in found(served(part, state), state, "alien rocket", 5)


def test_the_same_seed_gives_the_same_part() -> None:
    part, state = searched("cnn")
    again = fit_text(plan("cnn", epochs=8), world(), state, seed=1)
    for name, array in part.arrays.items():
        np.testing.assert_array_equal(array, again.arrays[name], err_msg=name)
    assert part.config == again.config


@pytest.mark.parametrize("kind", list(ENCODERS))
def test_what_is_served_equals_what_was_trained(kind: str) -> None:
    """ONNX on pooled rows, one text at a time and many, against torch: the LSTM is ONNX's own with peepholes."""
    texts = ["rocket planet", "a", "火锅 letter kiss of an alien", "orbit"]
    learn = Texts(texts, ["", *texts], np.arange(4), np.arange(1, 5))
    fit = TextFit(plan(kind, epochs=2, min_count=1), learn, seed=0)
    fit.train()
    if kind == "lstm":
        torch.nn.init.normal_(fit.model.query_encoder.lstm.peephole)  # type: ignore[union-attr,operator]
    graph = TextGraph(fit.part({}))
    wanted = fit.query_vectors(texts)
    np.testing.assert_allclose(graph.encode(texts), wanted, atol=1e-5)
    for text, vector in zip(texts, wanted, strict=True):
        np.testing.assert_allclose(graph.encode([text])[0], vector, atol=1e-5)
    assert not graph.encode(["", "кино"]).any()
    assert graph.encode(["rocket", ""]).any(axis=1).tolist() == [True, False]
    assert graph.encode([]).shape == (0, SMALL["output_dim"])


def test_training_stops_when_it_no_longer_helps_and_keeps_the_best() -> None:
    texts = ["rocket planet", "wedding kiss", "火锅"]
    fit = TextFit(plan("bag", epochs=9, min_count=1), Texts(texts, ["", *texts], np.arange(3), np.arange(1, 4)), 0)
    scores, seen = iter([0.5, 0.7, 0.6, 0.9]), []

    def score() -> float:
        seen.append(fit.query_vectors(texts))
        return next(scores)

    fit.train(score)
    assert len(fit.losses) == 3
    np.testing.assert_array_equal(fit.query_vectors(texts), seen[1])


def test_known_pairs_are_no_negatives() -> None:
    """One query, two items that answer it, nothing else: there is nothing to tell apart."""
    learn = Texts(["q"], ["", "one", "two"], np.array([0, 0]), np.array([1, 2]))
    fit = TextFit(plan("bag", min_count=1), learn, 0)
    assert fit.loss(np.arange(2)).item() == 0
    apart = TextFit(plan("bag", min_count=1), Texts(["q", "r"], learn.items, np.arange(2), learn.item), 0)
    assert apart.loss(np.arange(2)).item() > 0
    group = np.zeros(2, np.int64)
    same = TextFit(plan("bag", min_count=1, n_negatives=0), Texts(["q", "r"], learn.items, group, learn.item, group), 0)
    assert same.loss(np.arange(2)).item() == 0


def test_misfits_push_apart() -> None:
    """What is known not to belong together ends up further apart than what nothing is said of."""
    texts = ["rocket planet", "wedding kiss", "rocket tank"]
    unlike = np.array([[0] * 4, [3] * 4])
    cosines = []
    for misfits in (None, unlike):
        learn = Texts(texts, ["", *texts], np.array([0, 1]), np.array([1, 2]), unlike=misfits)
        fit = TextFit(plan("bag", epochs=30, min_count=1, n_negatives=0), learn, 0)
        fit.train()
        a, b = fit.query_vectors([texts[0], texts[2]])
        cosines.append(float(a @ b))
    assert cosines[1] < cosines[0]


def test_other_features_of_items_tell_them_apart() -> None:
    """Two items of one title, and two brands that people look for by other words; queries need no row of them."""
    brand = SideFields.of([np.array([[0], [1], [2]], np.int32)])
    learn = Texts(["cheap", "fancy"], ["", "shoe", "shoe"], np.arange(2), np.arange(1, 3), fields=brand)
    cosines = []
    for fields in (brand, None):
        fit = TextFit(plan("bag", min_count=1, epochs=20), replace(learn, fields=fields), 0)
        fit.train()
        cosines.append(fit.query_vectors(["cheap", "fancy"]) @ fit.item_vectors(np.array([1, 2])).T)
        part = fit.part({})
        assert len(part.arrays["embedding"]) == len(part.arrays["buckets"]) + 1
    told, alike = cosines
    assert told[0, 0] > told[0, 1] + 0.1
    assert told[1, 1] > told[1, 0] + 0.1
    np.testing.assert_array_equal(alike[:, 0], alike[:, 1])


def test_nothing_to_learn_from() -> None:
    events = EventBatch.of({"kind": int(Kind.ITEM), "item_id": ["i1"], "payload": "{}"})
    with pytest.raises(DataError, match="no item has a title"):
        fit_text(plan("bag"), events, folded(events), 0)


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ({"kind": "bagg"}, "did you mean"),
        ({"kind": "cnn", "windw": 3}, 'unknown key "train.text.windw"'),
        ({"epochs": 0}, "epochs"),
        ({"n_buckets": 0}, "n_buckets"),
        ({"window_s": -1.0}, "window_s"),
    ],
)
def test_a_wrong_parameter_is_refused(block: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        TextPlan.of("text", block)


def test_a_damaged_part_is_refused() -> None:
    fit = TextFit(plan("bag", min_count=1), Texts(["a b"], ["", "a b"], np.zeros(1, int), np.ones(1, int)), 0)
    part = fit.part({})
    short = {**part.arrays, "embedding": part.arrays["embedding"][:-1]}
    with pytest.raises(ArtifactError, match="a table of"):
        TextGraph(Part("text", part.config, short, part.blobs))
    with pytest.raises(ArtifactError, match="no text model"):
        TextGraph(Part("text", {}, part.arrays, part.blobs))


def test_the_offline_pass_trains_it_with_the_rest() -> None:
    raw = {
        "retrieval": {"channels": {"popular": {}, "words": {"kind": "text"}}},
        "train": {"n_threads": 1, "words": {"kind": "lstm", "epochs": 1, **SMALL}},
        "rank": {"kind": "none"},
    }
    log = MemoryLog()
    log.append(world())
    fitted = fit(Workspace(Path(), raw), log)
    assert fitted.parts["words"].config["model"] == "lstm"
    state = folded(fitted.replay.events)
    assert len(found(served(fitted.parts["words"], state), state, "rocket")) == 10
