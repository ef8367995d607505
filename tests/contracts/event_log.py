"""What every event log must do. ``open_log(path)`` opens the log at a path; for durable ones again and again.

The durable checks start real processes, so ``open_log`` must be importable by name (a class or a function).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.event_log_writer import append_for_ever, batch, plain
from contracts.event_log_writer import start as start_process
from feedmill.core.clock import rng
from feedmill.core.errors import LogError
from feedmill.core.events import EventBatch
from feedmill.core.protocols import EventLog

OpenLog = Callable[[Path], EventLog]

texts = st.text(st.characters(codec="utf-8"), max_size=8)
event = st.fixed_dictionaries(
    {
        "time_ms": st.integers(0, 2**60),
        "kind": st.integers(0, 21),
        "user_id": texts,
        "item_id": texts,
        "value": st.floats(width=32, allow_nan=False),
        "position": st.integers(-1, 99),
        "payload": texts,
    }
)


def whole(log: EventLog, limit: int = 65_536) -> EventBatch:
    """Everything in the log, checking what reads promise on the way."""
    parts, offset = [], 0
    while offset < log.end:
        part, after = log.read(offset, limit)
        assert 1 <= len(part) <= limit
        assert after == offset + len(part)
        parts.append(part)
        offset = after
    last, after = log.read(offset, limit)
    assert (len(last), after) == (0, offset)
    return EventBatch.concat(parts)


def times(log: EventLog) -> list[int]:
    found: list[int] = whole(log).numpy("time_ms").tolist()
    return found


def check_order_and_offsets(open_log: OpenLog, folder: Path) -> None:
    log = open_log(folder / "log")
    assert log.end == 0
    sizes, start = (1, 3, 1, 70_000, 2), 0
    for n in sizes:
        receipt = log.append(plain(n, start))
        start += n
        assert receipt == (start, n, 0)
        assert log.end == start
    assert times(log) == list(range(start))
    log.close()


def check_any_limit_reads_the_same(open_log: OpenLog, folder: Path) -> None:
    numbers = count()

    @settings(max_examples=25, deadline=None)
    @given(st.lists(st.lists(event, max_size=6), max_size=6), st.integers(1, 40), st.data())
    def check(batches: list[list[dict[str, Any]]], limit: int, data: st.DataObject) -> None:
        log = open_log(folder / f"log{next(numbers)}")
        sent = [EventBatch.rows(b) for b in batches]
        for b in sent:
            log.append(b)
        everything = EventBatch.concat(sent)
        assert whole(log, limit).table.equals(everything.table)
        offset = data.draw(st.integers(0, log.end))
        part, _ = log.read(offset, limit)
        again, _ = log.read(offset, limit)
        assert part.table.equals(again.table)
        assert part.table.equals(everything[offset : offset + len(part)].table)
        log.close()

    check()


def check_event_ids_are_appended_once(open_log: OpenLog, folder: Path) -> None:
    log = open_log(folder / "log")
    assert log.append(batch(["a", "b", "a", ""])) == (3, 3, 1)  # twice in one batch: the first counts
    assert log.append(batch(["b"], 10)) == (3, 0, 1)
    assert log.append(batch(["", "c", "b", "ä\0ä", "日本"], 20)) == (7, 4, 1)
    assert log.append(batch(["ä\0", "ä\0ä", "日本"], 30)) == (8, 1, 2)
    assert times(log) == [0, 1, 3, 20, 21, 23, 24, 30]
    log.close()


def check_source_rows_are_appended_once(open_log: OpenLog, folder: Path) -> None:
    log = open_log(folder / "log")
    assert log.append(plain(4, 0, "file", 0)) == (4, 4, 0)
    assert log.append(plain(4, 0, "file", 0)) == (4, 0, 4)
    assert log.append(plain(4, 2, "file", 2)) == (6, 2, 2)  # rows 2 to 5, of which 2 and 3 are known
    assert log.append(plain(2, 0, "file", 0)) == (6, 0, 2)
    assert log.append(plain(2, 100, "other", 0)) == (8, 2, 0)
    assert log.append(batch(["x", "y"], 6, "file", 6)) == (10, 2, 0)
    assert log.append(batch(["y", "z"], 8, "file", 8)) == (11, 1, 1)  # a new row with a known event id
    assert times(log) == [0, 1, 2, 3, 4, 5, 100, 101, 6, 7, 9]
    log.close()


def check_any_resending_changes_nothing(open_log: OpenLog, folder: Path) -> None:
    numbers = count()

    @settings(max_examples=20, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 12)), max_size=8))
    def check(pieces: list[tuple[int, int]]) -> None:
        log = open_log(folder / f"log{next(numbers)}")
        sent = 0
        for back, n in pieces:  # each piece starts somewhere in what was sent already
            row = max(0, sent - back)
            receipt = log.append(plain(n, row, "source", row))
            assert receipt.n_new == max(0, row + n - sent)
            assert receipt.n_new + receipt.n_duplicate == n
            sent = max(sent, row + n)
        assert times(log) == list(range(sent))
        log.close()

    check()


def check_nothing_is_fine(open_log: OpenLog, folder: Path) -> None:
    log = open_log(folder / "log")
    assert log.append(EventBatch.empty()) == (0, 0, 0)
    found, after = log.read(0)
    assert (len(found), after) == (0, 0)
    assert found.table.schema == EventBatch.empty().table.schema
    log.close()


def check_a_new_log_starts_at_0_and_has_forgotten_nobody(open_log: OpenLog, folder: Path) -> None:
    log = open_log(folder / "log")
    assert (log.start, log.epoch, list(log.erasures()), len(log.kept())) == (0, 0, [], 0)
    log.append(plain(3))
    assert (log.start, log.end, log.epoch) == (0, 3, 0), "appending moves the end alone"
    assert log.kept().table.schema == EventBatch.empty().table.schema
    log.close()


def check_offsets_of_another_log_are_refused(open_log: OpenLog, folder: Path) -> None:
    log = open_log(folder / "log")
    log.append(plain(3))
    for offset in (-1, 4):
        with pytest.raises(LogError, match=f"offset {offset} in a log of 3 events"):
            log.read(offset)
    with pytest.raises(ValueError, match="at least one"):
        log.read(0, 0)
    log.close()


def check_closed_is_closed(open_log: OpenLog, folder: Path) -> None:
    log = open_log(folder / "log")
    log.close()
    log.close()
    for use in (lambda: log.append(plain(1)), lambda: log.read(0)):
        with pytest.raises(LogError, match="closed"):
            use()


def check_threads_take_turns(open_log: OpenLog, folder: Path) -> None:
    log, n_threads, n_each = open_log(folder / "log"), 4, 25
    seen: list[list[int]] = []

    def write(thread: int) -> None:
        for k in range(n_each):
            start = thread * 1000 + 2 * k
            log.append(plain(2, start))

    def follow() -> None:
        offset, found = 0, []
        while offset < n_threads * n_each * 2:
            part, offset = log.read(offset, 7)
            found += part.numpy("time_ms").tolist()
        seen.append(found)

    threads = [Thread(target=write, args=(t,)) for t in range(n_threads)] + [Thread(target=follow)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert seen == [times(log)]
    for thread in range(n_threads):
        first = thread * 1000
        assert [t for t in seen[0] if t // 1000 == thread] == list(range(first, first + 2 * n_each))
    starts = seen[0][::2]
    assert [t + 1 for t in starts] == seen[0][1::2]  # a batch stays together
    log.close()


# ---- durable logs only -----------------------------------------------------------------------------------


def durable_reopening_finds_everything(open_log: OpenLog, folder: Path) -> None:
    for k in range(3):
        log = open_log(folder / "log")
        assert log.end == k * 5
        assert log.append(batch([f"{k}-{i}" for i in range(5)], k * 5, "file", k * 5)).n_new == 5
        assert log.append(batch(["0-0"], 99)).n_duplicate == 1
        assert log.append(plain(2, 0, "file", 0)).n_duplicate == 2
        log.close()
    log = open_log(folder / "log")
    assert times(log) == list(range(15))
    log.close()


def durable_two_handles_see_each_other(open_log: OpenLog, folder: Path) -> None:
    one, two = open_log(folder / "log"), open_log(folder / "log")
    assert one.append(batch(["a"], 0)) == (1, 1, 0)
    assert two.append(batch(["a", "b"], 1)) == (2, 1, 1)
    assert times(one) == times(two) == [0, 2]
    one.close()
    two.close()


def durable_what_is_dropped_and_forgotten_stays_so(open_log: OpenLog, folder: Path) -> None:
    """For logs that can be rewritten: each handle sees it, reads before the start are refused, offsets stay."""
    one, two = open_log(folder / "log"), open_log(folder / "log")
    one.append(plain(10))
    rewriting: Any = getattr(one, "rewriting", None)
    if rewriting is None:
        assert (one.start, one.epoch) == (0, 0)
        return
    with rewriting() as rewriter:
        rewriter.drop_before(4)
        rewriter.replace([6], lambda events, offsets: events.take(np.argsort(-offsets)))
        rewriter.erased(9, [("user", 3, "x")], {})
        assert (two.start, two.epoch) == (0, 0), "not before it is true"
        assert len(whole(two)) == 10, "reads do not wait"
    one.close()
    for log in (two, open_log(folder / "log")):
        assert (log.start, log.epoch, log.end) == (4, 1, 10)
        assert [e.renames for e in log.erasures()] == [(("user", 3, "x"),)]
        assert log.read(4)[0].numpy("time_ms").tolist() == [9, 8, 7, 6, 5, 4]
        with pytest.raises(LogError, match="starts at 4"):
            log.read(3)
        log.close()
    log = open_log(folder / "log")
    assert log.append(plain(1, 10)) == (11, 1, 0)
    log.close()


def durable_survives_kill_9(open_log: OpenLog, folder: Path, n_kills: int = 20, n_writers: int = 2) -> None:
    """Two processes append at once and are killed while they do, again and again, on one log.

    Each writer continues after the last event it was told of, so it re-sends, in batches cut differently,
    what had been written but not acknowledged.
    """
    path = folder / "log"
    random = rng(7, "kill")
    acked = [0] * n_writers
    for kill in range(n_kills):
        writers = [_Writer(open_log, path, w, acked[w], seed=kill) for w in range(n_writers)]
        for _ in range(int(random.integers(1, 12))):
            for w, writer in enumerate(writers):
                acked[w] = writer.next_ack()
        for w, writer in enumerate(writers):
            acked[w] = max(acked[w], writer.kill())
        log = open_log(path)
        _assert_all_there_once(log, acked)
        log.close()
    assert min(acked) > n_kills


def _assert_all_there_once(log: EventLog, acked: list[int]) -> None:
    found = whole(log).numpy("event_id").tolist()
    for w, n in enumerate(acked):
        of_writer = [int(i.partition("-")[2]) for i in found if i.startswith(f"{w}-")]
        assert of_writer == list(range(len(of_writer)))  # in order, each once, no gap
        assert len(of_writer) >= n


class _Writer:
    """A process that appends events "w-0", "w-1", … and says how many the log has acknowledged."""

    def __init__(self, open_log: OpenLog, path: Path, writer: int, start: int, seed: int) -> None:
        self._process, self._acks = start_process(append_for_ever, open_log, path, writer, start, seed)

    def next_ack(self) -> int:
        n: int = self._acks.recv()
        return n

    def kill(self) -> int:
        """Kill -9; the acknowledgements that were still on their way."""
        assert self._process.pid is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.join()
        last = 0
        try:
            while True:
                last = self.next_ack()
        except EOFError:
            self._acks.close()
            return last
