"""Forgetting somebody: what is left says nothing of them, and everybody else's numbers stay as they are."""

from __future__ import annotations

import json
import os
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.event_log_writer import start
from feedmill.core.errors import NotFoundError
from feedmill.core.events import FORGOTTEN, EventBatch, Kind
from feedmill.log.memory import MemoryLog
from feedmill.log.sqlite import SqliteLog
from feedmill.log.whole import read_all
from feedmill.state import State, StateConfig
from feedmill.state.forget import forget
from feedmill.state.retain import retain
from feedmill.state.state import BASE
from state.logs import START_MS, random_log

SMALL = StateConfig(history_len=5)


def event(user: str, kind: Kind, item: str = "", payload: Any = "", **more: Any) -> dict[str, Any]:
    text = payload if isinstance(payload, str) else json.dumps(payload)
    return {"user_id": user, "kind": int(kind), "item_id": item, "payload": text, **more}


STORY = [
    event("anna", Kind.USER, payload={"city": "Ulm", "age": 30}, event_id="anna-1"),
    event("anna", Kind.SEARCH, payload="red shoes"),
    event("ben", Kind.USER, payload={"city": "Rom"}),
    event("anna", Kind.IMPRESSION, "i1", {"version": "v", "offset": 2}, request_id="r1", position=0),
    event("anna", Kind.CLICK, "i1", request_id="r1", event_id="x7"),
    event("anna", Kind.SEARCH, payload="my ex in Ulm"),
    event("cleo", Kind.USER, payload={"city": "Ulm", "age": 31}),
    event("ben", Kind.SEARCH, payload=" red shoes "),
    event("anna", Kind.COMMENT, "i2", "it is me, anna", request_id="anna/9"),
    event("ben", Kind.LIKE, "i2", event_id="b1"),
]


def story(path: Path) -> SqliteLog:
    log = SqliteLog(path)
    log.append(EventBatch.rows(STORY[:4]))
    for e in STORY[4:]:
        log.append(EventBatch.rows([e]))
    return log


def state_of(log: Any) -> State:
    state = State(SMALL)
    state.catch_up(log)
    return state


def test_events_stay_in_number_and_order_and_say_nothing(tmp_path: Path) -> None:
    log = story(tmp_path / "log")
    done = forget(log, state_of(log), ["anna"], now_ms=5)
    rows = read_all(log).table.to_pylist()
    assert done[:2] == (1, 6)
    assert [r["kind"] for r in rows] == [e["kind"] for e in STORY]
    assert [r["item_id"] for r in rows] == [e["item_id"] for e in STORY]
    alias = rows[0]["user_id"]
    assert alias.startswith(FORGOTTEN)
    assert [r["user_id"] for r in rows[1:]] == ["", "ben", "", "", "", "cleo", "ben", "", "ben"]
    told = json.loads(rows[0]["payload"])
    assert told["city"] == "Ulm", "cleo has it too: it keeps its place"
    assert told["age"].startswith(FORGOTTEN), "nobody else is 30, but the code is taken"
    assert rows[1]["payload"] == "red shoes"
    assert rows[5]["payload"].startswith(FORGOTTEN)
    assert done.users == {"anna": (0, alias)}
    assert done.requests == {"anna/9": rows[8]["request_id"]}
    assert json.loads(rows[3]["payload"]) == {"version": "v", "offset": 2}
    assert (rows[3]["request_id"], rows[4]["request_id"]) == ("r1", "r1")
    assert rows[8]["payload"] == ""
    assert rows[8]["request_id"].startswith(FORGOTTEN)
    assert [r["event_id"] for r in rows] == [""] * 9 + ["b1"]
    assert len({rows[0]["user_id"], told["age"], rows[5]["payload"], rows[8]["request_id"]}) == 4, "not linked"
    log.close()


def test_no_byte_of_them_is_left_in_the_file(tmp_path: Path) -> None:
    log = story(tmp_path / "log")
    who = ["anna", "ben"] * 3000
    log.append(EventBatch.of({"kind": 1, "user_id": who, "event_id": [f"{w}:{k}" for k, w in enumerate(who)]}))
    forget(log, state_of(log), ["anna"], now_ms=5)
    log.shrink()
    assert log.epoch == 1
    assert json.dumps([e._asdict() for e in log.erasures()]).find("anna") < 0
    log.close()
    left = b"".join(p.read_bytes() for p in tmp_path.iterdir())
    assert b"ben" in left
    for word in (b"anna", b"my ex", b"it is me"):
        assert word not in left


