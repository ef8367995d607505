"""The simulated audience and its videos beside the figures of real ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from feedmill.cli.bench.simulate.rows import plain
from feedmill.metrics.rows import BenchRow
from feedmill.sim import audience, catalogue
from feedmill.sim.config import WorldConfig
from feedmill.sim.day import HOURS, SHOWN_A_DAY
from feedmill.sim.live import live
from feedmill.sim.watch_reference import (
    EDGES_S,
    SEGMM,
    SEGMM_MEAN_S,
    SEGMM_QUANTILES_S,
    ReferenceFeed,
    by_fifth,
    reference_views,
)  # fmt: skip
from feedmill.sim.world import World

KUAIRAND, SEGMM_NAME = "KuaiRand", "SegMM"
DURATIONS_S = {0.05: 10.7, 0.25: 32.0, 0.5: 81.0, 0.75: 148.0, 0.95: 303.0}
A_DAY = {"sessions, mean": 9.5, "sessions, median": 9.0, "videos shown, mean": 425.0, "videos shown, median": 306.0,
         "minutes, mean": 66.0, "minutes, median": 49.0}  # fmt: skip
OF_A_FIFTH = ("mean seconds", "median seconds", "watched to the end", "left within 3 s", "played over 1.5 times")

Compared = tuple[str, str, float, float]
"""What, whose figure, the real one, the simulated one."""


def calibration_rows(quick: bool) -> list[BenchRow]:
    """Every figure twice: real, and simulated at the exposure at which it is taken to hold."""
    n = 10 if quick else 1
    config = WorldConfig(n_users=20_000 // n, n_videos=40_000 // n)
    out = []
    for what, source, real, simulated in [
        *of_videos(config),
        *of_people(config),
        *of_views(20_000 if quick else 200_000),
        *of_days(1500 // n, 12_000 // n),
    ]:
        out.append(plain(f"calibration: {what}", "real", real, source))
        out.append(plain(f"calibration: {what}", "simulated", simulated, source))
    return out


def of_videos(config: WorldConfig) -> Iterator[Compared]:
    """Durations, topics, authors."""
    videos = catalogue.make_videos(config, 3, 0, config.n_videos, -1)
    logs = np.log(videos.duration_s)
    yield "ln of duration, mean", KUAIRAND, 4.23, float(logs.mean())
    yield "ln of duration, sd", KUAIRAND, 1.03, float(logs.std())
    for share, real in DURATIONS_S.items():
        yield f"duration, {share:.0%} of videos, s", KUAIRAND, real, float(np.quantile(videos.duration_s, share))
    n_topics = (videos.topics >= 0).sum(axis=1)
    for k, real in enumerate(catalogue.N_EACH, 1):
        yield f"videos with {k} topic{'s' * (k > 1)}", KUAIRAND, real, float((n_topics == k).mean())
    shares = [(videos.topics == t).any(axis=1).mean() for t in range(config.n_topics)]
    for k, real in enumerate(catalogue.HEAD):
        yield f"videos with the topic of rank {k + 1}", KUAIRAND, real, float(sorted(shares)[-1 - k])
    authors = len(np.unique(videos.author)) / len(videos)
    yield "authors to videos", KUAIRAND, catalogue.AUTHORS_EACH, authors


def of_people(config: WorldConfig) -> Iterator[Compared]:
    """Classes of activity."""
    people = audience.make_people(config, 3, 0, config.n_users, -1)
    activity = people.activity(config.start_ms, config.habit.new_days)
    for k, name in enumerate(audience.CLASSES):
        real = audience.CLASS_SHARES[k] / sum(audience.CLASS_SHARES)
        yield f"people of class {name}", KUAIRAND, real, float((activity == k).mean())


def of_views(n: int) -> Iterator[Compared]:
    """Seconds watched, all and by duration."""
    world = World.make(WorldConfig(n_users=2000, n_videos=10_000), 1)
    duration_s, seconds = reference_views(world, 1, n)
    yield "seconds of a view, mean", SEGMM_NAME, SEGMM_MEAN_S, float(seconds.mean())
    for share, real in SEGMM_QUANTILES_S.items():
        yield f"seconds of a view, {share:.0%}", SEGMM_NAME, real, float(np.quantile(seconds, share))
    for k, (real_fifth, simulated) in enumerate(zip(SEGMM, by_fifth(duration_s, seconds), strict=True)):
        for name, real, ours in zip(OF_A_FIFTH, real_fifth, simulated, strict=True):
            yield f"{EDGES_S[k]:g}-{EDGES_S[k + 1]:g} s: {name}", SEGMM_NAME, real, ours


def of_days(n_full: int, n_scaled: int) -> Iterator[Compared]:
    """What people do on a day at full scale, and the shape of the day."""
    world = World.make(WorldConfig(n_users=n_full, n_videos=4000, views_per_day=SHOWN_A_DAY), 11)
    rows = live(world, ReferenceFeed(world, 3), 1, keep=False, what="a day at full scale").people
    ours = [f(x) for x in (rows.sessions, rows.views, rows.seconds / 60) for f in (np.mean, np.median)]
    for (name, real), simulated in zip(A_DAY.items(), ours, strict=True):
        yield f"a person a day: {name}", KUAIRAND, real, float(simulated)
    world = World.make(WorldConfig(n_users=n_scaled, n_videos=4000), 12)
    diary = live(world, ReferenceFeed(world, 3), 2, what="two days at a fourteenth")
    yield (
        "a person a day at 30 views: videos shown, mean",
        "scaled",
        world.config.views_per_day,
        float(diary.people.views.mean()),
    )
    for hour, (real, share) in enumerate(zip(_normal(HOURS), _hours(diary.views), strict=True)):
        if hour % 4 == 0:
            yield f"watch time of the hour from {hour}:00", KUAIRAND, real, share


def _hours(views: object) -> list[float]:
    from feedmill.sim.diary import ViewRows

    assert isinstance(views, ViewRows)
    return _normal(np.bincount(views.time_s // 3600 % 24, views.seconds, 24).tolist())


def _normal(shares: Sequence[float]) -> list[float]:
    return [x / sum(shares) for x in shares]
