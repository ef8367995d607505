from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.batches import LANE_ROW, LANES, QUERY_LANES, ProbeBatch
from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch, Kind
from feedmill.state import CROSS, Facts, Probed, State, StateConfig, match
from state.logs import DAY_MS, HOUR_MS, START_MS, batch, events_lists, in_pieces, random_log, random_probes
from state.reference import Reference, rows_of

EVERY = tuple(f"{kind.name.lower()}.{w}" for kind in Kind if kind < 10 for w in ("1h", "1d", "7d", "30d", "all"))
COUNTS = ("impression.1h", "click.all", "click.1d", "watch.7d", "like.30d")
SMALL = StateConfig(history_len=3, counts=COUNTS, user_topics=1 << 12)


def same(a: Probed, b: Probed) -> None:
    """Bit for bit, users' attributes that one does not know yet being unknown."""
    pairs: list[tuple[Any, Any]] = [(a, b), (a.users, b.users)]
    if a.facts is not None and b.facts is not None:
        pairs.append((a.facts, b.facts))
    for x, y in pairs:
        for field in dataclasses.fields(x):
            left, right = getattr(x, field.name), getattr(y, field.name)
            if field.name in ("profile", "codes"):
                width = max(left.shape[1], right.shape[1])
                left, right = (np.pad(c, ((0, 0), (0, width - c.shape[1]))) for c in (left, right))
            if isinstance(left, np.ndarray):
                np.testing.assert_array_equal(left, right, err_msg=field.name, strict=True)


def same_state(a: State, b: State) -> None:
    left, right = a.tables.live(), b.tables.live()
    for name, array in left.items():
        np.testing.assert_array_equal(array, right[name], err_msg=name, strict=True)
    assert a.users.ids() == b.users.ids()
    assert a.items.ids() == b.items.ids()
    assert a.queries.ids() == b.queries.ids()
    assert (a.offset, a.newest_ms, a.catalogue.titles) == (b.offset, b.newest_ms, b.catalogue.titles)


def check(probed: Probed, state: State, reference: Reference, r: int) -> None:
    """Request r's answers against the definitions."""
    users, time_ms = probed.users, int(probed.users.time_ms[r])
    row = int(users.row[r])
    user = state.users.id(row) if 0 < row < len(state.users) else ""
    close: dict[str, Any] = {"rtol": 2e-6, "atol": 1e-6}
    np.testing.assert_allclose(users.counts[r], reference.counts("user", user, time_ms), **close)
    for lane in LANES:
        wanted = reference.history(user, lane)
        ids = state.queries if lane in QUERY_LANES else state.items
        np.testing.assert_array_equal(users.recent(lane, r), ids.rows([i for i, _ in wanted]))
        np.testing.assert_array_equal(users.history_ms[r, LANE_ROW[lane], : len(wanted)], [t for _, t in wanted])
    assert (users.first_ms[r], users.last_ms[r]) == reference.times(user)
    liked = users.liked_topics[r]
    assert state.catalogue.topic_ids.ids(liked[liked > 0]) == reference.liked_topics(user)
    assert probed.facts is not None
    for c in np.flatnonzero(probed.request_of == r):
        row = int(probed.item[c])
        item = state.items.id(row) if 0 < row < len(state.items) else ""
        np.testing.assert_allclose(probed.item_counts[c], reference.counts("item", item, time_ms), **close)
        author = reference.author(item) if item else ""
        np.testing.assert_allclose(probed.author_counts[c], reference.counts("author", author, time_ms), **close)
        np.testing.assert_allclose(probed.topic_counts[c], reference.topic_counts(item, time_ms), **close)
        np.testing.assert_allclose(probed.cross[c], reference.cross(user, item, time_ms), **close)
        if state.config.n_pairs:
            np.testing.assert_allclose(probed.pair_counts[c], reference.pair_counts(user, item, time_ms), **close)
        check_facts(probed.facts, state, reference, c, item)


def check_facts(facts: Facts, state: State, reference: Reference, c: int, item: str) -> None:
    """What the candidate was then, whatever it has become since."""
    assert state.catalogue.authors.id(int(facts.author[c])) == (reference.author(item) if item else "")
    topics = facts.topics[c]
    assert state.catalogue.topic_ids.ids(topics[topics > 0]) == (reference.topics(item) if item else [])
    about = reference.about.get(item, {}) if item else {}
    for name, code in zip(state.catalogue.item_attributes, facts.codes[c].tolist(), strict=False):
        assert state.catalogue.values(name)[code] == str(about.get(name, ""))


