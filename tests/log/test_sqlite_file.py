"""Files of earlier versions are brought up to date, those of later ones refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from threading import Thread
from zlib import crc32

import pytest

from contracts.event_log_writer import batch, plain
from feedmill.core.errors import LogError
from feedmill.log.sqlite import SqliteLog
from feedmill.log.sqlite_file import VERSION
from feedmill.log.whole import read_all

# As feedmill wrote it before there were epochs: spelled out, so that no later change of the code changes it.
VERSION_1 = """
PRAGMA journal_mode = WAL;
CREATE TABLE batches (first_offset INTEGER PRIMARY KEY, n INTEGER NOT NULL, raw_size INTEGER NOT NULL,
    crc INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE event_ids (event_id TEXT PRIMARY KEY NOT NULL) WITHOUT ROWID;
CREATE TABLE sources (source TEXT PRIMARY KEY NOT NULL, next_row INTEGER NOT NULL) WITHOUT ROWID;
PRAGMA application_id = 1718447207;
PRAGMA user_version = 1;
INSERT INTO event_ids VALUES ('a'), ('b');
INSERT INTO sources VALUES ('file', 3);
"""


def write_version_1(path: Path) -> None:
    with closing(sqlite3.connect(path)) as old:
        old.executescript(VERSION_1)
        for first, events in ((0, batch(["a", "b"], 0)), (2, plain(3, 2))):
            data = events.table.serialize().to_pybytes()
            old.execute("INSERT INTO batches VALUES (?, ?, 0, ?, ?)", (first, len(events), crc32(data), data))
        old.commit()


def test_a_log_of_version_1_is_migrated_and_goes_on(tmp_path: Path) -> None:
    write_version_1(tmp_path / "log")
    log = SqliteLog(tmp_path / "log")
    assert read_all(log).numpy("time_ms").tolist() == [0, 1, 2, 3, 4]
    assert (log.start, log.epoch, log.erasures(), len(log.kept())) == (0, 0, [], 0)
    assert log.append(batch(["b", "c"], 5)) == (6, 1, 1)
    assert log.append(plain(4, 2, "file", 0)) == (7, 1, 3)
    log.close()
    with closing(sqlite3.connect(tmp_path / "log")) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (VERSION,)
    SqliteLog(tmp_path / "log").close()


def test_several_may_open_it_at_once(tmp_path: Path) -> None:
    problems: list[BaseException] = []

    def open_it(path: Path) -> None:
        try:
            log = SqliteLog(path)
            assert len(read_all(log)) == 5
            log.close()
        except BaseException as e:
            problems.append(e)

    for k in range(5):
        path = tmp_path / f"log{k}"
        write_version_1(path)
        threads = [Thread(target=open_it, args=(path,)) for _ in range(6)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    assert problems == []


def test_a_migration_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    write_version_1(tmp_path / "log")
    with closing(sqlite3.connect(tmp_path / "log")) as file:
        file.execute("CREATE TABLE kept (something)")  # in the way of the last step
    with pytest.raises(LogError, match="kept"):
        SqliteLog(tmp_path / "log")
    with closing(sqlite3.connect(tmp_path / "log")) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (1,)
        assert file.execute("SELECT count(*) FROM sqlite_master WHERE name = 'marks'").fetchone() == (0,)
        file.execute("DROP TABLE kept")
    SqliteLog(tmp_path / "log").close()


def test_a_newer_one_is_refused_and_untouched(tmp_path: Path) -> None:
    write_version_1(tmp_path / "log")
    with closing(sqlite3.connect(tmp_path / "log")) as file:
        file.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(LogError, match=f"has format {VERSION + 1}") as e:
        SqliteLog(tmp_path / "log")
    assert "newer" in e.value.fix
    with closing(sqlite3.connect(tmp_path / "log")) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (VERSION + 1,)
