"""ItemCF, Swing and UserCF against the compiled code of others: seconds, memory, and how near to the bound.

Rivals take turns on the same log, each run in a process of its own; figures are medians, ratios those of each round.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from feedmill.cli.bench.kernels.log import power_law, store
from feedmill.cli.bench.peers import LIMIT_S, python, told
from feedmill.core.config import nearest
from feedmill.core.errors import DataError
from feedmill.core.progress import progress
from feedmill.metrics.rows import BenchRow

SCRIPT = Path(__file__).with_name("rivals.py")
OURS = ("itemcf", "usercf", "swing", "swing, capped", "adds")
ROUNDS, QUICK_ROUNDS = 3, 1


class Figure(msgspec.Struct):
    """What one run printed."""

    seconds: float
    cpu_s: float
    peak_mb: float
    version: str


TABLES = ("itemcf", "usercf", "swing", "growth")


def kernels_rows(quick: bool, only: Sequence[str] = ()) -> list[BenchRow]:
    """All tables, on logs of ``kernels_log.power_law``; quick is a tenth of the interactions and one round.

    Args:
        only: some of ``TABLES``; none = all.

    Raises:
        DataError: a table that is none.
    """
    for name in only:
        if name not in TABLES:
            raise DataError(f'no table "{name}"', f"some of {list(TABLES)}", nearest(name, TABLES))
    wanted = only or TABLES
    part, rounds = (10, QUICK_ROUNDS) if quick else (1, ROUNDS)
    cores = sorted({1, min(2, os.cpu_count() or 1)}, reverse=True)
    rows: list[BenchRow] = []
    with tempfile.TemporaryDirectory(dir=".") as folder:
        at = Path(folder)
        for n in (5_000_000 // part, 20_000_000 // part) if "itemcf" in wanted else ():
            _write(at, n)
            for c in cores:
                rows += contest(at, "ItemCF top-100", "itemcf", ["implicit", "sparse_dot_topn"], c, rounds)
            rows += bound(at, n)
        _write(at, 1_000_000 // part)
        if "usercf" in wanted:
            rivals = ["implicit, users", "sparse_dot_topn, users"]
            rows += contest(at, "UserCF top-100", "usercf", rivals, cores[0], rounds)
        if "swing" in wanted:
            rows += contest(at, "Swing top-20, 100 users per item", "swing, capped", ["SciPy, capped"], 1, rounds)
            _write(at, 200_000 // (2 if quick else 1))
            rows += contest(at, "Swing top-20, no caps", "swing", ["recfarm", "SciPy"], 1, rounds)
        sizes = (1_000_000, 10_000_000, 50_000_000) if "growth" in wanted else ()
        rows += [row for n in sizes for row in growth(at, n // part, cores[0])]
    return rows


def contest(folder: Path, what: str, ours: str, rivals: Sequence[str], cores: int, rounds: int) -> list[BenchRow]:
    """Ours and its rivals in turn."""
    user = np.load(folder / "user.npy", mmap_mode="r")
    what = f"{what}, {len(user):,} interactions, {cores} thread{'s' * (cores > 1)}"
    found: dict[str, list[Figure | str]] = {name: [] for name in (ours, *rivals)}
    with progress(what, rounds * len(found)) as advance:
        for _ in range(rounds):
            for name, figures in found.items():
                if not (figures and isinstance(figures[-1], str)):
                    figures.append(run(name, folder, cores))
                advance(1)
    mine = [f for f in found[ours] if isinstance(f, Figure)]
    if not mine:
        raise RuntimeError(f"{ours}: {found[ours][-1]}")
    return [row for name in rivals for row in _against(what, mine, name, found[name])]


def _against(what: str, mine: Sequence[Figure], name: str, theirs: Sequence[Figure | str]) -> list[BenchRow]:
    """Two rows: time and memory."""
    rival = [f for f in theirs if isinstance(f, Figure)]
    said = next((f for f in theirs if isinstance(f, str)), "")
    peer = f"{name} {rival[0].version}" if rival and not said else f"{name}: {said}"
    rows = []
    for metric, unit in (("seconds", "s"), ("peak_mb", "MB above the log")):
        values = np.array([getattr(f, metric) for f in mine])
        ratio = None
        if not said and len(rival) == len(mine):
            ratio = float(np.median([getattr(f, metric) / v for f, v in zip(rival, values, strict=True)]))
        rows.append(_row(what, {"seconds": "time", "peak_mb": "memory"}[metric], values, unit, peer=peer, ratio=ratio))
    return rows


def bound(folder: Path, n: int) -> list[BenchRow]:
    """ItemCF on one core against as many additions to the same sums, and nothing else; in seconds of processor time,
    which other work on the machine stretches less."""
    whole, alone = run("itemcf", folder, 1), run("adds", folder, 1)
    if isinstance(whole, str) or isinstance(alone, str):
        raise RuntimeError(f"{whole} {alone}")
    products = n_products(folder)
    what = f"ItemCF top-100, {n:,} interactions: {products / 1e6:,.0f} M products"
    return [
        BenchRow(what=what, metric="bound", value=alone.cpu_s, unit="s of random-access additions, 1 thread"),
        BenchRow(what=what, metric="rate", value=products / alone.cpu_s / 1e6, unit="M additions/s at the bound"),
        BenchRow(what=what, metric="rate", value=products / whole.cpu_s / 1e6, unit="M products/s, all included"),
        BenchRow(what=what, metric="share of the bound", value=alone.cpu_s / whole.cpu_s),
    ]


def growth(folder: Path, n: int, cores: int) -> list[BenchRow]:
    """Time must grow as the products do."""
    _write(folder, n)
    products, figure = n_products(folder), run("itemcf", folder, cores)
    if isinstance(figure, str):
        raise RuntimeError(figure)
    what = f"ItemCF top-100, {n:,} interactions, {cores} thread{'s' * (cores > 1)}: {products / 1e6:,.0f} M products"
    return [
        BenchRow(what=what, metric="time", value=figure.seconds, unit="s"),
        BenchRow(what=what, metric="rate", value=products / figure.seconds / 1e6, unit="M products/s"),
        BenchRow(what=what, metric="memory", value=figure.peak_mb, unit="MB above the log"),
    ]


def n_products(folder: Path) -> int:
    """Multiply-adds of all pairs of items: each user's items, squared."""
    counts: NDArray[Any] = np.diff(np.load(folder / "ptr.npy")).astype(np.int64)
    return int((counts**2).sum())


def run(name: str, folder: Path, cores: int) -> Figure | str:
    """One run, or why there is none, in words. Ours are run by this Python, others by that of FEEDMILL_PEERS."""
    command = [sys.executable if name in OURS else python(), "-P", str(SCRIPT), name, str(folder), str(cores)]
    env = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(cores))}
    printed, why_not = told(command, LIMIT_S, env)
    return why_not or Figure(**json.loads(printed.splitlines()[-1]))


def _write(folder: Path, n: int) -> None:
    with progress(f"a log of {n:,} interactions"):
        store(folder, *power_law(n))


def _row(what: str, metric: str, values: NDArray[np.float64], unit: str, **of: Any) -> BenchRow:
    low, high = np.percentile(values, [25, 75])
    unit = f"{unit}, n = {len(values)}"
    return BenchRow(
        what=what, metric=metric, value=float(np.median(values)), low=float(low), high=float(high), unit=unit, **of
    )