@given(events_lists, st.data())
def test_every_answer_is_what_the_definitions_say(drawn: list[dict[str, Any]], data: st.DataObject) -> None:
    events = batch(drawn)
    at = sorted(data.draw(st.lists(st.integers(0, len(events)), max_size=4)))
    ahead = data.draw(st.sampled_from([0, HOUR_MS, -HOUR_MS, 500 * DAY_MS]))
    state, reference = State(SMALL), Reference(SMALL)
    state.register(events)
    times = events.numpy("time_ms")
    probes = random_probes(state, at, [int(times[max(0, a - 1)]) + ahead if len(times) else ahead for a in at])
    probed = state.fold(events, probes)
    assert probed is not None
    folded, rows = 0, rows_of(events)
    for r, upto in enumerate(at):
        reference.fold(rows[folded:upto])
        folded = upto
        check(probed, state, reference, r)
    reference.fold(rows[folded:])
    known = state.catalogue
    assert known.authors.ids(known.last_author) == [reference.last(item) for item in state.items.ids()]
    for user in set(state.users.ids()[1:]):
        wanted = np.sort(state.items.rows(sorted(reference.seen(user))))
        np.testing.assert_array_equal(state.seen(state.users.row(user)), wanted)


@given(events_lists, st.lists(st.integers(0, 40), max_size=4), st.data())
def test_however_a_log_is_cut_state_and_answers_are_the_same_bits(
    drawn: list[dict[str, Any]], cuts: list[int], data: st.DataObject
) -> None:
    events = batch(drawn)
    at = sorted(data.draw(st.lists(st.integers(0, len(events)), max_size=4)))
    whole, pieces = State(SMALL), State(SMALL)
    whole.register(events)
    pieces.register(events)
    probes = random_probes(whole, at, [START_MS] * len(at))
    answer = whole.fold(events, probes)
    assert answer is not None
    same(answer, in_pieces(pieces, events, probes, cuts))
    same_state(whole, pieces)


def test_a_long_log_in_one_call_in_batches_and_event_by_event() -> None:
    """The same bits through ring and block overflow, growth of every array, epochs and late events."""
    n, config = 20_000, StateConfig(history_len=70, counts=EVERY)
    events = random_log(n, n_users=40, n_items=500)
    states = [State(config) for _ in range(3)]
    for state in states:
        state.register(events)
    at = list(range(0, n + 1, 97))
    probes = random_probes(states[0], at, [START_MS + 365 * DAY_MS] * len(at))
    cuts: list[list[int]] = [[], list(range(1, n, 613)), list(range(1, 3000))]
    answers = [in_pieces(state, events, probes, c) for state, c in zip(states, cuts, strict=True)]
    for state, answer in zip(states[1:], answers[1:], strict=True):
        same(answers[0], answer)
        same_state(states[0], state)
    reference, rows, folded = Reference(config), rows_of(events), 0
    for r in (0, 60, 200):
        reference.fold(rows[folded : at[r]])
        folded = at[r]
        check(answers[0], states[0], reference, r)


def test_300_000_events_take_the_same_path_at_once_and_in_small_batches() -> None:
    events = random_log(300_000, n_users=2_000, n_items=1_000, seed=1)
    whole, pieces = State(), State()
    whole.fold(events)
    for start in range(0, len(events), 7_001):
        pieces.fold(events[start : start + 7_001])
    same_state(whole, pieces)
    assert whole.offset == 300_000


def test_serving_answers_as_the_fold_does() -> None:
    events = random_log(5_000, n_users=20, n_items=100, seed=2)
    state = State()
    state.fold(events)
    items = np.arange(-1, 110, dtype=np.int32)
    for user in ("u3", "u7", "nobody"):
        probes = ProbeBatch(
            user=np.array([state.users.row(user)], np.int32),
            time_ms=np.array([state.newest_ms + HOUR_MS]),
            at=np.array([0]),
            item=items,
            request_of=np.zeros(len(items), np.int32),
        )
        batched = state.fold(EventBatch.empty(), probes)
        assert batched is not None
        view = state.view(user, state.newest_ms + HOUR_MS)
        same(state.probe(view, items), batched)


def test_probing_changes_nothing() -> None:
    events = random_log(3_000, n_users=10, n_items=50)
    quiet, asked = State(SMALL), State(SMALL)
    quiet.fold(events)
    quiet_probes = random_probes(quiet, list(range(0, 3_001, 3)), [START_MS + 800 * DAY_MS] * 1001)
    asked.fold(events, quiet_probes)
    for user in ("u1", "u2", "stranger"):
        asked.probe(asked.view(user, 2**45), np.arange(60, dtype=np.int32))
    same_state(quiet, asked)


