"""What has been served, counted: cheap to add to for every request, and turned into words only when somebody asks.

Each engine counts for itself; nothing is kept for the process as a whole.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from threading import Lock

from feedmill.core.protocols import Receipt
from feedmill.core.request import Trace

STAGE_MS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 1000.0)
HTTP_MS = (0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2500.0, 10_000.0)
REASONS = frozenset({"deadline", "failed", "late", "behind", "not trained"})  # others name settings, and are many


class Histogram:
    """How many of what size: ``counts[i]`` at most ``bounds[i]``, the last one beyond all of them."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds, self.counts, self.sum = bounds, [0] * (len(bounds) + 1), 0.0

    def add(self, value: float) -> None:
        """One more; at most a bound is within it."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Stage:
    """One stage of feeds: its time, and how many candidates went in and came out."""

    __slots__ = ("ms", "n_in", "n_out")

    def __init__(self) -> None:
        self.ms, self.n_in, self.n_out = Histogram(STAGE_MS), 0, 0


class Metrics:
    """Counts of one engine. Safe to share between threads.

    Attributes:
        stages: by name.
        degraded: answers by (what, reason) of what they had to do without.
        exposures: requests whose impressions are in the log, by (experiment, arm) that acted in them.
        requests: HTTP answers by (route, status).
        seconds: how long they took, in milliseconds, by route.
        events: taken in, by "new" or "duplicate".
        at_once: how many requests are worked on or wait now, by "feeds" or "events".
        lock: held while several of these are read.
    """

    def __init__(self) -> None:
        self.lock = Lock()
        self.feeds, self.shown = Histogram(STAGE_MS), 0
        self.stages: dict[str, Stage] = {}
        self.degraded: Counter[tuple[str, str]] = Counter()
        self.exposures: Counter[tuple[str, str]] = Counter()
        self.requests: Counter[tuple[str, str]] = Counter()
        self.seconds: dict[str, Histogram] = {}
        self.events: Counter[str] = Counter()
        self.at_once: dict[str, Callable[[], int]] = {}

    @property
    def n_feeds(self) -> int:
        """Feeds answered."""
        return sum(self.feeds.counts)

    def feed(self, trace: Trace, exposed: bool) -> None:
        """A feed that was answered."""
        with self.lock:
            self.feeds.add(trace.ms)
            self.shown += len(trace.items)
            for entry in trace.stages:
                stage = self.stages.get(entry.stage)
                if stage is None:
                    stage = self.stages[entry.stage] = Stage()
                stage.ms.add(entry.ms)
                stage.n_in += entry.n_in
                stage.n_out += entry.n_out
            for what in trace.degraded:
                self.degraded[family(what)] += 1
            if exposed:
                self.exposures.update(trace.acted.items())

    def request(self, route: str, status: int, ms: float) -> None:
        """An HTTP request that was answered."""
        with self.lock:
            self.requests[route, str(status)] += 1
            if route not in self.seconds:
                self.seconds[route] = Histogram(HTTP_MS)
            self.seconds[route].add(ms)

    def append(self, receipt: Receipt) -> None:
        """Events that were taken in."""
        with self.lock:
            self.events["new"] += receipt.n_new
            self.events["duplicate"] += receipt.n_duplicate


def family(what: str) -> tuple[str, str]:
    """What an answer had to do without and why, without what would make every answer its own kind: "rank: deadline" is
    ("rank", "deadline"), and whatever an experiment says of its settings is ("experiments", "")."""
    subject, _, reason = what.partition(": ")
    return subject, reason if reason in REASONS else ""
