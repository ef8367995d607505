"""The compiled joiner against one in plain Python, and its identities, on logs in which all goes wrong."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedmill.core.errors import ArtifactError, ConfigError
from feedmill.core.events import EventBatch, Kind
from feedmill.samples.joiner import JoinConfig, Joined, Joiner
from samples.joiner.plain import BASE_MS, PlainJoiner, event, logs, told

CONFIGS = st.fixed_dictionaries(
    {
        "skew_s": st.sampled_from([0.0, 5.0]),
        "early_s": st.sampled_from([0.0, 8.0, 100.0]),
        "witnesses": st.sampled_from([1, 2, 3]),
        "max_waiting": st.sampled_from([1000, 1000, 5]),
    }
).map(told)


def join(config: JoinConfig, events: EventBatch, cuts: tuple[int, ...] = ()) -> tuple[list[Any], list[Any], Joiner]:
    joiner, found, aside = Joiner(config), [], []
    edges = [0, *sorted(cuts), len(events)]
    for start, stop in pairwise(edges):
        out = joiner.feed(events[start:stop], start)
        found += out.samples.to_pylist()
        aside += out.side.to_pylist()
    return found, aside, joiner


@settings(max_examples=150)
@given(CONFIGS, logs(), st.data())
def test_it_is_the_plain_one_however_the_log_is_cut(
    config: JoinConfig, events: EventBatch, data: st.DataObject
) -> None:
    plain = PlainJoiner(config)
    plain.feed(events)
    cuts = tuple(data.draw(st.lists(st.integers(0, len(events)), max_size=4)))
    found, aside, joiner = join(config, events, cuts)
    for row in found:
        assert (row.pop("version"), row.pop("snapshot")) == ("", -1)
    assert found == plain.samples
    assert aside == plain.side
    counts = joiner.counts
    assert {name: getattr(counts, name) for name in plain.n} == plain.n
    for kind in counts.kinds:
        mine = {name: getattr(kind, name) for name in plain.kinds[Kind.CLICK]}
        assert mine == plain.kinds[Kind[kind.kind.upper()]], kind.kind
    assert counts.waiting == len(plain.waiting) == joiner.waiting


@settings(max_examples=50)
@given(CONFIGS, logs(), st.integers(0, 120))
def test_what_goes_in_comes_out_or_waits(config: JoinConfig, events: EventBatch, cut: int) -> None:
    found, _, joiner = join(config, events, (min(cut, len(events)),))
    complete = [row["offset"] for row in found if row["is_complete"]]
    assert joiner.counts.uneven() == []
    assert len(complete) == len(set(complete)) == joiner.counts.complete
    assert joiner.counts.accepted == len(complete) + joiner.waiting
    by_window: dict[float, int] = {}
    for row in found:
        by_window[row["window_s"]] = by_window.get(row["window_s"], 0) + 1
    assert all(kind.closed == by_window.get(kind.window_s, 0) for kind in joiner.counts.kinds)
    for window_s in by_window:  # so that one offset says what is still to come
        offsets = [row["offset"] for row in found if row["window_s"] == window_s]
        assert offsets == sorted(offsets), "windows close in the order of the log"


@settings(max_examples=50)
@given(CONFIGS, logs(), st.integers(0, 120))
def test_a_restored_one_goes_on_as_if_nothing_had_been(config: JoinConfig, events: EventBatch, cut: int) -> None:
    cut = min(cut, len(events))
    whole = Joiner(config)
    whole.feed(events[:cut], 0)
    again = Joiner.restore(config, whole.state())
    ours, theirs = whole.feed(events[cut:], cut), again.feed(events[cut:], cut)
    assert theirs.samples.equals(ours.samples)
    assert theirs.side.equals(ours.side)
    assert again.counts == whole.counts
    assert again.clock_ms == whole.clock_ms


@settings(max_examples=50)
@given(CONFIGS, logs(), st.integers(0, 120))
def test_nothing_from_before_what_is_settled_comes_later(config: JoinConfig, events: EventBatch, cut: int) -> None:
    cut, joiner = min(cut, len(events)), Joiner(config)
    joiner.feed(events[:cut], 0)
    settled_ms = joiner.settled_ms
    rest = joiner.feed(events[cut:], cut).samples["time_ms"].to_pylist()
    assert settled_ms is None or all(time_ms >= settled_ms for time_ms in rest)


def feed(config: JoinConfig, rows: list[dict[str, Any]]) -> tuple[Joined, Joiner]:
    joiner = Joiner(config)
    return joiner.feed(EventBatch.rows(rows), 0), joiner


def labels(joined: Joined, kind: str, window_s: float) -> dict[str, int]:
    return {r["request_id"]: r[kind] for r in joined.samples.to_pylist() if r["window_s"] == window_s}


ONE = told({"witnesses": 1, "skew_s": 0.0})
CLICK, LIKE, SHOW, WATCH = Kind.CLICK, Kind.LIKE, Kind.IMPRESSION, Kind.WATCH


def test_a_sample_by_hand() -> None:
    payload = '{"version": "v7", "offset": 12, "experiments": {"a": "b"}}'
    rows = [
        event(SHOW, 0, "r", "x", position=3, payload=payload),
        event(CLICK, 9.9, "r", "x"),
        event(WATCH, 20, "r", "x", value=5.5),
        event(WATCH, 30, "r", "x", value=7.5),
        event(WATCH, 31, "r", "x", value=6.0),
        event(SHOW, 60, "later", "x"),
    ]
    joined, joiner = feed(ONE, rows)
    first, second, third = joined.samples.to_pylist()
    assert [row["window_s"] for row in (first, second, third)] == [10, 30, 60]
    assert (first["click"], first["like"], first["watch_s"]) == (1, None, None)
    assert (second["click"], second["like"], second["watch"]) == (1, 0, None)
    assert (third["click"], third["like"], third["watch"], third["watch_s"], third["share"]) == (1, 0, 1, 7.5, 0)
    assert (third["version"], third["snapshot"], third["position"], third["offset"]) == ("v7", 12, 3, 0)
    assert (third["closed_at"], third["closed_ms"], third["is_complete"]) == (5, BASE_MS + 60_000, True)
    watch = next(kind for kind in joiner.counts.kinds if kind.kind == "watch")
    assert (watch.joined, watch.grown, watch.duplicate) == (1, 1, 1)


@pytest.mark.parametrize(("after_s", "label"), [(10.0, 1), (10.001, 0)])
def test_a_window_ends_where_it_says(after_s: float, label: int) -> None:
    config = told({"witnesses": 1})  # windows are held open 5 s longer, and judged by the stamps all the same
    rows = [event(SHOW, 0, "r", "x"), event(CLICK, after_s, "r", "x"), event(SHOW, 100, "end", "x")]
    joined, _ = feed(config, rows)
    assert labels(joined, "click", 10)["r"] == label
    assert joined.late.num_rows == 1 - label


def test_feedback_before_its_impression_is_joined_when_it_comes() -> None:
    rows = [event(CLICK, 1, "r", "x"), event(LIKE, 2, "r", "x"), event(SHOW, 0, "r", "x"), event(SHOW, 100, "end", "x")]
    joined, joiner = feed(ONE, rows)
    assert labels(joined, "click", 10)["r"] == labels(joined, "like", 30)["r"] == 1
    assert joined.orphans.num_rows == 0
    assert joiner.counts.uneven() == []


def test_feedback_whose_impression_does_not_come_is_an_orphan() -> None:
    rows = [event(SHOW, 0, "a", "x"), event(CLICK, 1, "nowhere", "x"), event(SHOW, 8, "b", "x")]
    assert feed(ONE, rows)[0].orphans.num_rows == 0
    (orphan,) = feed(ONE, [*rows, event(SHOW, 8.001, "c", "x")])[0].orphans.to_pylist()
    assert (orphan["offset"], orphan["kind"], orphan["closed_at"]) == (1, "click", 3)


def test_a_clock_years_ahead_flushes_nothing() -> None:
    config = told({"witnesses": 2})
    feeds = [event(SHOW, s, f"r{s}", "x") for s in range(6)]
    wild = [event(SHOW, 1e7, "wild", "x"), *(event(CLICK, 1e7 + s, "r5", "x") for s in range(50))]
    joined, joiner = feed(config, [*feeds[:3], *wild, *feeds[3:]])
    assert joined.samples.num_rows == 0
    assert joiner.clock_ms == BASE_MS + 4000
    assert joiner.counts.repaired == 1  # the wild impression is taken as shown when it came
    later = EventBatch.rows([event(SHOW, s, f"r{s}", "x") for s in (500, 501, 502)])
    out = joiner.feed(later, joiner.offset)
    times = {r["request_id"]: r["time_ms"] for r in out.samples.to_pylist() if r["is_complete"]}
    assert times == {**{f"r{s}": BASE_MS + s * 1000 for s in range(6)}, "wild": BASE_MS + 3000}


def test_a_quiet_night_passes_once_feeds_agree_on_it() -> None:
    config = told({"witnesses": 3})
    evening = [event(SHOW, s, f"r{s}", "x") for s in range(4)]
    morning = [event(SHOW, 30_000 + s, f"m{s}", "x") for s in range(3)]
    click = event(CLICK, 30_003, "m0", "x")
    joined, joiner = feed(config, [*evening, morning[0], click, morning[1]])
    assert joined.samples.num_rows == 0
    out = joiner.feed(EventBatch.rows(morning[2:]), joiner.offset)
    assert {r["request_id"] for r in out.samples.to_pylist()} == {"r0", "r1", "r2", "r3"}
    assert joiner.clock_ms == BASE_MS + 30_000_000
    (m0,) = [k.open for k in joiner.counts.kinds if k.kind == "click"]
    assert m0 == 1


def test_a_replayed_day_changes_nothing() -> None:
    day = []
    for s in range(0, 600, 5):
        day += [event(SHOW, s, f"r{s}", "x"), event(CLICK, s + 2, f"r{s}", "x")]
    once, _ = feed(ONE, day)
    twice, joiner = feed(ONE, [*day, *day])
    assert twice.samples.slice(0, once.samples.num_rows).equals(once.samples)
    assert twice.samples.num_rows == once.samples.num_rows
    counts = joiner.counts
    assert counts.accepted == len(day) / 2
    assert counts.duplicate + counts.stale == len(day) / 2
    assert counts.duplicate == counts.waiting
    click = counts.kinds[0]
    assert click.joined == click.seen / 2
    assert counts.uneven() == []


def test_what_was_asked_for_bounds_the_memory() -> None:
    rows = [event(SHOW, 0.001 * i, f"r{i}", "x") for i in range(5000)]
    joined, joiner = feed(told({"max_waiting": 100, "witnesses": 1}), rows)
    assert joiner.waiting == 100
    assert joiner.counts.forced == 4900
    assert joined.samples.num_rows == 3 * 4900  # each of three groups, without a window having passed


def test_many_events_grow_the_tables_and_lose_nothing() -> None:
    n = 50_000
    rng = np.random.default_rng(3)
    columns = {
        "time_ms": BASE_MS + np.repeat(np.arange(n), 2),
        "kind": np.tile(np.array([0, 1], np.int8), n),
        "user_id": "u",
        "item_id": np.repeat(rng.integers(0, 10**9, n), 2).tolist(),
        "request_id": np.repeat(np.arange(n), 2).tolist(),
    }
    config, events = told({"witnesses": 1}), EventBatch.of(columns)
    half = Joiner(config)
    half.feed(events[:n], 0)
    assert half.waiting > 20_000
    again = Joiner.restore(config, half.state())
    rest = again.feed(events[n:], n)
    joiner = Joiner(config)
    joined = joiner.feed(events, 0)
    assert rest.samples.equals(joined.samples.slice(joined.samples.num_rows - rest.samples.num_rows))
    assert again.counts == joiner.counts
    assert joiner.counts.kinds[0].joined == n
    assert joiner.waiting + sum(r for r in joined.samples["is_complete"].to_pylist()) == n
    assert joiner.counts.uneven() == []


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"windows": {"clik": 5.0}}, 'did you mean "click"'),
        ({"windows": {"impression": 5.0}}, "impression"),
        ({"windows": {}}, "at least one"),
        ({"windows": {"click": 0.0}}, "above 0"),
        ({"windows": {"click": 1e9}}, "90 days"),
        ({"timezone": "Mars/Olympus"}, "time zone"),
    ],
)
def test_what_cannot_be_joined_by_is_refused(given: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        Joiner(JoinConfig(**given))


def test_other_windows_are_no_continuation() -> None:
    state = Joiner(told({})).state()
    with pytest.raises(ArtifactError, match="other skew_s"):
        Joiner.restore(told({"skew_s": 1.0}), state)
    with pytest.raises(ArtifactError, match="lacks"):
        Joiner.restore(told({}), msgspec.structs.replace(state, arrays={}))


def test_a_gap_is_refused() -> None:
    with pytest.raises(ValueError, match="stands at 0"):
        Joiner(told({})).feed(EventBatch.empty(), 5)