@pytest.mark.parametrize("who", ["u3", "u29"])
def test_everybody_else_is_as_before_and_a_replay_says_the_same(who: str, tmp_path: Path) -> None:
    events = random_log(4_000, n_users=30, n_items=200, seed=3)
    log = SqliteLog(tmp_path / "log")
    for k in range(0, len(events), 700):
        log.append(events[k : k + 700])
    before, live = state_of(log), state_of(log)
    row = before.users.row(who)
    forget(log, live, [who], now_ms=5)
    assert live.users.row(who) == 0
    same_for_all_others(before, live, row)
    replayed = state_of(log)
    assert replayed.users.ids() == live.users.ids()
    assert replayed.queries.ids() == live.queries.ids()
    same_for_all_others(live, replayed, 0)
    for state in (live, replayed):
        seen = state.view(state.users.id(row), state.newest_ms)
        assert not seen.history.any()
        assert not seen.counts.any()
        assert not seen.profile.any()
        assert not len(state.seen(row))
    log.close()


def same_for_all_others(one: State, other: State, but: int) -> None:
    assert one.offset == other.offset
    assert one.newest_ms == other.newest_ms
    assert one.items.ids() == other.items.ids()
    assert one.catalogue.user_attributes == other.catalogue.user_attributes
    items = np.arange(len(one.items), dtype=np.int32)
    for row in (r for r in range(len(one.users)) if r != but):
        assert one.users.id(row) == other.users.id(row)
        mine, theirs = (s.probe(s.view(s.users.id(row), one.newest_ms), items) for s in (one, other))
        np.testing.assert_array_equal(mine.users.history, theirs.users.history)
        np.testing.assert_array_equal(mine.users.counts, theirs.users.counts)
        np.testing.assert_array_equal(mine.users.profile, theirs.users.profile)
        np.testing.assert_array_equal(one.seen(row), other.seen(row))
        np.testing.assert_array_equal(mine.cross, theirs.cross)
    np.testing.assert_array_equal(mine.item_counts, theirs.item_counts)
    np.testing.assert_array_equal(mine.author_counts, theirs.author_counts)
    for name in one.catalogue.user_attributes:
        assert len(one.catalogue.values(name, "user")) == len(other.catalogue.values(name, "user"))


_word = st.sampled_from(["x", "y", "z", None, 3, 3.0, [1]])
_who = st.sampled_from("abc")
_said = st.one_of(
    st.builds(
        lambda u, d: event(u, Kind.USER, payload=d),
        st.sampled_from("abc"),
        st.dictionaries(st.sampled_from("pq"), _word),
    ),
    st.builds(
        lambda u, q: event(u, Kind.SEARCH, payload=q), st.sampled_from("abc"), st.sampled_from(["s", " s", "t", ""])
    ),
    st.builds(lambda u, i: event(u, Kind.CLICK, i), st.sampled_from("abc"), st.sampled_from("ij")),
)


@settings(max_examples=40, deadline=None)
@given(said=st.lists(_said, min_size=1, max_size=14))
def test_words_keep_their_places_whoever_says_them_when(said: list[dict[str, Any]], tmp_path_factory: Any) -> None:
    log = SqliteLog(tmp_path_factory.mktemp("logs") / "log")
    log.append(EventBatch.rows(said))
    before, live = state_of(log), state_of(log)
    if before.users.row("a"):
        forget(log, live, ["a"], now_ms=5)
        after = state_of(log)
        for state in (live, after):
            assert state.users.row("b") == before.users.row("b")
            assert state.catalogue.user_attributes == before.catalogue.user_attributes
            for name in before.catalogue.user_attributes:
                old, new = (s.catalogue.values(name, "user") for s in (before, state))
                assert len(old) == len(new)
                assert all(n == o or n.startswith(FORGOTTEN) for o, n in zip(old, new, strict=True))
                for row in (before.users.row("b"), before.users.row("c")):
                    codes = [int(s.catalogue.user_codes(name)[row]) for s in (before, state) if row]
                    assert not codes or codes[0] == codes[1]
                    assert not codes or old[codes[0]] == new[codes[0]], "what others have said stays"
        assert live.queries.ids() == after.queries.ids()
        assert live.users.ids() == after.users.ids()
    log.close()


def test_who_comes_back_is_somebody_new(tmp_path: Path) -> None:
    log = story(tmp_path / "log")
    state, other = state_of(log), state_of(log)
    forget(log, state, ["anna"], now_ms=5)
    log.append(EventBatch.rows([event("anna", Kind.CLICK, "i2", event_id="x7")]))
    for each in (state, other):  # the other learns of both at once
        each.catch_up(log)
        assert each.users.row("anna") == len(each.users) - 1 == 4
    assert state.users.ids() == other.users.ids() == state_of(log).users.ids()
    assert len(other.seen(1)) == 0
    log.close()


def test_artifacts_of_before_are_still_of_this_log(tmp_path: Path) -> None:
    log = story(tmp_path / "log")
    state = state_of(log)
    two, three, foreign = state.users.digest(3), state.users.digest(4), "0" * 64
    forget(log, state, ["anna"], 5, [(3, two), (4, three), (4, foreign)])
    for each in (state, state_of(log)):
        assert each.users.agrees(3, two)
        assert each.users.agrees(4, three)
        assert not each.users.agrees(3, three)
        assert not each.users.agrees(4, foreign)
    forget(log, state, ["ben"], 6, [(3, two)])
    assert state_of(log).users.agrees(3, two)
    assert not state_of(log).users.agrees(4, three), "no artifact needs it any more: a hash over ids is given up"
    log.close()


