"""From what somebody asks for to what the log keeps: an action that depends on nothing but the log before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from feedmill.core.errors import ConfigError, NotFoundError, WorkspaceError
from feedmill.experiments.config import check_definition, check_name, check_share, n_drawn
from feedmill.experiments.definition import Action, Definition, LayerConfig, Range
from feedmill.experiments.ranges import draw, mask_of, size

if TYPE_CHECKING:
    from feedmill.experiments.plan import Plan


def settle(plan: Plan, action: Action) -> Action:
    """The action with all that its effect depends on; what is there already is left as it is.

    The first action of all writes down the holdout of the config, which is in force from then on.

    Raises:
        ConfigError: a definition that cannot be used, or no arm to roll out.
        WorkspaceError: not enough free buckets.
        NotFoundError: no such experiment.
    """
    action = _written(action)
    check_share(action.share or 0.0, "share")
    if action.action == "create" and action.layer is None:
        action = _create(plan, action)
    elif action.action == "roll_out":
        action = replace(action, arm=action.arm or _winner(plan, action), share=action.share or 0.0)
    elif action.action == "end_holdout" and action.holdout is None:
        return replace(action, holdout=plan.config.draw(plan.holdout.period + 1, action.share))
    if not plan.history and action.holdout is None:
        return replace(action, holdout=plan.config.draw(plan.holdout.period))
    return action


def _written(action: Action) -> Action:
    """The action as the log will have it, so that what is checked is what happens."""
    try:
        same = msgspec.json.decode(msgspec.json.encode(action), type=Action)
    except (msgspec.MsgspecError, UnicodeError, OverflowError, TypeError) as error:
        raise ConfigError(
            f'{action.action} "{action.name}": {error}', "values in their ranges", "see the docs"
        ) from None
    if msgspec.to_builtins(same) != msgspec.to_builtins(action):
        given = f'{action.action} "{action.name}": a value that JSON does not hold'
        raise ConfigError(given, "numbers, text, true, false, lists and tables", "nan and inf are none of these")
    return same


def _create(plan: Plan, action: Action) -> Action:
    check_name(action.name, "name")
    definition = action.definition or plan.config.defined.get(action.name)
    if definition is None:
        known = f"one of {sorted(plan.config.defined)}" if plan.config.defined else "a definition"
        fix = f"put [experiments.defined.{action.name}] into feedmill.toml, or hand in a definition"
        raise NotFoundError(f'no definition of "{action.name}"', known, fix)
    layer = plan.config.layer(definition.layer)
    check_definition(definition, layer)
    is_new = action.name not in plan.experiments  # if not, that is what has to be said, and not that buckets are few
    buckets = _buckets(plan, action.name, definition, layer) if is_new else {}
    return replace(action, definition=definition, layer=layer, buckets=buckets)


def _buckets(plan: Plan, name: str, definition: Definition, layer: LayerConfig) -> dict[str, tuple[Range, ...]]:
    """Of each arm: those that it names, or as many free ones as its share is."""
    arms, n = definition.arms, layer.n_buckets
    named = mask_of((r for arm in arms.values() for r in arm.buckets), n)
    free = mask_of(plan.free(definition.layer), n) & ~named
    counts = {arm: n_drawn(a, n) for arm, a in arms.items() if not a.buckets}
    if sum(counts.values()) > free.sum():
        holding = [
            f"{e.name} ({size(r for arm in e.buckets.values() for r in arm)})" for e in plan.holding(definition.layer)
        ]
        raise WorkspaceError(
            f'layer "{definition.layer}": {sum(counts.values())} buckets wanted, {free.sum()} of {n} are free',
            f"shares that fit; the layer's buckets are held by {', '.join(holding) or 'nothing'}",
            "lower the shares, stop what is finished, or use another layer",
        )
    drawn = draw(free, counts, f"{name}.{definition.layer}.{layer.salt}")
    return {arm: drawn[arm] if arm in drawn else tuple(sorted(a.buckets)) for arm, a in arms.items()}


def _winner(plan: Plan, action: Action) -> str:
    """The only arm that sets anything besides the control."""
    definition = plan.experiment(action.name).definition
    able = [name for name, arm in definition.arms.items() if arm.set and name != definition.control]
    if len(able) != 1:
        given = f'roll_out of "{action.name}" without an arm'
        if not able:
            raise ConfigError(given, "an arm that sets something; none does", "stop the experiment")
        raise ConfigError(given, f"one of {able}", f"roll_out with arm = {able[0]}, or the one that won")
    return able[0]
