from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from feedmill.serve.readers_writer import ReadersWriter

WAIT_S = 20


def test_readers_read_together() -> None:
    lock, met = ReadersWriter(), threading.Barrier(3)

    def read() -> None:
        with lock.reading():
            met.wait(WAIT_S)

    with ThreadPoolExecutor(3) as pool:
        for job in [pool.submit(read) for _ in range(3)]:
            job.result(WAIT_S)


def test_a_writer_is_alone_and_every_write_counts() -> None:
    lock, count, inside = ReadersWriter(), 0, 0

    def write() -> None:
        nonlocal count, inside
        for _ in range(200):
            with lock.writing():
                inside += 1
                assert inside == 1
                count += 1
                inside -= 1

    def read() -> None:
        for _ in range(200):
            with lock.reading():
                assert inside == 0

    with ThreadPoolExecutor(6) as pool:
        for job in [pool.submit(each) for each in (write, read) * 3]:
            job.result(WAIT_S)
    assert count == 600


def test_a_waiting_writer_goes_before_new_readers() -> None:
    lock, order = ReadersWriter(), list[str]()
    reading, done = threading.Event(), threading.Event()

    def long_read() -> None:
        with lock.reading():
            reading.set()
            assert done.wait(WAIT_S)
        order.append("read")

    def write() -> None:
        with lock.writing():
            order.append("write")

    def late_read() -> None:
        with lock.reading():
            order.append("late")

    with ThreadPoolExecutor(3) as pool:
        jobs = [pool.submit(long_read)]
        assert reading.wait(WAIT_S)
        jobs.append(pool.submit(write))
        while not lock.writers_waiting:
            pass
        jobs.append(pool.submit(late_read))
        done.set()
        for job in jobs:
            job.result(WAIT_S)
    assert order.index("write") < order.index("late")


def test_an_error_inside_lets_go() -> None:
    lock = ReadersWriter()
    for held in (lock.reading, lock.writing, lock.reading):
        with pytest.raises(ValueError, match="inside"), held():
            raise ValueError("inside")
    with lock.writing():
        pass
