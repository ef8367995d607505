"""Experiments where they act: which pipeline a user's arms make, what the trace and the log are told, and the steps of
a life cycle, checked against what can be served before the log has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from feedmill.core.clock import Clock
from feedmill.core.errors import ArtifactError, ConfigError, FeedmillError, WorkspaceError
from feedmill.core.request import Trace
from feedmill.experiments import Action, Experiment, Plan, lifecycle
from feedmill.experiments.record import Pair
from feedmill.serve.live import LiveState
from feedmill.serve.model import MOST as KEPT
from feedmill.serve.model import Model, Served

FAMILIES = {
    "retrieval": "retrieval", "merge": "retrieval", "filter": "filters", "prerank": "prerank", "rank": "rank",
    "fuse": "rerank", "rerank": "rerank",
}  # fmt: skip
NEED_MODEL = {"retrieval", "prerank", "rank"}
NO_MODEL = "no model"
HOLDOUT = "holdout"
MOST = 256  # sets of arms made ready before anybody asks; the others at their first request


class Arms(NamedTuple):
    """What experiments make of one request.

    Attributes:
        plan: the experiments when it came in.
        arms: experiment -> arm of its user.
        served: the pipeline that these arms make.
        broken: why it is the config's own instead; "" = it is not.
        lacks: what the config's own pipeline lacks too: it is the same in every arm.
    """

    plan: Plan
    arms: Mapping[str, str]
    served: Served
    broken: str = ""
    lacks: tuple[str, ...] = ()

    def account(self, trace: Trace) -> None:
        """Tell a finished trace which arms there were, and which of them acted.

        An experiment acts in a request where every stage that any of its arms changes has run: a request whose
        re-ranking came too late says nothing of a re-ranking experiment, whichever arm its user is in.
        """
        trace.experiments = dict(self.arms)
        if self.broken:
            trace.degraded.append(f"experiments: {self.broken}")
        failed = _failed(what for what in trace.degraded if what == NO_MODEL or what not in self.lacks)
        trace.acted = {
            name: arm
            for name, arm in self.arms.items()
            if name == HOLDOUT or not (self.broken or failed.intersection(self.plan.stages(name)))
        }


class _Ready(NamedTuple):
    """Pipelines by key, of one plan and one model."""

    plan: Plan
    base: Served
    of: dict[tuple[Pair, ...], tuple[Served, str]]


class Experiments:
    """The experiments of a serving workspace. Safe to share between threads."""

    def __init__(self, live: LiveState, model: Model, clock: Clock) -> None:
        self._live, self._model, self._clock = live, model, clock
        self._ready = _Ready(live.plan, model.served, {(): (model.served, "")})

    @property
    def plan(self) -> Plan:
        return self._live.plan

    def of(self, user_id: str) -> Arms:
        """The arms of a user, and the pipeline they make."""
        ready = self._ready
        if ready.plan is not self._live.plan or ready.base is not self._model.served:
            self._ready = ready = _Ready(self._live.plan, self._model.served, {(): (self._model.served, "")})
        arms, key = ready.plan.assign(user_id)
        made = ready.of.get(key)
        if made is None:
            if len(ready.of) >= KEPT:
                ready.of.clear()
            ready.of[key] = made = self._made(ready, key)
        return Arms(ready.plan, arms, *made, ready.base.missing)

    def prepare(self) -> None:
        """Make ready what running experiments need, so that no request waits for it.

        Raises:
            FeedmillError: some arm cannot be served.
        """
        plan, failed = self._live.plan, list[FeedmillError]()
        for key in plan.keys(MOST):
            try:
                self._model.of(plan.overrides(key))
            except FeedmillError as error:
                failed.append(error)
        if failed:
            raise failed[0]

    def do(self, action: Action) -> Experiment | None:
        """Take a step of a life cycle: on the disk and in force when it returns.

        Args:
            action: to create an experiment that ``[experiments.defined]`` has, its name is enough.

        Returns:
            the experiment as it is then; None for the end of a holdout period.

        Raises:
            ConfigError: a definition that cannot be used: an unknown path, a value out of range, ranges that overlap.
            WorkspaceError: what it is in does not allow that.
            NotFoundError: no such experiment.
            LogError: it could not be written, and has not happened.
        """
        self._live.follow()
        plan, now_ms = self._live.plan, self._clock.now_ms()
        action = lifecycle.settle(plan, action)
        wanted = lifecycle.apply(plan, action, now_ms, self._live.log.end)
        if action.name in wanted.experiments and action.action in ("create", "start", "roll_out", "reverse"):
            self._check(arm.set for arm in wanted.experiments[action.name].definition.arms.values())
        offset = self._live.log.append(lifecycle.event(action, now_ms)).offset
        self._live.follow()
        refused = [r for r in self._live.plan.refused if r.offset >= offset - 1 and r.action == action]
        if refused:  # somebody else's step came between
            raise WorkspaceError(
                refused[-1].reason, "a step that the log still allows", "look at `feedmill experiment list`"
            )
        self.prepare()
        return self._live.plan.experiments.get(action.name)

    def _made(self, ready: _Ready, key: tuple[Pair, ...]) -> tuple[Served, str]:
        try:
            return self._model.of(ready.plan.overrides(key)), ""
        except FeedmillError as error:  # it could be served when it started: a newer model lacks something
            return ready.base, error.given

    def _check(self, changes: Iterable[Mapping[str, Any]]) -> None:
        for each in changes:
            try:
                self._model.check(each)
            except ArtifactError as error:  # what was asked for is at fault, and not this service
                raise ConfigError(error.given, error.expected, error.fix) from None


def _failed(degraded: Iterable[str]) -> set[str]:
    """The families of stages that a request had to do without, in part or whole."""
    failed = set[str]()
    for what in degraded:
        family = FAMILIES.get(what.partition(":")[0].partition(".")[0])
        failed |= NEED_MODEL if what == NO_MODEL else {family} if family else set()
    return failed
