from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from feedmill.core.errors import LogError
from feedmill.core.request import Trace
from feedmill.log.traces import BELOW_CUT, find, forget, open_to_write, read_traces, write


def trace(k: int) -> Trace:
    return Trace(request_id=f"r{k}", user_id="u", time_ms=k, fates={BELOW_CUT: ["a", "b"]})


def test_what_is_written_is_read_oldest_first(tmp_path: Path) -> None:
    path = tmp_path / "traces.sqlite"
    with closing(open_to_write(path)) as connection:
        write(connection, [trace(k) for k in range(600)], keep=1000)
        assert [t.time_ms for t in read_traces(path)] == list(range(600))  # while the writer has it open
    assert next(read_traces(path)) == trace(0)
    assert find(path, "r599") == trace(599)


def test_only_the_last_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "traces.sqlite"
    with closing(open_to_write(path)) as connection:
        for k in range(5):
            write(connection, [trace(2 * k), trace(2 * k + 1)], keep=4)
    assert [t.request_id for t in read_traces(path)] == ["r6", "r7", "r8", "r9"]
    assert find(path, "r0") is None


def test_forgetting_leaves_no_byte_while_a_writer_has_it_open(tmp_path: Path) -> None:
    path = tmp_path / "traces.sqlite"
    with closing(open_to_write(path)) as connection:
        write(connection, [trace(k) for k in range(50)], keep=1000)
        mine = [Trace(request_id=f"mine{k}", user_id="anna", time_ms=k) for k in range(50)]
        write(connection, mine, keep=1000)
        assert forget(path, {"anna", "nobody"}) == 50
        assert {t.user_id for t in read_traces(path)} == {"u"}
        assert find(path, "mine3") is None
        assert forget(path, {"anna"}) == 0
        write(connection, [trace(51)], keep=1000)
    assert b"mine3" not in path.read_bytes()
    assert forget(tmp_path / "none.sqlite", {"anna"}) == 0


def test_no_file_is_no_traces(tmp_path: Path) -> None:
    assert list(read_traces(tmp_path / "none.sqlite")) == []
    assert find(tmp_path / "none.sqlite", "r") is None
    (tmp_path / "empty.sqlite").touch()
    assert list(read_traces(tmp_path / "empty.sqlite")) == []


def test_a_file_that_is_none_says_so(tmp_path: Path) -> None:
    (tmp_path / "traces.sqlite").write_bytes(b"this is no database" * 100)
    with pytest.raises(LogError, match=r"traces\.sqlite"):
        list(read_traces(tmp_path / "traces.sqlite"))
