"""What each part of the chain is worth to those who watch it."""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from feedmill.cli.bench.simulate.lives import SLATE, Size
from feedmill.cli.bench.simulate.rows import bounded, plain
from feedmill.core.workspace import Workspace
from feedmill.metrics.rows import BenchRow
from feedmill.serve.engine import Engine
from feedmill.sim import figures, figures_videos
from feedmill.sim.ablation import WHOLE, frozen, learning, variants
from feedmill.sim.diary import Diary
from feedmill.sim.feeds.chain import ChainFeed
from feedmill.sim.feeds.chain_learning import Nights
from feedmill.sim.live import live
from feedmill.sim.settings import template
from feedmill.sim.world import World

AFTER = 2  # days that each variant goes on for
FULL, RELEARNED, QUICK = Size(1000, 2000, 7, 3), Size(500, 1000, 5, 2), Size(60, 120, 2, 1)
N_WORLDS = 2
YOUNG_DAYS = 2
OVER = "95 % over people, paired"


def ablation_rows(quick: bool, text: str = "") -> list[BenchRow]:
    """The chain of some days, and how it goes on without each of its parts while nobody learns.

    Args:
        text: of feedmill.toml; "" = that of `feedmill simulate`.
    """
    size, n = (QUICK, 1) if quick else (FULL, N_WORLDS)
    worlds = [went_on(size, seed, text or template()) for seed in range(n)]
    what = f"{n} worlds of {size}, then {AFTER} days"
    return [plain("ablation", "worlds", n, what), *compared("ablation", worlds, 0)]


def relearned_rows(quick: bool, text: str = "") -> list[BenchRow]:
    """The chain without each of its parts from the first day on: each learns from what it has shown itself."""
    size = QUICK if quick else RELEARNED
    text = text or template()
    with tempfile.TemporaryDirectory() as folder:
        chosen = variants(tomllib.loads(text))
        lives = learning(text, World.make(size.config, 0), chosen, size.days, Path(folder), slate=SLATE)
    return [plain("relearned", "worlds", 1, str(size)), *compared("relearned", [lives], size.first)]


def went_on(size: Size, seed: int, text: str) -> dict[str, Diary]:
    """By what is taken away: the days after a whole life."""
    world = World.make(size.config, seed)
    with tempfile.TemporaryDirectory() as folder:
        at = Workspace.create(Path(folder) / "chain", text)
        with Engine.open(at) as engine:
            feed = ChainFeed(engine, Nights(at), slate=SLATE, seed=seed)
            live(world, feed, size.days, slate=SLATE, keep=False, what=f"{WHOLE}, world {seed}")
        return frozen(at, world, feed.known, variants(at.raw), AFTER, Path(folder), slate=SLATE, seed=seed)


def compared(part: str, worlds: Sequence[Mapping[str, Diary]], first: int) -> list[BenchRow]:
    """Watch time without each part to that with all, of all worlds' people together, and what new videos get.

    Args:
        first: the first day that counts.
    """
    out = []
    for name in worlds[0]:
        pairs = [(x[name], x[WHOLE]) for x in worlds]
        seconds = [[figures.per_person(d, "expected", first) for d in pair] for pair in pairs]
        seconds = [[np.pad(s, (0, max(map(len, pair)) - len(s))) for s in pair] for pair in seconds]
        ours, whole = (np.concatenate([pair[k] for pair in seconds]) for k in range(2))
        what = f"{part}: {name}"
        if name != WHOLE:
            out.append(bounded(what, "watch time", figures.ratio(ours, whole, 0), f"relative; {OVER}", less=1.0))
        young = [float(figures_videos.by_age(d).share[:YOUNG_DAYS].sum()) for d, _ in pairs]
        out.append(
            plain(what, "views of new videos", float(np.mean(young)), f"share; videos of {YOUNG_DAYS} days or less")
        )
    return out