def test_a_view_stays_as_it_was_taken() -> None:
    state = State()
    state.fold(EventBatch.rows([{"kind": Kind.CLICK, "user_id": "u", "item_id": "a", "time_ms": START_MS}]))
    view = state.view("u", START_MS)
    state.fold(EventBatch.rows([{"kind": Kind.CLICK, "user_id": "u", "item_id": "b", "time_ms": START_MS + 5_000}]))
    assert view.recent("clicked").tolist() == [1]
    last_seen = state.probe(view, np.array([1, 2], np.int32)).cross[:, CROSS.index("item_last_s")]
    np.testing.assert_array_equal(last_seen, [0.0, np.nan])


def test_counters_decay_with_their_time_constant() -> None:
    """A click one time constant ago counts 1/e, now 1, and for ever in "all"; a late one what it would have had."""
    state = State(StateConfig(counts=("click.1d", "click.all")))
    clicks = [{"kind": Kind.CLICK, "user_id": "u", "item_id": "a", "time_ms": START_MS + t} for t in (0, DAY_MS)]
    state.fold(EventBatch.rows(clicks))
    assert state.view("u", START_MS + DAY_MS).counts[0] == pytest.approx([1 + np.exp(-1), 2])
    assert state.view("u", START_MS + 3 * DAY_MS).counts[0] == pytest.approx([np.exp(-2) + np.exp(-3), 2])
    state.fold(EventBatch.rows([{**clicks[0], "time_ms": START_MS - DAY_MS}]))
    assert state.view("u", START_MS + DAY_MS).counts[0] == pytest.approx([1 + np.exp(-1) + np.exp(-2), 3])


def test_counters_hold_over_decades_and_before_1970() -> None:
    """Epochs come and go: thirty years of a daily click are the geometric series 1 / (1 - 1/e)."""
    state = State(StateConfig(counts=("click.1d", "click.all")))
    days = np.arange(-5_000, 6_000, dtype=np.int64)
    state.fold(EventBatch.of({"kind": int(Kind.CLICK), "user_id": "u", "item_id": "a", "time_ms": days * DAY_MS}))
    assert state.view("u", int(days[-1]) * DAY_MS).counts[0] == pytest.approx([1 / (1 - np.exp(-1)), 11_000])


def test_counts_stay_exact_where_float32_would_stop() -> None:
    """17 million seconds watched, then one more: a float32 sum would not move."""
    state = State(StateConfig(counts=("watch.all",)))
    watch = {"kind": int(Kind.WATCH), "user_id": "u", "item_id": "a", "time_ms": START_MS}
    state.fold(EventBatch.of({**watch, "value": np.full(17_000, 1_000, np.float32)}))
    state.fold(EventBatch.of({**watch, "value": np.ones(8, np.float32)}))
    assert state.tables.arrays.user_sums[1, 0] == 17_000_008


@pytest.mark.parametrize("value", [np.nan, np.inf, -5.0])
def test_watch_seconds_that_are_none_count_nothing(value: float) -> None:
    state = State(StateConfig(counts=("watch.all",)))
    state.fold(EventBatch.of({"kind": [7, 7], "user_id": "u", "item_id": "a", "value": [value, 2.5]}))
    assert state.view("u", 0).counts.tolist() == [[2.5]]


def test_click_then_watch_is_one_visit_and_late_reports_do_not_turn_back_its_time() -> None:
    kinds = [Kind.CLICK, Kind.WATCH, Kind.FINISH, Kind.CLICK, Kind.CLICK]
    state = State()
    state.fold(
        EventBatch.of({"kind": kinds, "user_id": "u", "item_id": list("aaaba"), "time_ms": [10, 30, 20, 40, 50]})
    )
    view = state.view("u", 60)
    assert [state.items.id(row) for row in view.recent("clicked")] == ["a", "b", "a"]
    assert view.history_ms[0, LANE_ROW["clicked"], :4].tolist() == [50, 40, 30, 0]


def test_lanes_that_are_not_wanted_come_back_empty_and_change_no_answer() -> None:
    events = random_log(2_000, n_users=5, n_items=30)
    states = State(SMALL), State(SMALL)
    for state in states:
        state.register(events)
    probes = random_probes(states[0], [2_000] * 5, [START_MS] * 5)
    full, part = states[0].fold(events, probes), states[1].fold(events, probes, lanes=["liked"])
    assert full is not None
    assert part is not None
    np.testing.assert_array_equal(full.cross, part.cross)
    for lane, row in LANE_ROW.items():
        wanted = full.users.history[:, row] if lane == "liked" else np.zeros((5, 3))
        np.testing.assert_array_equal(part.users.history[:, row], wanted)


