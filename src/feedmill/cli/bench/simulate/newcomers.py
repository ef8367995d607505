"""Where the views of new videos come from, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from feedmill.cli.bench.simulate.lives import SLATE, Life, Size, lived
from feedmill.cli.bench.simulate.rows import bounded, over, plain
from feedmill.cli.simulation.summarise import waiting
from feedmill.metrics.rows import BenchRow
from feedmill.sim import figures, figures_videos
from feedmill.sim.diary import Diary

SOURCES: Mapping[str, tuple[str, str]] = {
    "exploration quota": ("explore_slots=1,explore_below=30", "explore_slots=0"),
    "freshness": ("fresh_bonus=0.3,learner.use_age=true", "fresh_bonus=0,learner.use_age=false"),
    "content features": ("learner.use_content=true", "learner.use_content=false"),
    "popularity discount": ("discount=0.1", "discount=0"),
}
"""What a new video may owe its views to: turned on, and off. Freshness is a bonus and what is learned of age."""
OTHERS = ("popular", "itemcf", "oracle")
"""Policies that do not explore, and what who knows the truth gives to new videos."""
ALL, NONE = "all four", "none of them"
FULL, QUICK = Size(2000, 4000, 8, 4), Size(150, 150, 3, 2)
N_WORLDS = 3
YOUNG_DAYS, LONGER = 2, (2, 7)


def ways() -> dict[str, str]:
    """What it is called -> a policy: all sources, all but each, each alone, none; ``OTHERS``."""
    kept: dict[str, set[str]] = {ALL: set(SOURCES)}
    kept |= {f"no {name}": set(SOURCES) - {name} for name in SOURCES}
    kept |= {f"{name} alone": {name} for name in SOURCES} | {NONE: set()}
    return {what: f"fast:{_settings(of)}" for what, of in kept.items()} | {name: name for name in OTHERS}


def video_rows(quick: bool) -> list[BenchRow]:
    """What new videos get with each source of exposure and without it, and what people watch for it."""
    size, n = (QUICK, 1) if quick else (FULL, N_WORLDS)
    lives: dict[str, list[Life]] = {}
    for what, policy in ways().items():
        lives[what] = [lived(policy, size, seed, keep=True) for seed in range(n)]
    out = [plain("videos", "worlds", n, str(size))]
    for what, mine in lives.items():
        out += exposure(what, [x.diary for x in mine])
        for other in (ALL, NONE):
            if what != other:
                out.append(_cost(what, other, mine, lives[other], size.first))
        out.append(over(f"videos: {what}", "minutes a day", [x.minutes(size.first) for x in mine], "min"))
    return out


def exposure(what: str, diaries: Sequence[Diary]) -> list[BenchRow]:
    """What videos get that arrive during the diaries, which have kept their views."""
    what = f"videos: {what}"
    found = [figures_videos.new_videos(d, 0, YOUNG_DAYS) for d in diaries]
    out = [over(what, "views", [x.share_of_views for x in found], f"share; videos in their first {YOUNG_DAYS} days")]
    out.append(over(what, "in the quota's slot", [_in_slot(d) for d in diaries], "share of those views"))
    out.append(over(what, "never seen", [1 - x.shown.mean for x in found], f"share, in {YOUNG_DAYS} days"))
    reached = [waiting(d) for d in diaries]
    for days in LONGER:
        by_then = [
            float(np.interp(24.0 * days, hours, share)) if hours[-1] >= 24 * days else np.nan
            for hours, share in reached
        ]
        out.append(over(what, f"100 views in {days} days", by_then, "share; Kaplan-Meier"))
    half = [float(h[np.argmax(s >= 0.5)]) for h, s in reached if (s >= 0.5).any()]
    if len(half) == len(reached):
        out.append(over(what, "hours until half have 100", half, "h"))
    return out


def _in_slot(diary: Diary) -> float:
    """Of the views of new videos, the share in the middle of the slate, where the quota's only slot is."""
    views = diary.views
    assert views is not None
    arrived = diary.arrived_day[views.item]
    is_young = (arrived >= 0) & (views.day < arrived + YOUNG_DAYS)
    return float((views.position[is_young] == SLATE // 2).mean()) if is_young.any() else float("nan")


def _cost(what: str, other: str, mine: Sequence[Life], theirs: Sequence[Life], first: int) -> BenchRow:
    """Expected watch time of the settled days, person by person, all worlds together."""
    columns = []
    for lives in (mine, theirs):
        columns.append([figures.per_person(x.diary, "expected", first) for x in lives])
    sizes = [max(map(len, pair)) for pair in zip(*columns, strict=True)]
    ours, base = (np.concatenate([np.pad(x, (0, n - len(x))) for x, n in zip(c, sizes, strict=True)]) for c in columns)
    unit = "relative; 95 % over people, paired"
    return bounded(f"videos: {what}", f"watch time to {other}", figures.ratio(ours, base, 0), unit, less=1.0)


def _settings(kept: set[str]) -> str:
    return ",".join(values[0 if name in kept else 1] for name, values in SOURCES.items())
