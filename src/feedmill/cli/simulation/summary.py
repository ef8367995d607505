"""What is kept of a simulation: small enough for one JSON file, enough for every table and picture of the report."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from feedmill.core.errors import DataError

FILE = "simulation.json"
Figure = float | None


def figure(x: float) -> Figure:
    """The number for JSON, which has no NaN."""
    return float(x) if math.isfinite(x) else None


class Bounds(msgspec.Struct, frozen=True):
    """A figure with its 95 % interval over people; None where nobody gives one."""

    value: Figure = None
    low: Figure = None
    high: Figure = None

    @classmethod
    def of(cls, value: float, low: float, high: float) -> Bounds:
        """NaN is None."""
        return cls(*(figure(x) for x in (value, low, high)))

    def __str__(self) -> str:
        return "-" if self.value is None else f"{self.value:.3g}{self._width(1, '.2g')}"

    def percent(self) -> str:
        """A share: 86.0 % and half the width of its interval."""
        return "-" if self.value is None else f"{self.value:.1%}{self._width(100, '.1f')}"

    def change(self) -> str:
        """A relative change, likewise."""
        return "-" if self.value is None else f"{self.value:+.1%}{self._width(100, '.1f')}"

    def interval(self) -> str:
        """A relative change with both bounds."""
        if self.value is None or self.low is None or self.high is None:
            return self.change()
        return f"{self.value:+.1%} [{self.low:+.1%}, {self.high:+.1%}]"

    def _width(self, scale: float, digits: str) -> str:
        if self.low is None or self.high is None:
            return ""
        return f" ±{scale * (self.high - self.low) / 2:{digits}}"


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """One day of one policy."""

    day: Annotated[int, Meta(description="0, 1, …")]
    people: Annotated[int, Meta(description="who came: DAU")]
    new_people: Annotated[int, Meta(description="of them for the first time")]
    views: Annotated[int, Meta(description="videos that were looked at")]
    minutes: Annotated[Figure, Meta(description="watched, per person who came")]
    share: Annotated[Bounds, Meta(description="expected watch time of everybody, to the oracle's on the same day")]
    now: Annotated[Bounds, Meta(description="of slates, to the oracle's for the same people at the same moment")]
    new_share: Annotated[Figure, Meta(description="of views: videos in their first two days")]


class FirstDay(msgspec.Struct, frozen=True, kw_only=True):
    """People on the day on which they are new, beside everybody else on the same days."""

    view_s: Annotated[Bounds, Meta(description="expected seconds of a view")]
    view_s_others: Bounds
    views: Annotated[Bounds, Meta(description="that day")]
    views_others: Bounds
    again: Annotated[Bounds, Meta(description="share who came on the next day")]
    again_others: Bounds


class NewVideos(msgspec.Struct, frozen=True, kw_only=True):
    """Videos that were published while the audience lived with the feed."""

    videos: int
    hours: Annotated[list[float], Meta(description="grid of ages")]
    reached: Annotated[list[float], Meta(description="share with 100 views by that age (Kaplan and Meier)")]
    enough: Annotated[Bounds, Meta(description="share with 100 views in their first two days")]
    unseen: Annotated[Bounds, Meta(description="share that nobody saw in them")]
    median_hours: Annotated[Figure, Meta(description="age at which half have 100; None = fewer ever do")]


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What people looked at."""

    topics_apart: Annotated[Bounds, Meta(description="mean of 1 - common topics, over pairs of a slate")]
    n_topics: Annotated[Bounds, Meta(description="of a slate")]
    n_authors: Annotated[Bounds, Meta(description="of a slate")]
    coverage: Annotated[Figure, Meta(description="share of all videos that were looked at")]
    gini: Annotated[Figure, Meta(description="of views over videos: 0 = all alike")]
    by_age: Annotated[list[float], Meta(description="share of views by age of the video in days; the last: and older")]


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """One feed, alone with the audience."""

    name: str
    days: list[Day]
    minutes: Annotated[Bounds, Meta(description="watched a day, per person who ever came, on settled days")]
    share: Annotated[Bounds, Meta(description="of the oracle's watch time with its own audience, on settled days")]
    now: Annotated[Bounds, Meta(description="of the oracle's slates for the same people at the same moment, then")]
    retention: Annotated[list[Bounds], Meta(description="share of who came that come 1, 2, … days later")]
    retention_new: Annotated[list[Bounds], Meta(description="the same of newcomers, from their first day")]
    first_day: FirstDay
    new_videos: NewVideos
    shown: Shown
    run_s: Annotated[float, Meta(description="seconds it took")]
    beside: Annotated[str, Meta(description="the policy it is compared with: the first of its kind, or the one before")]
    more: Annotated[Bounds, Meta(description="watch time to that policy's, less 1; the same people")] = Bounds()


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """What can still be reached after a stage of the chain."""

    name: str
    left: Annotated[Figure, Meta(description="watch time of the best slate from what is left, to the oracle's")]


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """What a retrieval channel is good for."""

    name: str
    alone: Annotated[Figure, Meta(description="of the best slate from what it brings, to the oracle's")]
    without: Annotated[Figure, Meta(description="of the best slate from what all others bring")]


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment's change of watch time per person up to the end of a day."""

    day: int
    change: Bounds


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """Two configs on halves of one audience, beside each of them alone with all of it."""

    policy: str
    treatment: dict[str, object]
    people: dict[str, int]
    change: Annotated[Bounds, Meta(description="relative, watch time per person who came, after CUPED")]
    p: float
    looks: list[Look]
    warm_up: Annotated[int, Meta(description="days before the treatment began")] = 0
    cut: Annotated[float, Meta(description="share of the variance that these days take off")] = 0.0
    truth: Annotated[Figure, Meta(description="both arms alone: relative change of all watch time")] = None


class Simulation(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of one `feedmill simulate`."""

    seed: int
    n_days: int
    users: int
    videos: int
    slate: int
    settled: Annotated[int, Meta(description="the first day that counts as settled")]
    policies: list[Policy]
    stages: Annotated[dict[str, list[Stage]], Meta(description="by policy; of chains, on settled days")] = {}
    channels: dict[str, list[Channel]] = {}
    experiment: Experiment | None = None

    def policy(self, name: str) -> Policy | None:
        """The one of this name, if it ran."""
        return next((p for p in self.policies if p.name == name), None)


def write(simulation: Simulation, folder: Path) -> Path:
    """Keep it; where."""
    file = folder / FILE
    file.write_bytes(msgspec.json.format(msgspec.json.encode(simulation), indent=1) + b"\n")
    return file


def read(folder: Path) -> Simulation:
    """The simulation of a folder.

    Raises:
        DataError: there is none, or it is not one.
    """
    file = folder / FILE
    if not file.is_file():
        raise DataError(f"no {FILE} in {folder}", "a folder of a simulation", f"feedmill simulate --dir {folder}")
    try:
        return msgspec.json.decode(file.read_bytes(), type=Simulation, strict=False)
    except msgspec.DecodeError as e:
        raise DataError(f"{file}: {e}", "what feedmill simulate writes", f"feedmill simulate --dir {folder}") from None
