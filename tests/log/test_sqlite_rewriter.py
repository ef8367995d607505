"""What changes a log that is otherwise only appended to."""

from __future__ import annotations

import os
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest

from contracts.event_log_writer import append_for_ever, batch, plain, start
from feedmill.core.errors import LogError
from feedmill.core.events import EventBatch, Kind
from feedmill.log.sqlite import SqliteLog
from feedmill.log.whole import read_all


def sizes(log: SqliteLog) -> list[int]:
    return [n for (n,) in log._writer.execute("SELECT n FROM batches ORDER BY first_offset")]


def dropped(log: SqliteLog, before: int) -> int:
    with log.rewriting() as rewriter:
        return rewriter.drop_before(before)


def test_compacting_changes_no_event_and_no_offset(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log")
    for n, first in ((1, 0), (65_535, 1), (1, 65_536), (3, 65_537), (70_000, 65_540), (2, 135_540)):
        log.append(plain(n, first))
    before = read_all(log)
    assert sizes(log) == [1, 65_535, 1, 3, 65_536, 4_464, 2]
    assert log.compact() == 3
    assert sizes(log) == [65_536, 4, 65_536, 4_466]
    assert read_all(log).table.equals(before.table)
    assert log.compact() == 0
    assert log.append(plain(1, 0)).offset == log.end == 135_543
    log.close()


def test_reading_goes_on_over_a_compaction(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log")
    for k in range(300):
        log.append(batch([f"e{k}"], k))
    _, offset = log.read(0, 100)
    assert log.compact() == 299
    rest, end = log.read(offset, 1_000)
    assert rest.numpy("time_ms").tolist() == list(range(100, 300))
    assert log.append(batch(["e7"], 7)) == (end, 0, 1), "what makes appends idempotent is not touched"
    log.close()


def test_dropping_keeps_offsets_ends_and_what_nothing_replaces(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log")
    log.append(batch(["a", "b"], 0))
    experiment = {"time_ms": 2, "kind": int(Kind.EXPERIMENT), "payload": "{}", "event_id": "x"}
    log.append(EventBatch.rows([experiment, {"time_ms": 3, "kind": 1}]))
    log.append(plain(4, 4, "file", 0))
    assert dropped(log, 5) == 5
    assert (log.start, log.end) == (5, 8)
    assert log.read(5)[0].numpy("time_ms").tolist() == [5, 6, 7]
    assert log.kept().table.to_pylist()[0]["event_id"] == "x"
    assert len(log.kept()) == 1
    assert dropped(log, 3) == 0
    with pytest.raises(LogError, match="offset 4 in a log that starts at 5"):
        log.read(4)
    with pytest.raises(LogError, match="at least one event to stay"):
        dropped(log, 8)
    assert log.append(batch(["a"], 9)).n_duplicate == 1, "a replayed day is known"
    assert log.append(plain(4, 4, "file", 0)) == (8, 0, 4)
    assert dropped(log, 6) == 1
    assert len(log.kept()) == 1
    log.close()


def test_nothing_happens_by_halves(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log")
    log.append(plain(10))

    def stop_half_way() -> None:
        with log.rewriting() as rewriter:
            rewriter.drop_before(5)
            rewriter.erased(1, [("user", 1, "x")], {})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        stop_half_way()
    assert (log.start, log.epoch, log.erasures(), len(read_all(log))) == (0, 0, [], 10)
    with pytest.raises(ValueError, match="offsets must stay"), log.rewriting() as rewriter:
        rewriter.replace([3], lambda events, offsets: events[:4])
    assert len(read_all(log)) == 10
    log.close()


def test_erasures_in_order_and_digests_of_the_last_only(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log")
    for k in range(3):
        with log.rewriting() as rewriter:
            assert rewriter.erased(k, [("user", k, "ä"), ("query", 2, "")], {f"old{k}": f"new{k}"}) == k + 1
    assert log.epoch == 3
    assert [e.epoch for e in log.erasures(1)] == [2, 3]
    assert log.erasures()[0] == (1, 0, (("user", 0, "ä"), ("query", 2, "")), {})
    assert log.erasures()[2].digests == {"old2": "new2"}
    log.close()


def test_a_full_disk_refuses_and_changes_nothing(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log")
    for k in range(40):
        log.append(plain(300, 300 * k))
    before, n = read_all(log), len(sizes(log))
    noise = np.random.default_rng(0)
    pages = log._writer.execute("PRAGMA page_count").fetchone()[0]
    log._writer.execute(f"PRAGMA max_page_count = {pages}")

    def larger(events: EventBatch, offsets: np.ndarray) -> EventBatch:  # type: ignore[type-arg]
        return EventBatch.of({"kind": 1, "payload": [noise.bytes(200).hex() for _ in range(len(events))]})

    with pytest.raises(LogError, match="full") as e, log.rewriting() as rewriter:
        rewriter.replace(list(range(0, 12_000, 300)), larger)
    assert "free some space" in e.value.fix
    assert len(sizes(log)) == n
    assert read_all(log).table.equals(before.table)
    log._writer.execute("PRAGMA max_page_count = 1000000")
    with log.rewriting() as rewriter:
        rewriter.replace([0], larger)
    assert len(read_all(log)) == len(before)
    log.close()


def test_space_comes_back(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log")
    for k in range(3_000):
        log._writer.execute("PRAGMA synchronous = OFF")
        log.append(plain(1, k))
    log.shrink()
    large = (tmp_path / "log").stat().st_size
    assert log.compact() == 2_999
    log.shrink()
    assert (tmp_path / "log").stat().st_size < large / 5
    assert (tmp_path / "log-wal").stat().st_size == 0
    log.close()


def _maintain(path: Path, answer: Connection) -> None:
    log = SqliteLog(path)
    while True:
        log.compact()
        with log.rewriting() as rewriter:
            rewriter.drop_before(max(log.start, log.end - 50))
        answer.send(log.start)


@pytest.mark.slow
def test_killed_while_it_compacts_and_drops_beside_a_writer(tmp_path: Path) -> None:
    path, acked = tmp_path / "log", 0
    log = SqliteLog(path)
    for turn in range(4):
        writer, acks = start(append_for_ever, SqliteLog, path, 0, acked, turn)
        acked = acks.recv()
        keeper, starts = start(_maintain, path)
        for _ in range(5 + turn):
            starts.recv()
            acked = max(acked, acks.recv())
        for process in (keeper, writer):
            assert process.pid is not None
            os.kill(process.pid, 9)
            process.join()
        try:
            while True:
                acked = acks.recv()
        except EOFError:
            pass
        events, after = log.read(log.start, 10**6)
        ids = [int(i.partition("-")[2]) for i in events.table.column("event_id").to_pylist()]
        assert after == log.end >= acked
        assert ids == list(range(log.start, log.end)), "event k stands at offset k, whatever was dropped and merged"
        acked = log.end
    log.close()
