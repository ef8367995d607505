"""Training features are as of the impression: whatever comes after it changes not one of them, bit for bit."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedmill.core.batches import ITEM_LANES, LANES, ProbeBatch
from feedmill.core.clock import rng
from feedmill.core.events import EventBatch, Kind
from feedmill.features import FeaturesConfig, FeatureSpec, assemble
from feedmill.features import fit as fit_features
from feedmill.features.sources import BLOCKS, raw_ids, raw_numeric
from feedmill.features.spec import as_dict, from_dict
from feedmill.state import CROSS, Probed, State, StateConfig
from state.logs import DAY_MS, START_MS

STATE = StateConfig(history_len=5, counts=("impression.*", "click.*", "like.*", "watch.*"), user_topics=64)
EVERYTHING = FeaturesConfig(
    histories={lane: [2, 5] for lane in ITEM_LANES},
    rates=("like.all/click.all", "click.1h/impression.1h", "click.7d/impression.7d", "watch.30d/click.30d"),
    min_count=1,
    numeric_attributes=("age",),
    numeric_item_attributes=("quality",),
    example_age=True,
    searches=2,
    geohash=(2, 4, 6),
    liked_topics=True,
    activity=True,
    attention=("clicked", "liked"),
    n_quantiles=8,
)
_text = st.sampled_from(["x", "y", "z"])
_place = {"latitude": st.sampled_from([52.5, 40.7, 31.2]), "longitude": st.sampled_from([13.4, -74.0, 121.5])}
_ITEM = {
    "author_id": _text, "topics": st.lists(_text, max_size=3), "duration_s": st.sampled_from([3.0, 9.0]),
    "publish_ms": st.sampled_from([START_MS, START_MS - DAY_MS]), "deleted": st.sampled_from([False, False, True]),
    "brand": _text, "language": _text, "quality": st.sampled_from([0.1, 0.5, 0.9]), **_place,
}  # fmt: skip
_USER = {"city": _text, "language": _text, "device": _text, "age": st.sampled_from([20, 60]), **_place}
_described = st.one_of(
    st.tuples(st.just(int(Kind.ITEM)), st.fixed_dictionaries({}, optional=_ITEM)),
    st.tuples(st.just(int(Kind.USER)), st.fixed_dictionaries({}, optional=_USER)),
)
_did = st.tuples(st.sampled_from([*range(11)]), st.sampled_from(["", "red shoes", "鞋"]))
_event = st.tuples(
    st.one_of(_did, _did, _did, _described), st.sampled_from("123"), st.sampled_from("abcd"), st.integers(0, DAY_MS)
)


def log(drawn: list[Any]) -> EventBatch:
    """One item and one user described in full, so that every attribute has a name, then the drawn events."""
    item = {"author_id": "x", "topics": ["x"], "duration_s": 5.0, "publish_ms": START_MS, "brand": "x",
            "language": "x", "quality": 0.3, "latitude": 1.0, "longitude": 1.0}  # fmt: skip
    user = {"city": "x", "language": "x", "device": "x", "age": 30, "latitude": 1.0, "longitude": 1.0}
    first = [((int(Kind.ITEM), item), "", "a", 0), ((int(Kind.USER), user), "1", "", 0)]
    rows, now = [], START_MS
    for (kind, payload), user_id, item_id, step in [*first, *drawn]:
        now += step
        text = payload if isinstance(payload, str) else json.dumps(payload)
        rows.append({"time_ms": now, "kind": kind, "user_id": user_id, "item_id": item_id, "payload": text})
    return EventBatch.rows(rows)


def probes(state: State, at: list[int], events: EventBatch) -> ProbeBatch:
    """At each place every user with every item."""
    items, users = np.arange(1, len(state.items), dtype=np.int32), np.arange(1, len(state.users), dtype=np.int32)
    times = events.numpy("time_ms")
    n = len(at) * len(users)
    return ProbeBatch(
        user=np.tile(users, len(at)),
        time_ms=np.repeat([int(times[min(a, len(times) - 1)]) for a in at], len(users)),
        at=np.repeat(at, len(users)),
        item=np.tile(items, n),
        request_of=np.repeat(np.arange(n, dtype=np.int32), len(items)),
    )


def asked(ids: EventBatch, folded: EventBatch, at: list[int], events: EventBatch) -> tuple[State, Probed]:
    state = State(STATE)
    state.register(ids)
    probed = state.fold(folded, probes(state, at, events))
    assert probed is not None
    return state, probed


def every_source(state: State, probed: Probed) -> FeatureSpec:
    """A spec of all there is to read, constants and empty tables included."""
    fields_, numerics = (
        fit_features.fields_of(EVERYTHING, state.catalogue),
        fit_features.numerics_of(EVERYTHING, probed),
    )
    return FeatureSpec(tuple(fields_), tuple(numerics), {}, 8, 20.0, "", START_MS + 400 * DAY_MS)


def same(spec: FeatureSpec, left: tuple[State, Probed], right: tuple[State, Probed], rows: Any = slice(None)) -> None:
    """Every id and number of the spec, before anything is dropped or normalised; ``rows``: of requests and items."""
    of_requests, of_items = rows if isinstance(rows, tuple) else (rows, rows)
    for field in spec.fields:
        chosen = of_requests if field.side == "user" else of_items
        np.testing.assert_array_equal(raw_ids(field, *left)[chosen], raw_ids(field, *right), err_msg=field.name)
    for n in spec.numerics:
        chosen = of_requests if n.side == "user" else of_items
        a, b = (raw_numeric(spec, n, *x, 0.25) for x in (left, right))
        np.testing.assert_array_equal(a[chosen].view(np.int32), b.view(np.int32), err_msg=n.source)


@settings(max_examples=40)
@given(st.lists(_event, min_size=1, max_size=30), st.data())
def test_no_feature_changes_when_everything_after_the_cut_is_shuffled_or_gone(drawn: list[Any], data: Any) -> None:
    events = log(drawn)
    cut = data.draw(st.integers(2, len(events)))
    at = sorted(data.draw(st.lists(st.integers(2, cut), min_size=1, max_size=3)))
    order = np.concatenate([np.arange(cut), cut + rng(len(events), "order").permutation(len(events) - cut)])
    truth = asked(events, events, at, events)
    spec, arrays = fit_features.fit(EVERYTHING, *truth)
    wanted = assemble(spec, arrays, *truth)
    for other in (events.take(order), events[:cut]):
        again = asked(events, other, at, events)
        same(every_source(*truth), truth, again)
        got = assemble(spec, arrays, *again)
        for field in fields(got):
            np.testing.assert_array_equal(getattr(wanted, field.name), getattr(got, field.name), err_msg=field.name)


@settings(max_examples=40)
@given(st.lists(_event, min_size=1, max_size=30), st.data())
def test_a_live_feed_at_that_moment_reads_what_training_reads(drawn: list[Any], data: Any) -> None:
    events = log(drawn)
    at = data.draw(st.integers(2, len(events)))
    truth = asked(events, events, [at], events)
    spec = every_source(*truth)
    live = State(STATE)
    live.register(events)
    live.fold(events[:at])
    probed, n_items = truth[1], len(live.items) - 1
    for r in range(len(probed.users)):
        user = live.view(live.users.id(int(probed.users.row[r])), int(probed.users.time_ms[r]))
        rows = slice(r * n_items, (r + 1) * n_items)
        same(spec, truth, (live, live.probe(user, probed.item[rows])), (slice(r, r + 1), rows))


def test_nothing_that_a_spec_can_read_is_left_out_here() -> None:
    state, probed = asked(log([]), log([]), [2], log([]))
    spec = every_source(state, probed)
    sources = {f.source.partition("/")[0] for f in spec.fields} | {n.source for n in spec.numerics}
    lanes = {f"user.{lane}" for lane in LANES}
    known = {"user.id", "user.hour", "user.weekday", "user.liked_topics", "user.geohash", "item.geohash", "item.id",
             "item.author", "item.topics", "user.city", "item.brand", "user.language", "item.language", "user.device",
             "since.first_s", "since.last_s", "attribute.age", "attribute.quality", "example.age_s"}  # fmt: skip
    assert lanes | known | {f"cross.{name}" for name in CROSS} <= sources
    assert {n.partition(".")[0] for n in sources} >= set(BLOCKS) | {"rate"}
    for entity in BLOCKS:
        assert {
            f"{entity}.{kind}.{w}"
            for kind in ("impression", "click", "like", "watch")
            for w in ("1h", "1d", "7d", "30d")
        } <= sources
    switches = {
        name
        for name in FeaturesConfig.__struct_fields__
        if getattr(EVERYTHING, name) == getattr(FeaturesConfig(), name)
    }
    neither = {"attributes", "context", "prior_count", "top_items", "separate_items", "only", "leave_out", "numbers"}
    assert switches == neither | {"latitude", "longitude"}


def test_a_later_change_of_an_item_does_not_reach_back() -> None:
    """The author, topics and brand of a training row are those of then; the next request sees the new ones."""
    new = {"author_id": "y", "topics": ["z"], "brand": "z", "quality": 0.9}
    events = log([((1, ""), "1", "a", 1), ((int(Kind.ITEM), new), "", "a", 1), ((1, ""), "1", "a", 1)])
    state, probed = asked(events, events, [2, 4], events)
    for name, then, now in (("item.author", ["x"], ["y"]), ("item.topics", ["x"], ["z"]), ("item.brand", ["x"], ["z"])):
        field = next(f for f in every_source(state, probed).fields if f.source == name)
        texts = {"item.author": state.catalogue.authors.ids(), "item.topics": state.catalogue.topic_ids.ids()}
        values = texts.get(name) or state.catalogue.values("brand")
        rows = raw_ids(field, state, probed)
        assert [[values[i] for i in row if i] for row in rows.tolist()] == [then, now]


@pytest.mark.parametrize("attention", [(), ("clicked",)])
def test_what_is_attended_travels_with_the_spec(attention: tuple[str, ...]) -> None:
    events = log([((1, ""), "1", "a", 1)] * 3)
    spec, _ = fit_features.fit(FeaturesConfig(min_count=1, attention=attention), *asked(events, events, [4], events))
    assert from_dict(json.loads(json.dumps(as_dict(spec)))) == spec
    assert spec.attention == tuple(f"{lane}_50" for lane in attention)
    assert spec.n_numbers("item", 8) == 3 * len(spec.numeric("item")) + 9 * len(attention)
