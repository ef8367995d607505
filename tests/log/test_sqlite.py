"""What can go wrong with a file: each time a LogError that helps, and nothing half written."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import numpy as np
import pytest

from contracts.event_log_writer import batch, plain, start
from feedmill.core.clock import rng
from feedmill.core.errors import LogError
from feedmill.core.events import EventBatch
from feedmill.log.sqlite import SqliteLog
from feedmill.log.sqlite_file import VERSION


def big(n: int, first: int = 0) -> EventBatch:
    """Events that do not compress."""
    noise = [rng(first + i, "noise").bytes(400).hex() for i in range(n)]
    return EventBatch.of({"time_ms": np.arange(first, first + n), "kind": 1, "user_id": "u", "payload": noise})


def run(target: Any, *args: Any) -> Any:
    """What ``target(*args, connection)`` sends from a process of its own."""
    process, answers = start(target, *args)
    answer = answers.recv()
    process.join()
    answers.close()
    return answer


# ---- a disk that is full, then is not --------------------------------------------------------------------


def _fill_up(path: Path, answer: Connection) -> None:
    log = SqliteLog(path)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, hard))  # Python ignores SIGXFSZ: writes fail
    sent, error = 0, ""
    try:
        while True:
            log.append(big(50, sent))
            sent += 50
    except LogError as e:
        error = str(e)
    end, rows = log.end, len(log.read(0, 10**6)[0])
    again = ""
    try:
        log.append(big(50, sent))
    except LogError as e:
        again = str(e)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    receipt = log.append(big(50, sent))
    found = log.read(0, 10**6)[0].numpy("time_ms").tolist()
    answer.send((sent, error, end, rows, again, tuple(receipt), found))


def test_a_full_disk_loses_nothing_and_takes_more_when_there_is_space(tmp_path: Path) -> None:
    sent, error, end, rows, again, receipt, found = run(_fill_up, tmp_path / "log")
    assert sent >= 50
    assert "do: check for a full quota" in error
    assert "do: check for a full quota" in again
    assert end == rows == sent  # of the batch that failed there is nothing
    assert receipt == (sent + 50, 50, 0)
    assert found == list(range(sent + 50))
    log = SqliteLog(tmp_path / "log")
    assert log.end == sent + 50
    log.close()


def test_a_full_database_forgets_the_ids_it_could_not_write(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log")
    log.append(batch(["a"]))
    log._writer.execute(f"PRAGMA max_page_count = {log._writer.execute('PRAGMA page_count').fetchone()[0]}")
    noise = big(200).table.column("payload")
    rejected = EventBatch.of({"kind": 1, "event_id": ["b"] + [""] * 199, "payload": noise}, source="file")
    with pytest.raises(LogError, match="database or disk is full") as caught:
        log.append(rejected)
    assert "free some space" in caught.value.fix
    log._writer.execute("PRAGMA max_page_count = 1000000")
    assert log.append(rejected) == (201, 200, 0)
    log.close()


# ---- files that are not for us ---------------------------------------------------------------------------


def _open_unprivileged(folder: Path, answer: Connection) -> None:
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)  # root may write anywhere, so stop being root
    try:
        log = SqliteLog(folder / "log")
        log.append(plain(1))
        answer.send("it could write")
    except LogError as e:
        answer.send(str(e))


@pytest.fixture
def read_only_folder() -> Iterator[Path]:
    """Outside of tmp_path, which only its owner may enter."""
    folder = Path(tempfile.mkdtemp())
    log = SqliteLog(folder / "log")
    log.append(plain(2))
    log.close()
    (folder / "log").chmod(stat.S_IREAD | stat.S_IRGRP | stat.S_IROTH)
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_read_only_file_says_so(read_only_folder: Path) -> None:
    said = run(_open_unprivileged, read_only_folder)
    assert "SQLITE_READONLY" in said or "SQLITE_CANTOPEN" in said
    assert "expected: a file" in said


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="make the folder"):
        SqliteLog(tmp_path / "nowhere" / "log")


def test_a_file_that_is_not_sqlite(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("user_id,item_id\n" * 100)
    with pytest.raises(LogError, match="not a SQLite file"):
        SqliteLog(tmp_path / "log")
    assert (tmp_path / "log").read_text().startswith("user_id")


def test_a_foreign_sqlite_file_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other") as other:
        other.execute("CREATE TABLE t (a)")
    other.close()
    before = (tmp_path / "other").read_bytes()
    with pytest.raises(LogError, match="not an event log"):
        SqliteLog(tmp_path / "other")
    assert (tmp_path / "other").read_bytes() == before


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    SqliteLog(tmp_path / "log").close()
    newer = sqlite3.connect(tmp_path / "log")
    newer.execute(f"PRAGMA user_version = {VERSION + 1}")
    newer.close()
    with pytest.raises(LogError, match=f"has format {VERSION + 1}"):
        SqliteLog(tmp_path / "log")


def test_a_damaged_batch_is_noticed(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log")
    log.append(plain(3))
    log.append(plain(3, 3))
    log._writer.execute("UPDATE batches SET data = zeroblob(length(data)) WHERE first_offset = 3")
    assert len(log.read(0, 3)[0]) == 3
    with pytest.raises(LogError, match="damaged at offset 3"):
        log.read(3)
    log.close()


def test_a_damaged_page_is_noticed(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log")
    for k in range(40):
        log.append(big(5, 5 * k))
    log.close()
    with open(tmp_path / "log", "r+b") as file:
        file.seek(4096)  # keep the header
        file.write(b"\xff" * (os.path.getsize(tmp_path / "log") - 4096))
    with pytest.raises(LogError, match="from a backup"):
        SqliteLog(tmp_path / "log").read(0)


# ---- several at once -------------------------------------------------------------------------------------


def test_many_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    problems: list[BaseException] = []
    together = Barrier(8)

    def append_one(path: Path, k: int) -> None:
        try:
            together.wait()
            log = SqliteLog(path)
            log.append(plain(1, k))
            log.close()
        except BaseException as e:
            problems.append(e)

    for attempt in range(10):
        path = tmp_path / f"log{attempt}"
        threads = [Thread(target=append_one, args=(path, k)) for k in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert problems == []
        log = SqliteLog(path)
        assert sorted(log.read(0)[0].numpy("time_ms").tolist()) == list(range(8))
        log.close()


def test_a_reader_does_not_wait_for_a_writer(tmp_path: Path) -> None:
    log, other = SqliteLog(tmp_path / "log"), SqliteLog(tmp_path / "log", busy_s=0.01)
    log.append(plain(2))
    log._writer.execute("BEGIN IMMEDIATE")  # a writer in the middle of an append
    assert len(other.read(0)[0]) == 2
    with pytest.raises(LogError, match="look for a process that holds it"):
        other.append(plain(1))
    log._writer.execute("ROLLBACK")
    assert other.append(plain(1)).offset == 3
    log.close()
    other.close()


def test_wait_sees_the_appends_of_others(tmp_path: Path) -> None:
    log, other = SqliteLog(tmp_path / "log"), SqliteLog(tmp_path / "log")
    assert not log.wait(0, 0.0)
    seen: list[bool] = []
    waiting = Thread(target=lambda: seen.append(log.wait(0, 30.0)))
    waiting.start()
    other.append(plain(1))
    waiting.join()
    assert seen == [True]
    assert log.wait(0, 0.0)
    log.close()
    other.close()


def test_a_batch_larger_than_a_micro_batch_is_one_transaction(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log")
    assert log.append(plain(200_000)) == (200_000, 200_000, 0)
    sizes = [n for (n,) in log._writer.execute("SELECT n FROM batches ORDER BY first_offset")]
    assert sizes == [65_536, 65_536, 65_536, 3_392]
    part, after = log.read(65_530, 10)
    assert part.numpy("time_ms").tolist() == list(range(65_530, 65_540))
    assert after == 65_540
    log.close()
