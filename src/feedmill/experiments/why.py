"""Why a user gets what the user gets: every bucket that was looked at."""

from __future__ import annotations

from typing import Any, NamedTuple

from feedmill.experiments.assignment import PARTS, bucket, user_hash
from feedmill.experiments.config import HOLDOUT
from feedmill.experiments.plan import Plan
from feedmill.experiments.ranges import mask_of
from feedmill.experiments.record import Experiment
from feedmill.experiments.seats import cut, holdout_salt


class Look(NamedTuple):
    """One look: under which salt, which bucket of how many it was, whose it is, and what follows."""

    where: str  # the holdout, a launch or a layer
    bucket: int
    n: int
    owner: str  # the experiment, "" = the bucket is free
    arm: str
    why: str


def why(plan: Plan, user_id: Any) -> list[Look]:
    """The holdout, launches in their order, then layers by name.

    Raises:
        DataError: the id is neither text nor a whole number, or empty.
    """
    user, arms = user_hash(user_id), plan.assign(user_id).arms
    looks = []
    held = arms.get(HOLDOUT) == "in"
    if HOLDOUT in arms:
        at = bucket(user, holdout_salt(plan.holdout), PARTS)
        looks.append(
            Look(HOLDOUT, at, PARTS, HOLDOUT, arms[HOLDOUT], f"buckets below {cut(plan.holdout.share)} are in")
        )
    launched = [e for e in plan.experiments.values() if e.status == "launched" and e.launch]
    for e in sorted(launched, key=lambda e: e.launch.order if e.launch else 0):
        looks.append(_launch(plan, e, user, arms.get(e.name, "")))
    running = [e for e in plan.experiments.values() if e.status == "running"]
    for layer in sorted({*plan.config.layers, *(e.definition.layer for e in running)}):
        looks.append(_layer(plan, layer, [e for e in running if e.definition.layer == layer], user, held))
    return looks


def _launch(plan: Plan, e: Experiment, user: int, arm: str) -> Look:
    assert e.launch is not None
    at, below = bucket(user, e.launch.salt, PARTS), cut(e.launch.share)
    reason = f"buckets below {below} are its reverse bucket" if below else "for everyone"
    if not arm:
        reason = f"launched in period {e.launch.period}, whose holdout the user is in"
    return Look(f"launch of {e.name}", at, PARTS, e.name, arm, reason)


def _layer(plan: Plan, name: str, running: list[Experiment], user: int, held: bool) -> Look:
    layer = running[0].layer if running else plan.config.layer(name)
    at = bucket(user, layer.salt, layer.n_buckets)
    for e in running:
        for arm, ranges in e.buckets.items():
            if mask_of(ranges, layer.n_buckets)[at]:
                reason = "in the holdout, which gets no experiment" if held else ""
                return Look(f"layer {name}", at, layer.n_buckets, e.name, "" if held else arm, reason)
    return Look(f"layer {name}", at, layer.n_buckets, "", "", "no experiment runs there")
