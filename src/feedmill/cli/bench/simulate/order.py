"""Which policy is watched longer, over several worlds, and where the chain loses of what could be watched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from feedmill.cli.bench.simulate.lives import Life, Size, lived
from feedmill.cli.bench.simulate.rows import over, plain
from feedmill.metrics.rows import BenchRow
from feedmill.sim import figures
from feedmill.sim.regret import share_now
from feedmill.sim.stages import STAGES, Regret

ORACLE, CHAIN = "oracle", "chain"
POLICIES = (ORACLE, "chance", "popular", "itemcf", "fast", CHAIN)
BESIDE = {"popular": "chance", "itemcf": "popular", "fast": "itemcf", CHAIN: "itemcf", ORACLE: CHAIN}
"""What each is said to be better than."""
WHOLE, QUICK = Size(1000, 2000, 7, 3), Size(80, 150, 3, 1)
N_WORLDS = 5

Lives = Mapping[str, Sequence[Life]]


def order_rows(quick: bool, policies: Sequence[str] = POLICIES) -> list[BenchRow]:
    """Watch time of every policy, what each is above the one before, and the chain's stages; intervals over worlds."""
    size, n = (QUICK, 2) if quick else (WHOLE, N_WORLDS)
    lives: dict[str, list[Life]] = {name: [] for name in policies}
    for seed in range(n):
        for name in policies:
            lives[name].append(lived(name, size, seed))
    out = [plain("order", "worlds", n, str(size))]
    for name in policies:
        out += _level(name, lives, size)
        if BESIDE.get(name) in lives:
            out += _above(name, BESIDE[name], lives, size)
    return out + stage_rows([x.losses for x in lives.get(CHAIN, []) if x.losses is not None and len(x.losses)])


def _level(name: str, lives: Lives, size: Size) -> list[BenchRow]:
    what, mine = f"order: {name}", lives[name]
    out = [over(what, "minutes a day", [x.minutes(size.first) for x in mine], "min")]
    if ORACLE in lives:
        shares = [
            figures.share(x.diary, best.diary, 0, "expected", size.first, size.days - 1, 2).mean
            for x, best in zip(mine, lives[ORACLE], strict=True)
        ]
        out.append(over(what, "of the oracle's", shares))
    now = [share_now(x.now, s, size.first, size.days - 1).mean for s, x in enumerate(mine)]
    return [*out, over(what, "at the same moment", now), over(what, "run", [x.run_s for x in mine], "s")]


def _above(name: str, other: str, lives: Lives, size: Size) -> list[BenchRow]:
    """Of the same people with the same luck."""
    more = [
        figures.share(a.diary, b.diary, 0, "expected", size.first, size.days - 1, 2).mean - 1
        for a, b in zip(lives[name], lives[other], strict=True)
    ]
    what = f"order: {name}"
    return [
        over(what, f"more than {other}", more, "relative, paired"),
        plain(what, f"worlds above {other}", sum(x > 0 for x in more), f"of {len(more)}"),
    ]


def stage_rows(losses: Sequence[Regret]) -> list[BenchRow]:
    """What each stage leaves and loses, to the oracle's slates; channels alone, and what is left without each."""
    if not losses:
        return []
    left = np.array([x.reachable.sum(axis=0) / x.reachable[:, 0].sum() for x in losses])
    out = [plain("stages", "requests", sum(map(len, losses)), "followed")]
    for s, name in enumerate(STAGES):
        out.append(over(f"stages: {name}", "left", left[:, s].tolist(), "of the oracle's slates"))
        if s:
            out.append(
                over(f"stages: {name}", "lost", (left[:, s - 1] - left[:, s]).tolist(), "of the oracle's slates")
            )
    for name in sorted(set().union(*(x.alone for x in losses))):
        for metric in ("alone", "without"):
            shares = [_share(getattr(x, metric).get(name), x) for x in losses]
            out.append(over(f"stages: channel {name}", metric, shares, "of the oracle's slates"))
    return out


def _share(seconds: NDArray[np.float32] | None, x: Regret) -> float:
    return 0.0 if seconds is None else float(seconds.sum() / x.reachable[:, 0].sum())
