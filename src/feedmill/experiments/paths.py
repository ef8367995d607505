"""What a treatment may set, which stages that touches, and whether two of them stand in each other's way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

from feedmill.core.errors import ConfigError
from feedmill.experiments.definition import Definition

STAGES = ("retrieval", "filters", "prerank", "rank", "rerank")
VERSION = "publish.version"
DEADLINE = "serve.deadline_ms"
_SETTABLE = ("retrieval", "filters", "prerank", "rerank")
_WHY = {
    "rank": "the ranker is as it was trained: train another version, and set publish.version",
    "train": "training makes one model for everyone: train another version, and set publish.version",
    "samples": "training makes one model for everyone: train another version, and set publish.version",
    "features": "training makes one model for everyone: train another version, and set publish.version",
    "experiments": "an experiment does not change experiments",
}


def check_paths(definition: Definition, at: str = "") -> None:
    """Refuses paths that cannot differ between users, and arms that set a path in two ways.

    Whether a path exists and its value is allowed is known once the chain is built with it.

    Raises:
        ConfigError: a path that is the same for everyone, or one that is a part of another path of the arm.
    """
    for name, arm in definition.arms.items():
        for path in arm.set:
            _check_path(path, f"{at}arms.{name}.set")
        if clash := next((c for a, b in combinations(arm.set, 2) if (c := overlap([a], [b]))), None):
            raise ConfigError(f"{at}arms.{name}.set: {clash[0]} and {clash[1]}", "each setting once", "leave out one")


def paths_of(definition: Definition) -> set[str]:
    """Every path that any arm sets: what differs between the users of an experiment."""
    return {path for arm in definition.arms.values() for path in arm.set}


def stages_of(paths: Iterable[str]) -> frozenset[str]:
    """The families of stages that paths touch: all of them for a version, none for the deadline.

    A stage that a deadline cuts off is what an experiment with deadlines is about, and not a reason to leave a
    request out of it.
    """
    heads = {path.partition(".")[0] for path in paths}
    return frozenset(STAGES) if "publish" in heads else frozenset(heads.intersection(STAGES))


def overlap(one: Iterable[str], other: Iterable[str]) -> tuple[str, str] | None:
    """The first two paths of which one is the other or lies in it; None = there are none."""
    return next(((a, b) for a in one for b in other if is_in(a, b) or is_in(b, a)), None)


def is_in(path: str, folder: str) -> bool:
    """Whether a path is a folder or lies in it."""
    return path == folder or path.startswith(f"{folder}.")


def merged(settings: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Settings one after the other: the later one holds, also over what lies in its path."""
    out: dict[str, Any] = {}
    for changes in settings:
        for path, value in changes.items():
            out = {p: v for p, v in out.items() if not is_in(p, path)} | {path: value}
    return out


def _check_path(path: str, at: str) -> None:
    head, _, rest = path.partition(".")
    if path in (VERSION, DEADLINE) or (head in _SETTABLE and all(rest.split("."))):
        return
    may = ", ".join([*(f"{name}.…" for name in _SETTABLE), DEADLINE, VERSION])
    raise ConfigError(f"{at}: {path}", f"one of {may}", _WHY.get(head, "everything else is the same for everyone"))