def test_the_kernel_numbers_the_lanes_as_core_does() -> None:
    lanes = {"clicked": match.CLICKED, "liked": match.LIKED, "shown": match.SHOWN, "disliked": match.DISLIKED}
    assert lanes.items() <= LANE_ROW.items()


def test_a_follow_is_a_like_too_and_a_search_is_of_its_text() -> None:
    """Searches are told apart by their trimmed text; they are no item, count nothing and are not seen."""
    state = State()
    follow = {"kind": Kind.FOLLOW, "user_id": "u", "item_id": "a", "time_ms": 10}
    texts = ["cats", " cats ", "\n", "dogs", "cats", "x" * 400]
    searches = [{"kind": Kind.SEARCH, "user_id": "u", "payload": t, "time_ms": 20 + i} for i, t in enumerate(texts)]
    state.fold(EventBatch.rows([follow, *searches]))
    view = state.view("u", 99)
    assert view.recent("liked").tolist() == view.recent("followed").tolist() == [1]
    assert state.queries.ids(view.recent("searched")) == ["x" * 256, "cats", "dogs", "cats"]
    assert view.history_ms[0, LANE_ROW["searched"], :4].tolist() == [25, 24, 23, 21]
    assert state.items.ids() == ["", "a"]
    assert state.seen(1).tolist() == [1]
    assert state.totals("impression.all", np.array([1], np.int32)).tolist() == [0.0]
    assert np.isfinite(state.probe(view, np.array([1], np.int32)).item_counts).all()


def test_queries_beyond_the_most_enter_no_history_however_the_log_is_cut() -> None:
    events = EventBatch.of({"kind": int(Kind.SEARCH), "user_id": "u", "payload": ["a", "b", "c", "b", "a"]})
    whole, pieces = State(StateConfig(max_queries=2)), State(StateConfig(max_queries=2))
    whole.fold(events)
    for i in range(5):
        pieces.fold(events[i : i + 1])
    same_state(whole, pieces)
    assert whole.queries.ids(whole.view("u", 0).recent("searched")) == ["a", "b", "a"]


def test_a_batch_of_many_searches_reads_no_item_that_is_not_there() -> None:
    """The rows of queries run past those of items: nothing may be looked up by them."""
    n = 5_000
    state = State()
    columns = {"kind": int(Kind.SEARCH), "payload": [f"q{k}" for k in range(n)], "user_id": [f"u{k}" for k in range(n)]}
    state.fold(EventBatch.of(columns))
    assert len(state.queries) == n + 1
    view = state.view("u4999", 0)
    assert state.queries.ids(view.recent("searched")) == ["q4999"]
    assert len(state.probe(view, np.zeros(0, np.int32))) == 0


@pytest.mark.parametrize(
    ("at", "request_of", "words"),
    [([1, 0], [0, 1], "at"), ([0, 9], [0, 1], "at"), ([0, 1], [1, 0], "request_of"), ([0, 1], [0, 2], "request_of")],
)
def test_probes_that_are_not_in_order_are_refused_before_anything_is_folded(
    at: list[int], request_of: list[int], words: str
) -> None:
    state = State()
    two, events = np.zeros(2, np.int32), random_log(5, 3, 3)
    probes = ProbeBatch(two, two.astype(np.int64), np.array(at), two, np.array(request_of, np.int32))
    with pytest.raises(DataError, match=words):
        state.fold(events, probes)
    assert state.offset == 0


def test_a_user_of_another_state_is_refused() -> None:
    state, other = State(), State()
    other.fold(random_log(500, 3, 50))
    with pytest.raises(DataError, match="histories"):
        state.probe(other.view("u1", 0), np.array([1], np.int32))
    with pytest.raises(DataError, match="no lanes"):
        state.fold(EventBatch.empty(), lanes=["watched"])


def test_nobody_and_nothing_stay_neutral() -> None:
    """Events without a user count for the item, those without an item for the user; row 0 never."""
    state = State(StateConfig(counts=("click.all",)))
    state.fold(EventBatch.of({"kind": int(Kind.CLICK), "user_id": ["", "u", ""], "item_id": ["a", "", ""]}))
    probed = state.probe(state.view("u", 0), np.array([0, 1], np.int32))
    assert probed.users.counts.tolist() == [[1.0]]
    assert probed.item_counts.tolist() == [[0.0], [1.0]]
    assert state.view("", 0).counts.tolist() == [[0.0]]
    assert state.seen(0).tolist() == state.seen(1).tolist() == state.seen(99).tolist() == []
