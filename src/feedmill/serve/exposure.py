"""What was shown goes to the log before the answer goes out; feeds of one moment share one write."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from queue import Full, SimpleQueue

import msgspec

from feedmill.core.events import EventBatch, Kind
from feedmill.core.protocols import EventLog, Receipt
from feedmill.core.request import Trace

logger = logging.getLogger("feedmill.serve")
_Waiting = tuple[EventBatch, "Future[Receipt]"]
_MAX_WAITING = 1_000  # a log that has stopped must not fill the memory


def impressions(trace: Trace) -> EventBatch:
    """An IMPRESSION for each item of a finished request.

    The payload is the snapshot id: the artifact's version and the log's offset at which the features were
    made, so that folding to that offset makes them again, exactly; and the experiments that acted, with their arms.
    """
    items = trace.items
    return EventBatch.of(
        {
            "time_ms": [trace.time_ms] * len(items),
            "kind": int(Kind.IMPRESSION),
            "user_id": trace.user_id,
            "item_id": [i.item_id for i in items],
            "request_id": trace.request_id,
            "position": [min(i.position, 32_767) for i in items],
            "payload": payload(trace),
        }
    )


def payload(trace: Trace) -> str:
    """What the exposures of a finished request say of how it was answered."""
    snapshot = {"version": trace.version, "offset": trace.offset}
    return msgspec.json.encode(snapshot | ({"experiments": trace.acted} if trace.acted else {})).decode()


def told(trace: Trace, context: Mapping[str, str]) -> EventBatch:
    """What the request said of its user, as a USER event: it stands before the impressions, so that training, which
    reads the state as of an impression, reads what serving read."""
    payload = msgspec.json.encode(context).decode()
    return EventBatch.of(
        {"time_ms": [trace.time_ms], "kind": int(Kind.USER), "user_id": trace.user_id, "payload": [payload]}
    )


class Exposer:
    """Appends impressions from one thread: while one fsync runs, the next feeds gather for the one after it."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    @property
    def n_waiting(self) -> int:
        """Feeds that the write under way does not hold."""
        return self._queue.qsize()

    def write(self, batch: EventBatch, timeout_s: float) -> None:
        """Durable when it returns.

        Raises:
            LogError: the log cannot be written; nothing of the batch was.
            TimeoutError: it takes longer than the caller can wait; it will be written when the log can.
            Full: far too many are waiting already; nothing was written.
        """
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="feedmill-exposure", daemon=True)
                self._thread.start()
        if self.n_waiting >= _MAX_WAITING:
            raise Full
        done: Future[Receipt] = Future()
        self._queue.put((batch, done))
        try:
            done.result(timeout_s)
        except Late:
            raise TimeoutError(f"the log did not take the impressions within {timeout_s * 1e3:.0f} ms") from None

    def close(self) -> None:
        """Write what is waiting, then stop."""
        with self._starting:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            thread.join()

    def _run(self) -> None:
        while self._append(self._gather()):
            pass

    def _gather(self) -> list[_Waiting | None]:
        """Wait for one, then take what else is there, up to the end mark."""
        waiting = [self._queue.get()]
        while waiting[-1] is not None and not self._queue.empty():
            waiting.append(self._queue.get())
        return waiting

    def _append(self, gathered: list[_Waiting | None]) -> bool:
        """Append in one write; whether there may be more."""
        waiting = [w for w in gathered if w is not None]
        if waiting:
            try:
                receipt = self._log.append(EventBatch.concat([batch for batch, _ in waiting]))
            except Exception as error:  # the thread must outlive whatever the log raises
                logger.warning("%d feeds not logged: %s", len(waiting), error)
                for _, done in waiting:
                    done.set_exception(error)
            else:
                for _, done in waiting:
                    done.set_result(receipt)
        return len(waiting) == len(gathered)
