"""/v1/experiments: a step of a life cycle from JSON, and experiments as JSON."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from feedmill.core.config import convert as converted
from feedmill.core.config import nearest
from feedmill.core.errors import NotFoundError
from feedmill.experiments import Action, Definition, Experiment, Plan
from feedmill.experiments.record import Holdout, Refusal, Step
from feedmill.serve.bodies import convert

STEPS = ("start", "stop", "roll_out", "reverse", "close")


class CreateBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A new experiment. One that feedmill.toml defines needs its name alone."""

    name: Annotated[str, Meta(max_length=256, description="lower-case letters, digits, _ . -")]
    layer: Annotated[str, Meta(description="whose buckets it takes")] = ""
    arms: Annotated[
        dict[str, Any], Meta(description='name -> {"share" or "buckets", "set": {dotted path: value}}')
    ] = {}
    control: Annotated[str, Meta(description="the arm that the others are compared with")] = "control"
    why: Annotated[str, Meta(max_length=2000, description="what is expected, and why")] = ""
    metrics: Annotated[list[str], Meta(description="that decide, the first before the others")] = []
    by: Annotated[str, Meta(max_length=256, description="who does it")] = ""


class StepBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a step may be told."""

    arm: Annotated[str, Meta(description="roll_out: the arm that wins")] = ""
    share: Annotated[
        float | None, Meta(description="roll_out, reverse: users who keep the old; end_holdout: of the next")
    ] = None
    by: Annotated[str, Meta(max_length=256, description="who does it")] = ""
    note: Annotated[str, Meta(max_length=2000, description="why")] = ""


class Overview(msgspec.Struct):
    """What runs, what has run, and what is free."""

    holdout: Holdout
    layers: dict[str, Any]
    experiments: list[Experiment]
    refused: list[Refusal]


class One(msgspec.Struct):
    """One experiment with its history."""

    experiment: Experiment
    history: list[Step]


def action_of(step: str, name: str, raw: Any) -> Action:
    """The action that a request asks for.

    Raises:
        NotFoundError: no such step.
        DataError: a field that is unknown, missing or of the wrong type.
        ConfigError: a definition that cannot be used.
    """
    if step == "create":
        body = convert(raw, CreateBody)
        definition = _definition(raw) if body.layer or body.arms else None
        return Action(action="create", name=body.name, definition=definition, by=body.by)
    if step != "end_holdout" and step not in STEPS:
        raise NotFoundError(f'no step "{step}"', f"one of {list(STEPS)}", nearest(step, STEPS))
    asked = convert(raw, StepBody)
    told = {"action": step, "name": name, "arm": asked.arm, "by": asked.by, "note": asked.note}
    return converted(told | ({} if asked.share is None else {"share": asked.share}), Action)


def overview(plan: Plan) -> Overview:
    """Everything there is, by layers."""
    layers = {
        name: {"n_buckets": layer.n_buckets, "free": plan.free(name)} for name, layer in plan.config.layers.items()
    }
    return Overview(plan.holdout, layers, list(plan.experiments.values()), list(plan.refused))


def one(plan: Plan, name: str) -> One:
    """One experiment.

    Raises:
        NotFoundError: there is none of that name.
    """
    return One(plan.experiment(name), [step for step in plan.history if step.action.name == name])


def _definition(raw: dict[str, Any]) -> Definition:
    return converted({key: value for key, value in raw.items() if key not in ("name", "by")}, Definition, "experiment")
