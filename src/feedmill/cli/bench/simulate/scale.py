"""How fast an audience lives, where the time goes, what it takes in memory, and whether it lives twice alike."""

from __future__ import annotations

import resource
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from feedmill.cli.bench.simulate.lives import SLATE, Size
from feedmill.cli.bench.simulate.rows import plain
from feedmill.core.progress import progress
from feedmill.metrics.rows import BenchRow
from feedmill.sim.diary import Diary
from feedmill.sim.feeds.fast.config import FastConfig, LearnerConfig
from feedmill.sim.feeds.fast.feed import FastFeed
from feedmill.sim.feeds.fast.learner import Learner
from feedmill.sim.live import live
from feedmill.sim.views import Asks, Slates
from feedmill.sim.world import World

SIZES = (Size(1000, 2000, 30, 1), Size(3000, 6000, 30, 1), Size(10_000, 20_000, 30, 1))  # ascending: peaks of memory
QUICK = (Size(100, 200, 3, 1), Size(200, 400, 3, 1))
TWICE = 1  # of the sizes: runs twice
PARTS: Mapping[str, tuple[str, ...]] = {
    "world": ("begin_day", "describe", "respond", "end_day"),
    "feed": ("describe", "slates", "take", "night"),
    "learner": ("describe", "take", "night"),
}
REST = "loop and diary"
N_PAGES = 5


class Ran(NamedTuple):
    """One run: seconds of wall time and of both cores, wall time by part; no view is kept."""

    seconds: float
    cpu_s: float
    parts: dict[str, float]
    diary: Diary
    peak_mb: float


def scale_rows(quick: bool) -> list[BenchRow]:
    """Whole runs of several sizes with the fast feed; the same again; and people's responses alone."""
    sizes = QUICK if quick else SIZES
    ran(Size(50, 100, 2, 1), 0)  # what is compiled is compiled
    out = []
    for k, size in enumerate(sizes):
        one = ran(size, 0)
        out += told(size, one)
        if k == TWICE:
            is_same = ran(size, 0).diary.digest() == one.diary.digest()
            out.append(plain(f"scale: {size.users:,} people", "same seed, same bytes", float(is_same), "1 = yes"))
    n_views, seconds = responses(sizes[-1])
    return [*out, plain("scale: responses alone", "responses/s", n_views / seconds, f"one thread, n = {n_views:,}")]


def ran(size: Size, seed: int) -> Ran:
    """The fast feed for all days, no view kept."""
    began, began_cpu = time.perf_counter(), time.process_time()
    world = World.make(size.config, seed)
    feed = FastFeed(FastConfig(), Learner(LearnerConfig(), seed), seed)
    spent: dict[str, float] = defaultdict(float)
    spent["world"] += time.perf_counter() - began
    for part, of in (("world", world), ("feed", feed), ("learner", feed.learner)):
        for name in PARTS[part]:
            setattr(of, name, _timed(getattr(of, name), part, spent))
    diary = live(world, feed, size.days, slate=SLATE, keep=False, what=str(size))
    if diary.n_days < size.days:
        raise KeyboardInterrupt
    seconds = time.perf_counter() - began
    spent["feed"] -= spent["learner"]  # is inside
    parts = {part: spent[part] for part in PARTS}
    return Ran(
        seconds, time.process_time() - began_cpu, {**parts, REST: seconds - sum(parts.values())}, diary, peak_mb()
    )


def told(size: Size, one: Ran) -> list[BenchRow]:
    """Rows of one run."""
    what, n = f"scale: {size.users:,} people", int(one.diary.people.views.sum())
    out = [
        plain(what, "wall", one.seconds, f"s; {size}, {one.diary.people.views.mean():.1f} views a day and person"),
        plain(what, "cpu", one.cpu_s, "s, of all cores"),
        plain(what, "views", n),
        plain(what, "peak memory", one.peak_mb, "MB"),
        plain(what, "a view", 1e6 * one.seconds / n, "us"),
    ]
    return out + [plain(what, f"a view, {part}", 1e6 * s / n, "us") for part, s in one.parts.items()]


def responses(size: Size) -> tuple[int, float]:
    """(views, seconds) of people who look at slates drawn by chance, everybody in one call, in one thread."""
    world, random = World.make(size.config, 0), np.random.default_rng(0)
    user, on = np.unique(world.begin_day().user), np.flatnonzero(world.videos.is_on)
    n_views, seconds = 0, 0.0
    with progress("responses", N_PAGES) as advance:
        for page in range(N_PAGES):
            asks = Asks(
                user, np.full(len(user), world.now_ms + page * 600_000), np.full(len(user), min(page, 1), np.int32)
            )
            slates = Slates(on[random.integers(0, len(on), (len(asks), SLATE))].astype(np.int32))
            began = time.perf_counter()
            n_views += len(world.respond(asks, slates).views)
            seconds += time.perf_counter() - began
            advance(1)
    return n_views, seconds


def peak_mb() -> float:
    """Of this process until now."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _timed(call: Callable[..., Any], part: str, spent: dict[str, float]) -> Callable[..., Any]:
    def timed(*args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        try:
            return call(*args, **kwargs)
        finally:
            spent[part] += time.perf_counter() - began

    return timed
