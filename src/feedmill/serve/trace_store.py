"""Accounts of past requests, bounded, written behind the request's back."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Collection
from pathlib import Path
from queue import Empty, Full, Queue

from feedmill.core.errors import NotFoundError
from feedmill.core.request import Trace
from feedmill.log.traces import find, open_to_write, write

logger = logging.getLogger("feedmill.serve")

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
        trace = self._read(request_id)
        if trace is None:
            raise NotFoundError(
                f'no trace of request "{request_id}"',
                f"the request_id of one of the last {self.keep} feeds",
                "take it from a feed's answer",
            )
        return trace

    def forget(self, user_ids: Collection[str]) -> None:
        """Drop what memory has of some people; the file is the business of who forgets them (``log.traces``)."""
        with self._lock:
            for request_id in [r for r, trace in self._recent.items() if trace.user_id in user_ids]:
                del self._recent[request_id]

    def close(self) -> None:
        """Write what is queued, then stop."""
        with self._lock:
            writer, self._writer = self._writer, None
        if writer is not None:
            self._queue.put(None)
            writer.join()

    def _read(self, request_id: str) -> Trace | None:
        try:
            return find(self.path, request_id)
        except sqlite3.Error as e:
            logger.warning("traces cannot be read: %s", e)
            return None

    def _write(self) -> None:
        connection: sqlite3.Connection | None = None
        while batch := self._take():
            traces = [t for t in batch if t is not None]
            try:
                connection = connection or open_to_write(self.path)
                write(connection, traces, self.keep)
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
