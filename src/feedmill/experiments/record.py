"""What has become of experiments: the records that the fold of the log's EXPERIMENT events makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec

from feedmill.experiments.definition import Action, Definition, LayerConfig, Range

Status = Literal["created", "running", "stopped", "launched", "closed"]
Pair = tuple[str, str]  # experiment, arm


class Moment(msgspec.Struct, frozen=True):
    """When something happened, by the clock and by the log."""

    time_ms: int
    offset: int


class Holdout(msgspec.Struct, frozen=True, kw_only=True):
    """Users who get nothing new in a period, counted from 1; ``since`` is None until something happens."""

    share: float
    salt: str
    period: int = 1
    since: Moment | None = None


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """A treatment that everyone has but the holdout of its period and, while it is open, the reverse bucket.

    Attributes:
        share: of the users, in the reverse bucket; 0 = it is not open.
        salt: what the reverse bucket is drawn with: a layer of its own.
        order: launches before it; their settings apply in this order.
        reversed, ended: when the reverse bucket was opened and closed.
    """

    arm: str
    share: float
    salt: str
    period: int
    order: int
    rolled_out: Moment
    reversed: Moment | None = None
    ended: Moment | None = None


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """One experiment and what has become of it.

    Attributes:
        layer: its layer's number of buckets and salt when it was created; its users stay where they are.
        buckets: of each arm; held while it is created or running.
        stopped: when it stopped serving its arms: by a stop, or by its roll-out.
        launch: there from the roll-out on, also when it was taken back.
        taken_back: when the launch was.
    """

    name: str
    definition: Definition
    layer: LayerConfig
    buckets: Mapping[str, tuple[Range, ...]]
    status: Status
    created: Moment
    started: Moment | None = None
    stopped: Moment | None = None
    launch: Launch | None = None
    taken_back: Moment | None = None
    closed: Moment | None = None

    @property
    def holds(self) -> bool:
        """Whether its buckets are its own."""
        return self.status in ("created", "running")


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """An action that happened."""

    offset: int
    time_ms: int
    action: Action


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """An action that the log has and that did not happen; ``action`` is None where it cannot be read."""

    offset: int
    time_ms: int
    action: Action | None
    reason: str


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """An EXPERIMENT event as the log has it."""

    offset: int
    time_ms: int
    payload: str


class Assignment(NamedTuple):
    """What a user gets.

    Attributes:
        arms: of everything that runs: experiment -> arm, launch -> launched or reverse, holdout -> in or out.
        key: the (experiment, arm) pairs that set something, in the order in which they apply.
    """

    arms: dict[str, str]
    key: tuple[Pair, ...]
