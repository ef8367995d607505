from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from feedmill.core.errors import LogError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.protocols import Receipt
from feedmill.core.request import FeedItem, Trace
from feedmill.log.memory import MemoryLog
from feedmill.serve.exposure import Exposer, impressions


def item(at: int) -> FeedItem:
    return FeedItem(item_id=f"i{at}", title="", position=at, value=0, channels={}, scores={}, why="")


def shown(request_id: str, n: int = 3) -> EventBatch:
    items = [item(i) for i in range(n)]
    trace = Trace(request_id=request_id, user_id="u", time_ms=7, version="v1", offset=42, items=items)
    return impressions(trace)


class Gated(MemoryLog):
    """A log whose appends wait until they are let through."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.open = threading.Semaphore(0), threading.Event()
        self.sizes: list[int] = []

    def append(self, batch: EventBatch) -> Receipt:
        self.asked.release()
        assert self.open.wait(20)
        self.sizes.append(len(batch))
        return super().append(batch)


@pytest.fixture
def gated() -> Iterator[tuple[Gated, Exposer]]:
    log = Gated()
    exposer = Exposer(log)
    yield log, exposer
    log.open.set()
    exposer.close()


def test_impressions_say_what_was_shown_where_and_of_which_features() -> None:
    batch = shown("r")
    assert batch.numpy("kind").tolist() == [int(Kind.IMPRESSION)] * 3
    assert batch.numpy("position").tolist() == [0, 1, 2]
    assert batch.table.column("item_id").to_pylist() == ["i0", "i1", "i2"]
    assert batch.table.column("request_id").to_pylist() == ["r"] * 3
    assert set(batch.table.column("payload").to_pylist()) == {'{"version":"v1","offset":42}'}


def test_what_was_written_is_in_the_log() -> None:
    log = MemoryLog()
    exposer = Exposer(log)
    exposer.write(shown("r"), 10)
    assert log.end == 3
    exposer.close()


def test_feeds_of_one_moment_share_one_write(gated: tuple[Gated, Exposer]) -> None:
    log, exposer = gated
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(exposer.write, shown("r0"), 20)
        assert log.asked.acquire(timeout=20)
        others = [pool.submit(exposer.write, shown(f"r{i}"), 20) for i in range(1, 5)]
        while exposer.n_waiting < 4:
            pass
        log.open.set()
        for each in (first, *others):
            each.result(20)
    assert log.sizes == [3, 12]


def test_a_slow_log_does_not_hold_a_feed_up_and_loses_nothing(gated: tuple[Gated, Exposer]) -> None:
    log, exposer = gated
    with pytest.raises(TimeoutError, match="10 ms"):
        exposer.write(shown("r"), 0.01)
    log.open.set()
    exposer.close()
    assert log.end == 3


def test_a_log_that_fails_says_so_to_every_feed_and_may_recover() -> None:
    class Failing(MemoryLog):
        fails = True

        def append(self, batch: EventBatch) -> Receipt:
            if self.fails:
                raise LogError("the disk is full")
            return super().append(batch)

    log = Failing()
    exposer = Exposer(log)
    for _ in range(2):
        with pytest.raises(LogError, match="disk is full"):
            exposer.write(shown("r"), 10)
    log.fails = False
    exposer.write(shown("r"), 10)
    assert log.end == 3
    exposer.close()
