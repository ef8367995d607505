"""The gate: a new version is refused when its held-out metrics fall against the version it replaces."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from msgspec import Meta

from feedmill.core.config import Config

Ratio = Annotated[float, Meta(gt=0)]


class Gate(Config, frozen=True):
    """Limits by the dotted name of a metric, such as ``"rank.ndcg_at_10" = 0.98``; none lets all through."""

    at_least: Annotated[
        dict[str, Ratio],
        Meta(description="metric -> least ratio to the current version's, where more is better"),
    ] = {}
    at_most: Annotated[
        dict[str, Ratio],
        Meta(description="metric -> greatest ratio to the current version's, where less is better"),
    ] = {}


class PublishConfig(Config, frozen=True):
    """The section ``[publish]``."""

    keep: Annotated[int, Meta(ge=2, description="how many of the newest versions stay on the disk")] = 5
    gate: Gate = Gate()


def reasons(gate: Gate, new: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Why the gate refuses; [] lets through.

    A limited metric that the new version lacks or that is not finite refuses it. One that the current version
    lacks limits nothing: there is nothing to hold it against.

    Args:
        new: metrics of the new version, nested as they like.
        now: metrics of the current one.
    """
    return [*_reasons(gate.at_least, new, now, 1), *_reasons(gate.at_most, new, now, -1)]


def _reasons(limits: Mapping[str, float], new: Mapping[str, Any], now: Mapping[str, Any], sign: int) -> Iterator[str]:
    for name, ratio in limits.items():
        value, held = _number(new, name), _number(now, name)
        if value is None:
            yield f"{name} is missing or not finite"
        elif held is not None and sign * value < sign * (limit := held + (ratio - 1) * abs(held)):
            yield f"{name} = {value:.4g}, {'at least' if sign > 0 else 'at most'} {limit:.4g} needed"


def _number(metrics: Mapping[str, Any], name: str) -> float | None:
    node: Any = metrics
    for key in (name,) if name in metrics else name.split("."):
        node = node.get(key) if isinstance(node, Mapping) else None
    return float(node) if isinstance(node, int | float) and math.isfinite(node) else None
