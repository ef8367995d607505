"""The life of an experiment: which step is allowed when, and what it makes of the plan.

created ──start──> running ──stop──> stopped ──roll_out──> launched ──stop──> stopped
   │                  └──────────────roll_out────────────────^  │ reverse, close: opens and ends the reverse bucket
   └──close──> closed <──close── stopped                        └─ everyone has it but the holdout of its period
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace as changed

from feedmill.core.errors import ConfigError, DataError, WorkspaceError
from feedmill.core.events import EventBatch, Kind
from feedmill.experiments.config import ExperimentsConfig
from feedmill.experiments.definition import Action
from feedmill.experiments.paths import overlap, paths_of
from feedmill.experiments.ranges import mask_of, ranges_of, size, words
from feedmill.experiments.record import Experiment, Holdout, Launch, Moment, Status, Step
from feedmill.experiments.settled import settle

if TYPE_CHECKING:
    from feedmill.experiments.plan import Plan

__all__ = ["apply", "consistent", "event", "settle"]


def apply(plan: Plan, action: Action, time_ms: int, offset: int) -> Plan:
    """The plan after an action that the log has at ``offset``; settles it first if nobody has.

    Raises:
        ConfigError: something in it cannot be used.
        WorkspaceError: what is running, or the state that the experiment is in, does not allow it.
        NotFoundError: no such experiment, layer or arm.
    """
    action = settle(plan, action)
    now = Moment(time_ms, offset)
    if not plan.history and action.holdout and action.action != "end_holdout":
        first = Holdout(share=action.holdout.share, salt=action.holdout.salt, since=now)
        plan = replace(plan, holdouts=(first,))
    after = _STEPS[action.action](plan, action, now)
    return replace(
        after, history=(*plan.history, Step(offset=offset, time_ms=time_ms, action=action)), offset=offset + 1
    )


def event(action: Action, time_ms: int) -> EventBatch:
    """The one event that says it. Of two that say the same, as after an answer that got lost, one happens."""
    payload = msgspec.json.encode(action).decode()
    return EventBatch.of({"time_ms": [time_ms], "kind": [int(Kind.EXPERIMENT)], "payload": [payload]})


def consistent(plan: Plan, config: ExperimentsConfig) -> tuple[str, ...]:
    """Whether a config goes with what the log says is running; what people should know of that does.

    Raises:
        ConfigError: a layer in use is gone or split in another way; a definition is not the one that was created.
    """
    for e in plan.experiments.values():
        if e.holds:
            _check_layer(e, config)
        written = config.defined.get(e.name)
        if written is not None and written != e.definition and e.status != "closed":
            raise ConfigError(
                f"[experiments.defined.{e.name}] is not what was created: the experiment is {e.status}",
                "the definition as it was; the split of an experiment cannot be changed",
                "put it back, or stop and close the experiment and define another one under another name",
            )
    held = plan.holdout
    if plan.history and (config.holdout, config.holdout_salt) != (held.share, held.salt):
        said = (
            f"experiments.holdout = {config.holdout:g} is for the next period; until end_holdout it is {held.share:g}"
        )
        return (said,)
    return ()


def _create(plan: Plan, action: Action, now: Moment) -> Plan:
    definition, layer = action.definition, action.layer
    if definition is None or layer is None:
        raise ConfigError(f'create "{action.name}" without a definition and its layer', "both", "write it by feedmill")
    if action.name in plan.experiments:
        old = plan.experiments[action.name]
        other = "" if old.definition == definition else ", with another definition"
        raise WorkspaceError(
            f'experiment "{action.name}" exists{other}: it is {old.status}',
            "a name that was never used; the split of an experiment cannot be changed",
            "stop it and create another under another name",
        )
    _check_buckets(plan, action)
    new = Experiment(
        name=action.name, definition=definition, layer=layer, buckets=action.buckets, status="created", created=now
    )
    return _with(plan, new)


def _check_buckets(plan: Plan, action: Action) -> None:
    """What no log may break: the arms of a layer's experiments share no bucket."""
    definition, layer = action.definition, action.layer
    assert definition is not None
    assert layer is not None
    n, name = layer.n_buckets, definition.layer
    ranges = [r for arm in action.buckets.values() for r in arm]
    mask = mask_of(ranges, n)
    if (
        action.buckets.keys() != definition.arms.keys()
        or mask.sum() != size(ranges)
        or not all(0 <= a < b for a, b in ranges)
    ):
        raise ConfigError(f'buckets of "{action.name}"', f"for each arm its own, of 0 to {n - 1}", "mend the ranges")
    taken = mask_of((), n)
    for e in plan.holding(name):
        if e.layer != layer:
            raise WorkspaceError(
                f'layer "{name}" has {n} buckets and salt "{layer.salt}" here',
                f'{e.layer.n_buckets} and "{e.layer.salt}", as when "{e.name}" was created, which is {e.status}',
                "stop and close what uses the layer before it changes, or use another layer",
            )
        held = mask_of((r for arm in e.buckets.values() for r in arm), n)
        taken |= held
        if (both := held & mask).any():
            raise WorkspaceError(
                f'buckets {words(ranges_of(both))} of layer "{name}" are held by "{e.name}", which is {e.status}',
                f"free buckets: {words(ranges_of(~mask_of(_held(plan, name), n)))}",
                "use other ranges, or a share instead of ranges, or stop the other one",
            )


