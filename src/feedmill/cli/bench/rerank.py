"""Re-rank rules: milliseconds of 300 candidates to 30 picks, against the same algorithms in plain NumPy, and whether
they pick what the definitions pick.

Requests are drawn: vectors around a hundred centres, up to four of thirty topics, fifty authors, one item in twenty an
advertisement. Ours and the peer take turns on the same request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from feedmill.cli.bench import page as bench_page
from feedmill.cli.bench.page import NO_FIGURES, Figures, line, measured_with
from feedmill.cli.bench.rerank_ways import WAYS, Drawn, N, Picked, batches, drawn, world
from feedmill.core.progress import progress
from feedmill.core.request import FeedRequest
from feedmill.metrics.rows import BenchRow
from feedmill.rerank import RULES

K, WIDTH = 30, 64
PICKS, WIDTHS = (10, 30, 50), (16, 64, 128)
N_REQUESTS = 50
RULE_BLOCKS: dict[str, tuple[str, dict[str, Any]]] = {
    "mmr, vectors": ("mmr", {"topic_weight": 0.0}),
    "mmr, vectors and topics": ("mmr", {}),
    "dpp, vectors": ("dpp", {"topic_weight": 0.0}),
    "dpp, vectors and topics": ("dpp", {}),
    "duplicates": ("duplicates", {"window": 50}),
    "window, author": ("window", {"by": "author", "at_most": 2, "window": 5}),
    "window, any topic": ("window", {"by": "topic", "topics": "any", "at_most": 3, "window": 5}),
    "slots, advertisements": ("slots", {"first": 3, "gap": 5, "load": 0.2, "order": "bid"}),
}


def rerank_rows(quick: bool) -> list[BenchRow]:
    """Equality first, then the kernels against NumPy, then whole rules."""
    n = 200 if quick else 2000
    return [*equal_rows(10 if quick else 100), *kernel_rows(n), *rule_rows(n)]


def equal_rows(n: int) -> list[BenchRow]:
    """Of n requests: the share with the same picks as the definition, and the largest difference of a gain."""
    rows, sets = [], drawn(world(WIDTH), batches(n))
    with progress("against the definitions", n * len(WAYS)) as advance:
        for name, (ours, _, naive) in WAYS.items():
            same, off = [], 0.0
            for r in sets:
                (picks, gain), (true, true_gain) = ours(r, K), naive(r, K)
                same.append(np.array_equal(picks, true))
                off = max(off, float(abs(gain - true_gain).max())) if same[-1] else off
                advance(1)
            what = f"equal: {name}, {N} to {K}, {WIDTH} dimensions"
            rows += [
                BenchRow(what=what, metric="same picks", value=float(np.mean(same)), unit=f"share of {n} requests",
                         peer="the definition in float64"),
                BenchRow(what=what, metric="gain, largest difference", value=off, unit="of similarity or new share",
                         peer="the definition in float64"),
            ]  # fmt: skip
    return rows


def kernel_rows(n: int) -> list[BenchRow]:
    """p50 and p99 of the kernels by picks and width; NumPy in turn with them where it is the case that is promised."""
    rows = []
    with progress("kernels", len(WIDTHS) * len(PICKS) * len(WAYS)) as advance:
        for width in WIDTHS:
            sets = drawn(world(width), batches(N_REQUESTS))
            for k in PICKS:
                for name, (ours, peer, _) in WAYS.items():
                    calls = {"ours": ours} | ({"NumPy": peer} if width == WIDTH else {})
                    ways = {who: _picking(f, k) for who, f in calls.items()}
                    rows += _timed(f"kernel: {name}, {N} to {k}, {width} dimensions", ways, sets, n)
                    advance(1)
    return rows


def _picking(way: Callable[[Drawn, int], Picked], k: int) -> Callable[[Drawn], object]:
    return lambda r: way(r, k)


def rule_rows(n: int) -> list[BenchRow]:
    """p50 and p99 of ``apply``: gathering the candidates' columns, the kernel, the notes."""
    of, request = world(WIDTH), FeedRequest(request_id="bench", user_id="u")
    sets, rows = batches(N_REQUESTS), []
    with progress("rules", len(RULE_BLOCKS)) as advance:
        for name, (kind, block) in RULE_BLOCKS.items():
            cls: Any = RULES[kind]
            rule = cls(cls.Config(**block), of.state, of.vectors)
            ways = {"ours": lambda b, rule=rule: rule.apply(request, b, K)}
            rows += _timed(f"rule: {name}, {N} to {K}", ways, sets, n)
            advance(1)
    return rows


def _timed(what: str, ways: Mapping[str, Callable[[Any], object]], sets: Sequence[Any], n: int) -> list[BenchRow]:
    """Microseconds of the processor that the first way takes, and how many times the peer's quantile is its own; both
    in turn on the same requests. What other processes take of a shared machine is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for i, request in zip(range(-10, n), cycle(sets), strict=False):  # the first ones warm
        for name, call in ways.items():
            start = process_time()
            call(request)
            if i >= 0:
                seconds[name].append(process_time() - start)
    ours, *peers = (np.array(times) * 1e6 for times in seconds.values())
    unit, out = f"µs of processor time, n = {n}", []
    for metric, q in (("p50", 50), ("p99", 99)):
        value = float(np.percentile(ours, q))
        theirs = float(np.percentile(peers[0], q)) if peers else None
        spread = {"low": float(np.percentile(ours, 25)), "high": float(np.percentile(ours, 75))} if q == 50 else {}
        beside = {} if theirs is None else {"peer": f"NumPy, {theirs:,.0f} µs", "ratio": theirs / value}
        out.append(BenchRow(what=what, metric=metric, value=value, unit=unit, **spread, **beside))  # type: ignore[arg-type]
    return out


def write(page: Path, found: Figures) -> None:
    """Replace the blocks of docs/benchmarks/rerank.md.

    Raises:
        DataError: there is no such page, or a block that nobody fills.
    """
    bench_page.write(page, found, {"setup": lambda found, name, page: measured_with(found), "table": table})


def table(found: Figures, part: str, page: Path) -> str:
    """A line per thing of a part, a column per metric, and the peer's ratio at p50."""
    by: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in found:
        if row["what"].startswith(f"{part}: "):
            by.setdefault(row["what"].removeprefix(f"{part}: "), {})[row["metric"]] = row
    if not by:
        return NO_FIGURES
    metrics = list(dict.fromkeys(metric for rows in by.values() for metric in rows))
    has_peer = any(row["ratio"] for rows in by.values() for row in rows.values())
    units = dict.fromkeys(row["unit"] for rows in by.values() for row in rows.values())
    lines = [line(["", *metrics, *(["NumPy, p50", "times as fast"] if has_peer else [])])]
    lines.append("|---" * (1 + len(metrics) + 2 * has_peer) + "|")
    for what, rows in by.items():
        first = next(iter(rows.values()))
        peer = [first["peer"].removeprefix("NumPy, "), f"{first['ratio']:.1f}"] if first["ratio"] else ["", ""]
        lines.append(line([what, *(_number(rows.get(m)) for m in metrics), *(peer if has_peer else [])]))
    return "\n".join(lines) + f"\n\n{'; '.join(units)}.\n"


def _number(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    value: float = row["value"]
    return f"{value:.1e}" if 0 < value < 1e-3 else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
