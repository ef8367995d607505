"""kill -9 at moments of chance, across everything that writes; then whether anything was lost, doubled or half done.

A moment is a share of the time that a part takes, or one of its changes of files (opened to be written, renamed,
removed, locked) and some lines of code after it: the former fall anywhere, the latter amid the steps of what has to be
whole or not there.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from feedmill.core.clock import rng
from feedmill.core.errors import FeedmillError
from feedmill.publish import current, delta, load
from torture import checks, world
from torture.clients import FAST_S, SLOW_S, Prober, Writer
from torture.victims import Victim

SHARES = {"serve": 0.2, "append": 0.15, "join": 0.25, "incremental": 0.15, "nightly": 0.1, "publish": 0.15}
JOBS = ("append", "join", "incremental", "nightly", "publish")
NEEDS = {
    "join": ("append",),
    "incremental": ("append", "join"),
    "nightly": ("append", "join"),
}  # before it, so that it has something to do
MOST_LINES, LINES, KILLED = 16, (0, 1, 2, 3, 5), -9
MOST_TRIES = 8  # of a moment that came after the end
DIRTY = 0.4  # how often a part is killed again before it has once come through


@dataclass(frozen=True)
class Kill:
    """One, as it was.

    Attributes:
        by: "time" or "step".
        moment: seconds from the start, or the number of a step.
        lines: of code after that step; 0 = right before it.
        recovered_s: until the part had come through again, or answered; None where it was killed again first.
    """

    number: int
    part: str
    by: str
    moment: float
    lines: int = 0
    recovered_s: float | None = None


@dataclass
class Report:
    """What was done and what came of it: ``checks`` has (what, whether it holds, words)."""

    seed: int
    kills: list[Kill] = field(default_factory=list)
    checks: list[tuple[str, bool, str]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        return bool(self.checks) and all(ok for _, ok, _ in self.checks)

    def as_dict(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "seconds": self.seconds,
            "kills": [vars(kill) for kill in self.kills],
            "checks": [{"what": what, "holds": ok, "words": words} for what, ok, words in self.checks],
        }

    def table(self) -> str:
        lines = [f"{len(self.kills)} kills, seed {self.seed}, {self.seconds:.0f} s", ""]
        lines.append(f"{'part':<12}{'by time':>8}{'by step':>8}{'came through':>14}{'median s':>10}{'most s':>8}")
        for part in SHARES:
            own = [k for k in self.kills if k.part == part]
            took = [k.recovered_s for k in own if k.recovered_s is not None]
            n_time = sum(k.by == "time" for k in own)
            s = f"{median(took):>10.2f}{max(took):>8.2f}" if took else ""
            lines.append(f"{part:<12}{n_time:>8}{len(own) - n_time:>8}{len(took):>14}{s}")
        return "\n".join([*lines, "", *(f"{'ok    ' if ok else 'FAILED'}  {what}: {w}" for what, ok, w in self.checks)])


class Torture:
    """A workspace under torture.

    Args:
        folder: a new one.
        seed: of what is killed when. The moments are the same for a seed, what they hit is up to the machine too.
    """

    def __init__(self, folder: Path, seed: int, say: Callable[[str], None] = lambda line: None) -> None:
        self.at, self.report, self._say = world.make(folder), Report(seed), say
        self._folder, self._random = folder, rng(seed, "torture")
        self._alive, self._port = threading.Event(), _free_port()
        self._ends = threading.Event()  # never set: to let a while pass
        self._took: dict[str, tuple[float, int]] = {}
        self._n_published, self._direct = 0, 0
        self.acknowledged: list[str] = []
        self.learned: dict[tuple[str, int], tuple[int, int]] = {}

    def run(self, kills: int, every: str = "") -> Report:
        """All of it.

        Args:
            kills: at moments of chance.
            every: a part that is killed besides at every step that it takes, and 1, 2, 3 and 5 lines after each.
        """
        begun = time.monotonic()
        self._through("train")
        self._serve()
        url = f"http://127.0.0.1:{self._port}"
        self.writer = Writer(url, self._alive, world.TRAINED_FEEDS)
        self.prober = Prober(url, self._alive, self.at.artifacts, lambda k: f"u{k % world.N_USERS}")
        self._direct = world.TRAINED_FEEDS
        try:
            self._round()
            for number, part in enumerate(self._parts(kills)):
                self._kill(number, part)
                self._look()
            if every:
                self._kill_everywhere(every)
            self._round()
        finally:
            self.writer.end()
            self.prober.end()
            self._alive.clear()
            self._service.terminate()
            self._to_end(self._service)
        self._look()
        self.acknowledged += self.writer.acknowledged
        self._through("join")
        self.report.checks += checks.all_of(self)
        self.report.seconds = time.monotonic() - begun
        return self.report

    def _round(self) -> None:
        """Every part once, to its end."""
        for part in JOBS:
            self._through(part)
            self._look()

    def _parts(self, kills: int) -> list[str]:
        """Each part its share, in an order of chance."""
        exact = np.array(list(SHARES.values())) * kills
        n = np.floor(exact).astype(int)
        n[np.argsort(n - exact, kind="stable")[: kills - n.sum()]] += 1
        return [str(part) for part in self._random.permutation(np.repeat(list(SHARES), n))]

    def _kill(self, number: int, part: str) -> None:
        by = "time" if part in ("serve", "append") or self._random.random() < 0.5 else "step"
        recovers = self._random.random() >= DIRTY
        lines = int(self._random.integers(MOST_LINES)) if by == "step" else 0
        moment = self._kill_service() if part == "serve" else self._kill_job(part, by, lines)
        start = time.monotonic()
        if part == "serve":
            self._serve()
        elif recovers:
            self._through(part)
        recovered_s = time.monotonic() - start if recovers or part == "serve" else None
        self.report.kills.append(Kill(number, part, by, round(moment, 4), lines, recovered_s))
        self._say(f"{number + 1:>4}  {part:<12} by {by} at {moment:.3g}{f' and {lines} lines' if lines else ''}")

    def _kill_everywhere(self, part: str) -> None:
        self._prepare(part)
        self._through(part)
        step = 0
        while step < self._took[part][1]:
            step += 1
            self._prepare(part)
            for lines in LINES:
                victim = Victim(part, self._folder, *self._args(part), at_step=step, lines=lines)
                if self._to_end(victim, part) == KILLED:
                    self.report.kills.append(Kill(len(self.report.kills), part, "step", step, lines))
                    self._say(f"{len(self.report.kills):>4}  {part:<12} by step at {step} and {lines} lines")
                else:
                    self._prepare(part)
                self._look()
            self._through(part)

    def _kill_service(self) -> float:
        """While it is written to as fast as it takes it, or, one time in four, while it starts again after that."""
        moment = float(self._random.uniform(0, 1.5))
        twice = self._random.random() < 0.25
        early = float(self._random.uniform(0, self._took["serve"][0]))
        self.writer.pause_s = FAST_S
        self._ends.wait(moment)
        self._end_service()
        self.writer.pause_s = SLOW_S
        if twice:
            self._service = Victim("serve", self._folder, self._port)
            self._ends.wait(early)
            self._end_service()
            return early
        return moment

    def _end_service(self) -> None:
        self._alive.clear()
        self._service.kill()
        self._to_end(self._service)

    def _kill_job(self, part: str, by: str, lines: int) -> float:
        """Kill a part at a moment of chance within what it took the last time; a sooner one if it was through."""
        share = float(self._random.random())
        for _ in range(MOST_TRIES):
            self._prepare(part)
            took_s, steps = self._took[part]
            step = 1 + int(share * steps) if by == "step" else 0
            victim = Victim(part, self._folder, *self._args(part), at_step=step, lines=lines)
            heard = self._until(victim, "go")
            until = time.monotonic() + took_s * share
            while by == "step" or (left := until - time.monotonic()) > 0:
                heard = victim.hear(None if by == "step" else left)
                if heard is None or heard[0] in ("ended", "done"):
                    break
                self._note(part, heard)
            victim.kill()
            if self._to_end(victim, part) == KILLED and (heard is None or heard[0] != "done"):
                return step or took_s * share
            share *= 0.7
        raise AssertionError(f"{part} was through before every moment that was tried")

    def _prepare(self, part: str) -> None:
        for before in NEEDS.get(part, ()):
            self._through(before)

    def _serve(self) -> None:
        start = time.monotonic()
        self._service = Victim("serve", self._folder, self._port)
        self._until(self._service, "ready")
        self._took["serve"] = time.monotonic() - start, 0
        self._alive.set()

    def _through(self, part: str) -> None:
        """Run a part to its end."""
        victim, start, is_done = Victim(part, self._folder, *self._args(part)), 0.0, False
        while (heard := victim.hear()) and heard[0] != "ended":
            self._note(part, heard)
            if heard[0] == "go":
                start = time.monotonic()
            elif heard[0] == "done":
                most = max(heard[1], self._took.get(part, (0.0, 0))[1])  # there may be little to do this time
                self._took[part], is_done = (time.monotonic() - start, most), True
        if not is_done:
            raise AssertionError(f"{part} ended with {heard}")

    def _args(self, part: str) -> tuple[int, ...]:
        if part == "append":
            return self._direct, self.writer.number
        if part == "publish":
            self._n_published += 1
            return (self._n_published,)
        return ()

    def _note(self, part: str, heard: tuple[Any, ...]) -> None:
        if heard[0] == "failed":
            raise AssertionError(f"{part} failed: {heard[1]}")
        if heard[0] == "appended":
            self.acknowledged += [event["event_id"] for event in world.feed("direct", heard[1])]
            self._direct = heard[1] + 1

    def _until(self, victim: Victim, what: str) -> tuple[Any, ...]:
        while (heard := victim.hear(120)) is not None and heard[0] != what:
            if heard[0] in ("ended", "failed"):
                raise AssertionError(f"a process never said {what!r}: {heard}")
        if heard is None:
            raise AssertionError(f"nothing was heard for two minutes; awaited was {what!r}")
        return heard

    def _to_end(self, victim: Victim, part: str = "") -> int:
        """Hear it out; its exit code."""
        while (heard := victim.hear()) is None or heard[0] != "ended":
            if heard is not None and part:
                self._note(part, heard)
        return int(heard[1])

    def _look(self) -> None:
        """What must hold at every moment, whoever was killed: what serves is whole, and so is each delta of it."""
        where = f"after kill {len(self.report.kills)} of seed {self.report.seed}: {self.report.kills[-1:]}"
        for client in (self.writer, self.prober):
            if client.problem:
                raise AssertionError(f"{client.problem} {where}")
        try:
            load(self.at.artifacts)
            for path in (self.at.artifacts / delta.FOLDER / str(current(self.at.artifacts))).glob("[0-9]*"):
                delta.read(path)
            if found := checks.labels(self.at):
                self.learned[found[0]] = found[1]
        except FeedmillError as e:
            raise AssertionError(f"{e} {where}") from e


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def to_stderr(line: str) -> None:
    """Progress, for a person."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
