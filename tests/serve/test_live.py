"""A serving process while its log is rewritten, cut and compacted by another."""

from __future__ import annotations

from pathlib import Path

import pytest

from feedmill.core.errors import NotFoundError
from feedmill.core.events import FORGOTTEN
from feedmill.log.sqlite import SqliteLog
from feedmill.serve.engine import Engine
from feedmill.state import State
from feedmill.state.forget import forget
from feedmill.state.retain import retain
from serve.world import Make, Open, click, ids, seen_by


@pytest.fixture
def engine(opened: Open, make: Make) -> Engine:
    return opened(make())


def other_process(engine: Engine) -> SqliteLog:
    return SqliteLog(engine.workspace.log)


def forget_them(engine: Engine, *user_ids: str) -> State:
    log = other_process(engine)
    state = State(engine.state.config)
    forget(log, state, user_ids, now_ms=5, digests=[(41, state_digest(engine))])
    log.close()
    return state


def state_digest(engine: Engine) -> str:
    return engine.state.users.digest(41)


def test_the_next_feed_knows_nothing_of_them(engine: Engine) -> None:
    trace = engine.recommend("u3", expose=False).request_id
    assert engine.trace(trace).user_id == "u3"
    history = seen_by(engine, "u3")
    assert len(history) == 12
    row = engine.state.users.row("u3")
    before = ids(engine.recommend("u4", expose=False, seed=1))
    forget_them(engine, "u3")
    fresh = engine.recommend("nobody-yet", expose=False, seed=1)
    assert ids(engine.recommend("u3", expose=False, seed=1)) == ids(fresh)
    with pytest.raises(NotFoundError):
        engine.trace(trace)
    assert engine.state.users.row("u3") == 0
    assert engine.state.users.id(row).startswith(FORGOTTEN)
    assert not len(engine.state.seen(row))
    assert ids(engine.recommend("u4", expose=False, seed=1)) == before
    engine.append(click("u3", "i2"))
    assert engine.state.users.row("u3") == len(engine.state.users) - 1


def test_a_restart_loads_the_same_version(engine: Engine, opened: Open) -> None:
    version = engine.status()["version"]
    forget_them(engine, "u3", "u8")
    engine.follow()
    engine.close()
    again = opened(engine.workspace)
    assert again.status()["version"] == version != ""
    assert again.status()["problems"] == []
    assert len(again.state.users.forgotten) == 2
    assert len(ids(again.recommend("u4"))) == 10


def test_a_snapshot_saved_after_it_has_no_byte_of_them(engine: Engine, tmp_path: Path) -> None:
    log = other_process(engine)
    log.append(click("a-name-like-no-other", "i2"))
    engine.follow()
    forget_them(engine, "a-name-like-no-other")
    engine.follow()
    engine.state.save(tmp_path / "snapshot")
    stored = b"".join(p.read_bytes() for p in (tmp_path / "snapshot").rglob("*") if p.is_file())
    assert FORGOTTEN.encode() in stored
    assert b"a-name-like-no-other" not in stored
    log.close()


def test_cutting_and_compacting_go_unnoticed(engine: Engine) -> None:
    log = other_process(engine)
    log.append(click("u1", "i9"))
    engine.follow()
    before = ids(engine.recommend("u4", expose=False, seed=1))
    retain(log, engine.workspace.state, engine.state.config, 2**60)
    log.compact()
    log.shrink()
    log.append(click("u1", "i11"))
    assert log.start > 500
    engine.follow()
    assert "i11" in seen_by(engine, "u1")
    assert ids(engine.recommend("u4", expose=False, seed=1)) == before
    log.close()
