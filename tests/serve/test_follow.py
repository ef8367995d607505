from __future__ import annotations

import threading

from feedmill.serve.follow import Follower

WAIT_S = 20


def test_jobs_run_again_and_again_and_one_that_fails_is_noted_and_tried_again() -> None:
    notes: list[tuple[str, str]] = []
    well, calls = threading.Event(), {"a": 0, "b": 0}

    def a() -> None:
        calls["a"] += 1
        if calls["a"] < 3:
            raise RuntimeError("not yet")

    def b() -> None:
        calls["b"] += 1
        if calls["a"] >= 3 and calls["b"] >= 3:
            well.set()

    follower = Follower({"a": (0.001, a), "b": (0.001, b)}, lambda name, error: notes.append((name, str(error))))
    follower.start()
    assert well.wait(WAIT_S)
    follower.stop()
    assert [error for name, error in notes if name == "a"][:3] == ["not yet", "not yet", "None"]
    assert {error for name, error in notes if name == "b"} == {"None"}
    stopped = dict(calls)
    assert stopped == calls


def test_a_wake_starts_the_first_job_and_no_other() -> None:
    first, second = threading.Event(), threading.Event()
    follower = Follower({"first": (3600, first.set), "second": (3600, second.set)}, lambda name, error: None)
    follower.start()
    follower.wake()
    assert first.wait(WAIT_S)
    follower.stop()
    assert not second.is_set()
