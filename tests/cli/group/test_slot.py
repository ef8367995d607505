"""When a part comes back, and what is said of it; its processes are commands that end at once."""

from __future__ import annotations

import io
from queue import SimpleQueue

import pytest

from feedmill.cli.group.config import RunConfig
from feedmill.cli.group.lines import Lines
from feedmill.cli.group.slot import Slot
from feedmill.core.clock import FixedClock

CONFIG = RunConfig(backoff_s=1, backoff_most_s=4)
MINUTE_MS = 60_000


class Stage:
    """A slot, a clock that is moved by hand, and what was said."""

    def __init__(self, is_job: bool, *command: str) -> None:
        self.out, self.now_ms = io.StringIO(), 1_000_000
        self.heard: SimpleQueue[str | int] = SimpleQueue()
        later = (lambda now_ms: now_ms + MINUTE_MS) if is_job else None
        lines = Lines(stream=self.out, clock=FixedClock())
        self.slot = Slot("part", command, CONFIG, lines, lambda _, what: self.heard.put(what), later)

    def run(self) -> None:
        """From its start to its end."""
        self.slot.start(self.now_ms)
        assert self.slot.child is not None, "it was not due"
        while self.slot.child is not None:
            what = self.heard.get(timeout=60)
            if isinstance(what, str):
                self.slot.said(what)
            else:
                self.slot.ended(what, self.now_ms)

    def pauses_s(self, n: int) -> list[float]:
        """Seconds from each of n ends to the start after it."""
        out = []
        for _ in range(n):
            self.run()
            out.append((self.slot.due_ms - self.now_ms) / 1e3)
            self.slot.start(self.slot.due_ms - 1)
            assert self.slot.child is None, "too early"
            self.now_ms = self.slot.due_ms
        return out


@pytest.mark.slow
def test_what_is_refused_is_said_once_and_tried_again_with_growing_pauses(tmp_path: object) -> None:
    stage = Stage(False, "config", "--dir", f"{tmp_path}")  # no workspace: exit 1, with words
    assert stage.pauses_s(4) == [1, 2, 4, 4]
    said = stage.out.getvalue()
    assert said.count("not now: ") == 1
    assert "warning" in said
    assert "feedmill.toml" in said
    assert not stage.slot.is_well
    assert stage.slot.restarts == 0


@pytest.mark.slow
def test_a_job_that_dies_comes_back_before_its_time_and_one_that_is_done_does_not() -> None:
    died = Stage(True, "config", "--nonsense")  # wrong usage: exit 2
    assert died.pauses_s(2) == [1, 2]
    assert died.slot.restarts == 1
    assert "ended with code 2; started again in 1 s" in died.out.getvalue()
    done = Stage(True, "--version")
    assert done.pauses_s(1) == [60]
    assert done.slot.is_well
    assert "done in" in done.out.getvalue()


@pytest.mark.slow
def test_a_follower_that_ends_well_has_ended_all_the_same() -> None:
    stage = Stage(False, "--version")
    assert stage.pauses_s(1) == [1]
    assert "ended with code 0; started again" in stage.out.getvalue()


@pytest.mark.slow
def test_a_clock_that_was_set_back_puts_nothing_off() -> None:
    stage = Stage(True, "--version")
    stage.run()
    stage.now_ms -= 100 * MINUTE_MS
    stage.slot.start(stage.now_ms)
    assert stage.slot.child is None
    assert stage.slot.due_ms == stage.now_ms + MINUTE_MS