def _held(plan: Plan, layer: str) -> list[tuple[int, int]]:
    return [r for e in plan.holding(layer) for arm in e.buckets.values() for r in arm]


def _start(plan: Plan, action: Action, now: Moment) -> Plan:
    e = _in(plan, action, "created")
    _check_orthogonal(plan, e, "start")
    return _with(plan, changed(e, status="running", started=now))


def _stop(plan: Plan, action: Action, now: Moment) -> Plan:
    e = _in(plan, action, "running", "launched")
    if e.status == "launched":
        return _with(plan, changed(e, status="stopped", taken_back=now))
    return _with(plan, changed(e, status="stopped", stopped=now))


def _roll_out(plan: Plan, action: Action, now: Moment) -> Plan:
    e = _in(plan, action, "running", "stopped")
    arms = e.definition.arms
    if action.arm not in arms:
        raise ConfigError(f'roll_out of arm "{action.arm}"', f"one of {sorted(arms)}", "name the arm that won")
    if not arms[action.arm].set:
        raise ConfigError(
            f'roll_out of arm "{action.arm}"', "an arm that sets something", "stop the experiment instead"
        )
    _check_orthogonal(plan, e, "roll_out")
    share = action.share or 0.0
    launch = Launch(
        arm=action.arm,
        share=share,
        salt=_salt(e, now),
        period=plan.holdout.period,
        order=sum(step.action.action == "roll_out" for step in plan.history),
        rolled_out=now,
        reversed=now if share else None,
    )
    return _with(plan, changed(e, status="launched", stopped=e.stopped or now, launch=launch, taken_back=None))


def _reverse(plan: Plan, action: Action, now: Moment) -> Plan:
    e = _in(plan, action, "launched")
    if not action.share:
        raise ConfigError(f"reverse with share = {action.share}", "above 0, 0.5 at most", "for example 0.05")
    assert e.launch is not None
    if e.launch.share:
        raise WorkspaceError(
            f'"{e.name}" has a reverse bucket of {e.launch.share:g} already', "one at a time", "close it first"
        )
    _check_orthogonal(plan, e, "reverse")
    launch = changed(e.launch, share=action.share, salt=_salt(e, now), reversed=now, ended=None)
    return _with(plan, changed(e, launch=launch))


def _close(plan: Plan, action: Action, now: Moment) -> Plan:
    e = _in(plan, action, "created", "stopped", "launched")
    if e.status != "launched":
        return _with(plan, changed(e, status="closed", closed=now))
    assert e.launch is not None
    if not e.launch.share:
        raise WorkspaceError(
            f'"{e.name}" is launched and has no reverse bucket to close',
            "an open reverse bucket",
            "stop takes the launch back; to keep it for good, write what it sets into feedmill.toml, then stop it",
        )
    return _with(plan, changed(e, launch=changed(e.launch, share=0.0, ended=now)))