def test_a_snapshot_of_before_is_scrubbed_when_it_is_loaded(tmp_path: Path) -> None:
    log = story(tmp_path / "log")
    log.append(EventBatch.rows([event("anna", Kind.CLICK, "i2")]))  # the event that the snapshot is known by
    state_of(log).save(tmp_path / "state")
    forget(log, state_of(log), ["anna"], now_ms=5)
    log.append(EventBatch.rows([event("ben", Kind.CLICK, "i2")]))
    back = State.restore(tmp_path / "state", log, SMALL)
    assert back.epoch == 1
    assert back.users.row("anna") == 0
    assert back.users.ids() == state_of(log).users.ids()
    again = State.restore(back.save(tmp_path / "state").parent, log, SMALL)
    assert (again.epoch, again.users.forgotten) == (1, [1])
    log.close()


def test_words_from_before_the_start_of_the_log(tmp_path: Path) -> None:
    log, folder = SqliteLog(tmp_path / "log"), tmp_path / "state"
    log.append(EventBatch.rows([{**e, "time_ms": START_MS + k} for k, e in enumerate(STORY)]))
    retain(log, folder, SMALL, START_MS + 8)
    state = State.restore(folder, log, SMALL)
    forget(log, state, ["anna"], now_ms=5)
    base = State.load(folder / BASE, SMALL)
    base.keep_up(log)
    assert state.catalogue.values("age", "user")[1].startswith(FORGOTTEN)
    assert state.catalogue.values("city", "user") == ["", "Ulm", "Rom"]
    assert state.queries.id(1) == "red shoes"
    assert base.users.ids() == state.users.ids()
    assert base.queries.ids() == state.queries.ids()
    log.close()


def test_nobody_of_that_name(tmp_path: Path) -> None:
    log = story(tmp_path / "log")
    with pytest.raises(NotFoundError, match="nobody of 1 ids"):
        forget(log, state_of(log), ["dora"], now_ms=5)
    assert log.epoch == 0
    log.close()
    assert MemoryLog().epoch == 0


def _append(path: Path, acks: Connection) -> None:
    log, k = SqliteLog(path), 0
    while True:
        user = ("anna", "ben")[k % 2]
        log.append(EventBatch.rows([event(user, Kind.CLICK, f"i{k % 7}", time_ms=k, event_id=f"{user}-{k}")]))
        acks.send(k)
        k += 1


@pytest.mark.slow
def test_while_another_process_appends(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log")
    writer, acks = start(_append, tmp_path / "log")
    state, follower = State(SMALL), State(SMALL)
    last = 0
    for _ in range(6):
        until = log.end + 10
        while last < until:
            last = acks.recv()
        follower.catch_up(log)
        forget(log, state, ["anna"], now_ms=5)
    done = log.end
    while last < done + 10:
        last = acks.recv()
    assert writer.pid is not None
    os.kill(writer.pid, 9)
    writer.join()
    state.catch_up(log)
    follower.catch_up(log)
    found = read_all(log)
    assert found.numpy("time_ms").tolist() == list(range(log.end)), "none lost, none doubled, none moved"
    assert log.end > last > done
    assert state.users.ids() == follower.users.ids() == state_of(log).users.ids()
    assert len(state.users.forgotten) == 6
    anna = [r for r in found.table.to_pylist() if r["user_id"] == "anna"]
    assert 0 < len(anna) <= log.end - 50, "only what came after the last time"
    log.close()


def _forget(path: Path, answer: Connection) -> None:
    log = SqliteLog(path)
    state = State(SMALL)
    answer.send("ready")
    forget(log, state, ["anna"], now_ms=5)
    answer.send("done")


@pytest.mark.slow
def test_killed_while_it_forgets_all_or_nothing(tmp_path: Path) -> None:
    log, n, outcomes = SqliteLog(tmp_path / "log"), 3_000, set()
    rows = [event(("anna", "ben")[k % 2], Kind.CLICK, f"i{k % 9}", time_ms=k, event_id=f"e{k}") for k in range(n)]
    for k in range(0, n, 100):
        log.append(EventBatch.rows(rows[k : k + 100]))
    for turn in range(6):
        process, answers = start(_forget, tmp_path / "log")
        answers.recv()
        answers.poll((0.0, 0.001, 0.01, 0.02, 0.04, 30.0)[turn])
        assert process.pid is not None
        os.kill(process.pid, 9)
        process.join()
        users = read_all(log).table.column("user_id").to_pylist()
        (n_ids,) = log._writer.execute("SELECT count(*) FROM event_ids").fetchone()
        outcomes.add((log.epoch, users.count("anna"), users.count(""), n_ids, len(log.erasures())))
        assert read_all(log).numpy("time_ms").tolist() == list(range(n))
    assert outcomes <= {(0, n // 2, 0, n, 0), (1, 0, n // 2 - 1, n // 2, 1)}
    assert log.epoch == 1
    log.close()
