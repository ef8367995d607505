"""A simulation as it is kept, made up: four policies that differ as one would think."""

from __future__ import annotations

import msgspec
import numpy as np

from feedmill.cli.simulation.summary import (
    Bounds,
    Channel,
    Day,
    Experiment,
    FirstDay,
    Look,
    NewVideos,
    Policy,
    Shown,
    Simulation,
    Stage,
)
from feedmill.core.clock import rng

LEVELS = {"chance": 0.42, "popular": 0.58, "itemcf": 0.69, "chain": 0.86, "oracle": 1.0}
HOURS = [float(h) for h in range(0, 24 * 7 + 1, 6)]


def around(value: float, width: float) -> Bounds:
    return Bounds.of(value, value - width, value + width)


def policy(name: str, level: float, n_days: int = 7) -> Policy:
    draw = rng(0, name)
    rise = level * (1 - 0.25 * np.exp(-np.arange(n_days)) * (name in ("itemcf", "chain")))
    days = [
        Day(
            day=d,
            views=int(24_000 * (0.6 + 0.4 * level)),
            people=int(900 - (1 - level) * 40 * d + draw.integers(0, 12)),
            new_people=0 if d == 0 else 5,
            minutes=float(9 * x),
            share=around(float(x), 0.02 if name != "oracle" else 0.0),
            now=around(float(x) - 0.1, 0.02),
            new_share=0.03 + 0.02 * float(draw.random()),
        )
        for d, x in enumerate(rise)
    ]
    again = [around(0.5 * level + 0.3 + 0.1 / k, 0.02) for k in range(1, n_days)]
    return Policy(
        name=name,
        days=days,
        minutes=around(8 * level, 0.2),
        share=around(level, 0.012) if name != "oracle" else Bounds(1.0, 1.0, 1.0),
        now=around(level - 0.1, 0.01),
        retention=again,
        retention_new=again,
        first_day=FirstDay(
            view_s=around(11 + 6 * level, 1.0),
            view_s_others=around(12 + 12 * level, 0.3),
            views=around(20.0, 2.0),
            views_others=around(30.0, 0.5),
            again=around(0.4 + 0.3 * level, 0.1),
            again_others=around(0.6 + 0.3 * level, 0.01),
        ),
        new_videos=NewVideos(
            videos=420,
            hours=HOURS,
            reached=[float(0.6 * (1 - np.exp(-h / 60)) * level) for h in HOURS],
            enough=around(0.2 * level, 0.02),
            unseen=around(1 - 0.9 * level, 0.01),
            median_hours=None if level < 0.7 else 50.0,
        ),
        shown=Shown(
            topics_apart=around(0.97 - 0.05 * level, 0.004),
            n_topics=around(7 - level, 0.1),
            n_authors=around(8 - level, 0.1),
            coverage=1 - 0.6 * (level - 0.42),
            gini=0.2 + 0.6 * (level - 0.42),
            by_age=[*(0.05 / (1 + k) * level for k in range(14)), 0.6],
        ),
        run_s=10.0,
        beside="" if name == "chance" else "chance",
        more=Bounds() if name == "chance" else around(0.2, 0.03),
    )


VARIANTS = [
    msgspec.structs.replace(policy(f"chain, no {part}", 0.86 + more), beside="chain", more=around(more, 0.02))
    for part, more in {"itemcf": -0.01, "two_tower": -0.12, "re-rank": 0.03}.items()
]


def simulation(n_days: int = 7) -> Simulation:
    stages = {"catalogue": 1.0, "retrieval": 0.97, "filters": 0.965, "pre-rank": 0.94, "rank": 0.84, "re-rank": 0.86}
    channels = {"fresh": (0.5, 0.95), "itemcf": (0.7, 0.96), "two_tower": (0.9, 0.8)}
    return Simulation(
        seed=0,
        n_days=n_days,
        users=1000,
        videos=2000,
        slate=10,
        settled=n_days // 2,
        policies=[policy(name, level, n_days) for name, level in LEVELS.items()] + VARIANTS,
        stages={"chain": [Stage(name=name, left=left) for name, left in stages.items()]},
        channels={"chain": [Channel(name=n, alone=a, without=w) for n, (a, w) in channels.items()]},
        experiment=Experiment(
            policy="fast",
            treatment={"author_window": 0},
            people={"control": 508, "treatment": 492},
            change=around(0.031, 0.025),
            p=0.015,
            looks=[Look(day=d, change=around(0.03 + 0.02 / (d + 1), 0.05 / (d + 1) + 0.02)) for d in range(n_days)],
            truth=0.038,
        ),
    )