def _end_holdout(plan: Plan, action: Action, now: Moment) -> Plan:
    old, new = plan.holdout, action.holdout
    if new is None or not (old.share or new.share):
        raise WorkspaceError(
            "there is no holdout to end", "a holdout in force, or a share for one to begin", "end_holdout with a share"
        )
    if action.name:
        raise ConfigError(f'end_holdout of "{action.name}"', "no name: it is of all experiments", "leave out the name")
    if new.period != old.period + 1:
        given = f"end of holdout period {new.period - 1}"
        raise WorkspaceError(
            given, f"the end of period {old.period}, which is in force", "end that, if it is still meant"
        )
    drawn = Holdout(share=new.share, salt=new.salt, period=new.period, since=now)
    return replace(plan, holdouts=(*plan.holdouts, drawn))


_STEPS: dict[str, Callable[[Plan, Action, Moment], Plan]] = {
    "create": _create,
    "start": _start,
    "stop": _stop,
    "roll_out": _roll_out,
    "reverse": _reverse,
    "close": _close,
    "end_holdout": _end_holdout,
}
_NEXT = {
    "created": "start it, or close it",
    "running": "stop it, or roll it out",
    "stopped": "roll it out, close it, or create another under another name",
    "launched": "stop takes it back, reverse opens a reverse bucket, close ends that",
    "closed": "create another under another name",
}


def _in(plan: Plan, action: Action, *allowed: Status) -> Experiment:
    """The experiment, if it is in one of these states."""
    if not action.name:
        raise DataError(f"{action.action} without a name", "the name of an experiment", "`feedmill experiment list`")
    e = plan.experiment(action.name)
    if e.status not in allowed:
        what = f'{action.action} of "{e.name}", which is {e.status}'
        raise WorkspaceError(what, f"an experiment that is {' or '.join(allowed)}", _NEXT[e.status])
    return e


def _check_orthogonal(plan: Plan, e: Experiment, what: str) -> None:
    """Users of two comparisons at once must get what both set: no path may be of both.

    Experiments of one layer share no users, so there the same path is what a layer is for. A launch is a comparison
    as long as its reverse bucket is open.
    """
    paths = sorted(paths_of(e.definition))
    for other in plan.experiments.values():
        is_running = other.status == "running" and (other.definition.layer != e.definition.layer or what != "start")
        is_reverse = other.status == "launched" and other.launch is not None and other.launch.share > 0
        if other.name == e.name or not (is_running or (is_reverse and what == "start")):
            continue
        if clash := overlap(paths, sorted(paths_of(other.definition))):
            both = clash[0] if clash[0] == clash[1] else f"{clash[0]} and {clash[1]}"
            raise WorkspaceError(
                f'{what} of "{e.name}": {both} would be set by it and by "{other.name}"',
                "experiments of different layers that set different things, as users are in both",
                f'close the reverse bucket of "{other.name}" first'
                if is_reverse
                else f'stop "{other.name}" first, or put both into one layer, where they share no users',
            )


def _check_layer(e: Experiment, config: ExperimentsConfig) -> None:
    name = e.definition.layer
    if name not in config.layers:
        raise ConfigError(
            f'layer "{name}" is gone from the config: deleting a layer in use',
            f'it stays while "{e.name}" is {e.status}',
            f"put [experiments.layers.{name}] back, or stop and close the experiment first",
        )
    if config.layer(name) != e.layer:
        raise ConfigError(
            f'layer "{name}" was changed while "{e.name}" is {e.status}',
            f'n_buckets = {e.layer.n_buckets} and salt = "{e.layer.salt}", as when that was created',
            f"put [experiments.layers.{name}] back, or stop and close the experiment first",
        )


def _salt(e: Experiment, now: Moment) -> str:
    """Of the layer that a launch opens, new for each: nobody is in two reverse buckets for being in one."""
    return f"launch.{e.name}.{now.offset}"


def _with(plan: Plan, e: Experiment) -> Plan:
    return replace(plan, experiments={**plan.experiments, e.name: e})
