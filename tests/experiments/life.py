"""Experiments as tests lead them: actions in a log in memory, and the plan that is folded from it."""

from __future__ import annotations

from typing import Any

from feedmill.core.config import convert
from feedmill.core.events import EventBatch, Kind
from feedmill.experiments import Action, Definition, ExperimentsConfig, Plan, lifecycle
from feedmill.log.memory import MemoryLog

THETA = "rerank.rules.0.theta"
DAY_MS = 86_400_000


def config(**raw: Any) -> ExperimentsConfig:
    raw.setdefault("layers", {"rank": {"n_buckets": 100}, "rerank": {"n_buckets": 100}})
    return convert(raw, ExperimentsConfig, "experiments")


def definition(
    layer: str = "rerank", share: float = 0.2, path: str = THETA, value: Any = 0.5, **more: Any
) -> Definition:
    """Control and one treatment of the same share; the treatment sets one path."""
    arms = {"control": {"share": share}, "treated": {"share": share, "set": {path: value}}}
    return convert({"layer": layer, "arms": arms} | more, Definition)


def ranges(layer: str = "rerank", path: str = THETA, **arms: list[list[int]]) -> Definition:
    """Arms of explicit ranges; all but the control set the path."""
    made = {n: {"buckets": r, "set": {} if n == "control" else {path: 0.5}} for n, r in arms.items()}
    return convert({"layer": layer, "arms": made}, Definition)


class Life:
    """A log with experiments in it, a step a day, with what people do in between."""

    def __init__(self, **raw: Any) -> None:
        self.config = config(**raw)
        self.log = MemoryLog()
        self.plan = Plan.empty(self.config)

    def do(self, action: str, name: str = "", **more: Any) -> Plan:
        """A step that is allowed; raises what forbids it."""
        settled = lifecycle.settle(self.plan, Action(action=action, name=name, **more))  # type: ignore[arg-type]
        lifecycle.apply(self.plan, settled, self.now_ms, self.log.end)
        return self.write(settled)

    def write(self, action: Action) -> Plan:
        """A step into the log, allowed or not."""
        return self.append(EventBatch.concat([noise(), lifecycle.event(action, self.now_ms), noise()]))

    def append(self, events: EventBatch) -> Plan:
        at = self.log.end
        self.log.append(events)
        self.plan = self.plan.fold(self.log.read(at)[0], at)
        return self.plan

    def run(self, name: str, **more: Any) -> Plan:
        """Create and start one."""
        self.do("create", name, definition=more.pop("definition", None) or definition(**more))
        return self.do("start", name)

    @property
    def now_ms(self) -> int:
        return self.log.end * DAY_MS

    def replayed(self, chunk: int) -> Plan:
        plan, at = Plan.empty(self.config), 0
        while at < self.log.end:
            events, after = self.log.read(at, chunk)
            plan, at = plan.fold(events, at), after
        return plan


def noise() -> EventBatch:
    return EventBatch.of(
        {"kind": [int(Kind.CLICK)], "user_id": ["u"], "item_id": ["i"], "payload": ['{"action": "stop"}']}
    )
