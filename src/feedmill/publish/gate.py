"""The gate: a new version is refused when what was measured of it lies beyond a limit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any

from msgspec import Meta, field

from feedmill.core.config import Config

Ratio = Annotated[float, Meta(gt=0)]
ERROR = "error"  # under which metrics have how far each may be off


class Gate(Config, frozen=True):
    """Limits by the dotted name of a figure, such as ``"auc.click"``; ``*`` stands for any part of one.

    ``run.NAME`` are figures of the run and not of the result: ``run.score_ms.p99`` is the ranker's time for a feed.
    """

    at_least: Annotated[
        dict[str, Ratio],
        Meta(description="figure -> least ratio to the current version's, where more is better"),
    ] = field(default_factory=lambda: {"auc.*": 0.97, "ndcg_10.after re-rank": 0.9})
    at_most: Annotated[
        dict[str, Ratio],
        Meta(description="figure -> greatest ratio to the current version's, where less is better"),
    ] = field(default_factory=lambda: {"ne.*": 1.03})
    least: Annotated[dict[str, float], Meta(description="figure -> least value, whatever the current version has")] = (
        field(default_factory=lambda: {"pcoc.*": 0.8})
    )
    most: Annotated[
        dict[str, float], Meta(description="figure -> greatest value, whatever the current version has")
    ] = field(default_factory=lambda: {"pcoc.*": 1.25, "run.score_ms.*": 100.0})


class PublishConfig(Config, frozen=True):
    """The section ``[publish]``."""

    keep: Annotated[int, Meta(ge=2, description="how many of the newest versions stay on the disk")] = 5
    gate: Gate = Gate()


def figures_of(about: Mapping[str, Any]) -> dict[str, Any]:
    """What the gate looks at of an artifact: its metrics, and under "run" what was measured of the run."""
    return {**about.get("metrics", {}), "run": about.get("run", {})}


def reasons(gate: Gate, new: Mapping[str, Any], now: Mapping[str, Any], version: str = "") -> list[str]:
    """Why the gate refuses: which figure, by how much, against what; [] lets through.

    ``error.NAME`` is the half-width of the 95 % interval of the figure NAME: what lies within it of a ratio's limit is
    chance, and is let through. Bounds are bounds.

    A figure that a bound names in full and the new version lacks refuses it, and so does one that has a ratio and the
    current version has. A ratio to what the current version lacks limits nothing: there is nothing to hold it against.

    Args:
        new: figures of the new version, nested as they like.
        now: those of the current one.
        version: the current one, for the message.
    """
    mine, held, whose = _flat(new), _flat(now), f"version {version}" if version else "the current version"
    return [
        *_ratios(gate.at_least, mine, held, 1, whose),
        *_ratios(gate.at_most, mine, held, -1, whose),
        *_bounds(gate.least, mine, 1),
        *_bounds(gate.most, mine, -1),
    ]


def _ratios(
    limits: Mapping[str, float], new: Mapping[str, float], now: Mapping[str, float], sign: int, whose: str
) -> Iterator[str]:
    for pattern, ratio in limits.items():
        for name in _named(pattern, now):
            held, value = now[name], new.get(name)
            limit = held + (ratio - 1) * abs(held)
            if value is None:
                yield f"{name} is missing or not finite; {whose} has {held:.4g}"
            elif sign * value + new.get(f"{ERROR}.{name}", 0.0) < sign * limit:
                yield f"{name} = {value:.4g} is {_apart(value, held)} {held:.4g} of {whose}, {_need(sign, limit)}"


def _bounds(limits: Mapping[str, float], new: Mapping[str, float], sign: int) -> Iterator[str]:
    for pattern, limit in limits.items():
        if "*" not in pattern and pattern not in new:
            yield f"{pattern} is missing or not finite, {_need(sign, limit)}"
        for name in _named(pattern, new):
            if sign * new[name] < sign * limit:
                yield f"{name} = {new[name]:.4g} is {_apart(new[name], limit)} the bound, {_need(sign, limit)}"


def _named(pattern: str, figures: Mapping[str, float]) -> list[str]:
    return [name for name in figures if fnmatchcase(name, pattern) and not name.startswith(f"{ERROR}.")]


def _apart(value: float, from_: float) -> str:
    side = "below" if value < from_ else "above"
    return f"{abs(value - from_) / abs(from_):.1%} {side}" if from_ else f"{abs(value - from_):.4g} {side}"


def _need(sign: int, limit: float) -> str:
    return f"{'at least' if sign > 0 else 'at most'} {limit:.4g} needed"


def _flat(node: Any, at: str = "") -> dict[str, float]:
    """Dotted names -> finite numbers."""
    if isinstance(node, Mapping):
        return {n: v for key, value in node.items() for n, v in _flat(value, f"{at}.{key}" if at else str(key)).items()}
    is_number = isinstance(node, int | float) and not isinstance(node, bool) and math.isfinite(node)
    return {at: float(node)} if is_number else {}
