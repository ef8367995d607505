"""Accounts of past requests, bounded, written behind the request's back."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
import zlib
from collections import OrderedDict
from pathlib import Path
from queue import Empty, Full, Queue

import msgspec

from feedmill.core.errors import NotFoundError
from feedmill.core.request import Trace, to_json

logger = logging.getLogger("feedmill.serve")

_TABLE = """
create table if not exists traces(
    seq integer primary key autoincrement, request_id text not null unique, body blob not null)
"""
_BATCH = 256
_GATHER_S = 0.2


class TraceStore:
    """The last ``keep`` traces in a SQLite file; the newest are answered from memory.

    Traces are for people who ask why, so losing one is allowed where making a user wait is not: a full queue
    drops the trace, a crash loses those still queued.

    Args:
        path: the file.
        keep: how many to hold on to.
        queue: how many may wait to be written.
    """

    def __init__(self, path: Path, keep: int = 10_000, queue: int = 1_000) -> None:
        self.path, self.keep = path, keep
        self.n_dropped = 0
        self._recent: OrderedDict[str, Trace] = OrderedDict()
        self._recent_size = min(queue, keep)
        self._lock = threading.Lock()
        self._queue: Queue[Trace | None] = Queue(queue)
        self._writer: threading.Thread | None = None

    def put(self, trace: Trace) -> None:
        """Remember a trace; returns at once."""
        with self._lock:
            self._recent[trace.request_id] = trace
            while len(self._recent) > self._recent_size:
                self._recent.popitem(last=False)
            if self._writer is None:
                self._writer = threading.Thread(target=self._write, name="feedmill-traces", daemon=True)
                self._writer.start()
        try:
            self._queue.put_nowait(trace)
        except Full:
            self.n_dropped += 1

    def get(self, request_id: str) -> Trace:
        """The account of a request.

        Raises:
            NotFoundError: there is none, or it is older than the last ``keep``.
        """
        with self._lock:
            if request_id in self._recent:
                return self._recent[request_id]
        body = self._read(request_id)
        if body is None:
            raise NotFoundError(
                f'no trace of request "{request_id}"',
                f"the request_id of one of the last {self.keep} feeds",
                "take it from a feed's answer",
            )
        return msgspec.json.decode(zlib.decompress(body), type=Trace)

    def close(self) -> None:
        """Write what is queued, then stop."""
        with self._lock:
            writer, self._writer = self._writer, None
        if writer is not None:
            self._queue.put(None)
            writer.join()

    def _read(self, request_id: str) -> bytes | None:
        if not self.path.exists():
            return None
        connection = sqlite3.connect(self.path)
        try:
            row = connection.execute("select body from traces where request_id = ?", (request_id,)).fetchone()
        except sqlite3.Error as e:
            logger.warning("traces cannot be read: %s", e)
            return None
        finally:
            connection.close()
        return None if row is None else bytes(row[0])

    def _write(self) -> None:
        connection: sqlite3.Connection | None = None
        while batch := self._take():
            traces = [t for t in batch if t is not None]
            try:
                connection = connection or self._open()
                self._insert(connection, traces)
            except sqlite3.Error as e:
                self.n_dropped += len(traces)
                logger.warning("%d traces not written: %s", len(traces), e)
            if len(traces) < len(batch):
                break
        if connection is not None:
            connection.close()

    def _take(self) -> list[Trace | None]:
        """Wait for one, then a moment more for others: one commit for all, and out of the way of requests."""
        batch = [self._queue.get()]
        until = time.monotonic() + _GATHER_S
        while batch[-1] is not None and len(batch) < _BATCH:
            try:
                batch.append(self._queue.get(timeout=max(0.0, until - time.monotonic())))
            except Empty:
                break
        return batch

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=5)
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = normal")
        connection.execute(_TABLE)
        return connection

    def _insert(self, connection: sqlite3.Connection, traces: list[Trace]) -> None:
        rows = [(t.request_id, zlib.compress(to_json(t), 1)) for t in traces]
        with connection:
            connection.executemany("insert or replace into traces(request_id, body) values (?, ?)", rows)
            connection.execute("delete from traces where seq <= (select max(seq) from traces) - ?", (self.keep,))
