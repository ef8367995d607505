"""Section ``[experiments]``: layers, the holdout, and experiments that can be created by name."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Annotated

from msgspec import Meta

from feedmill.core.config import Config, nearest
from feedmill.core.errors import ConfigError
from feedmill.experiments.assignment import PARTS
from feedmill.experiments.definition import Arm, Definition, HoldoutConfig, LayerConfig
from feedmill.experiments.paths import check_paths
from feedmill.experiments.ranges import size, words
from feedmill.metrics.rollup.measures import MEASURES, PER_USER

HOLDOUT = "holdout"  # the name under which arms say who is in it
LAUNCHED, REVERSE = "launched", "reverse"  # the arms of a launch
_NAME = re.compile(r"[a-z0-9_.-]{1,64}")


class ExperimentsConfig(Config, frozen=True):
    """Section ``[experiments]``."""

    holdout: Annotated[
        float, Meta(ge=0, le=0.5, description="share of users who get nothing new until the period ends")
    ] = 0.0
    holdout_salt: Annotated[str, Meta(max_length=200, description="what makes the draw of the holdout its own")] = (
        HOLDOUT
    )
    layers: Annotated[dict[str, LayerConfig], Meta(description="experiments of one share no users; by name")] = {}
    defined: Annotated[dict[str, Definition], Meta(description="experiments that `create NAME` finds here")] = {}

    def __post_init__(self) -> None:
        check_share(self.holdout, "experiments.holdout")
        for name in self.layers:
            check_name(name, f"experiments.layers.{name}")
        for name, definition in self.defined.items():
            at = f"experiments.defined.{name}"
            check_name(name, at)
            check_definition(definition, self.layer(definition.layer, f"{at}.layer"), f"{at}.")

    def layer(self, name: str, at: str = "layer") -> LayerConfig:
        """A layer with the salt that it has.

        Raises:
            ConfigError: there is none of that name.
        """
        if name not in self.layers:
            there = f"one of {sorted(self.layers)}" if self.layers else "a layer of the config, which has none"
            fix = nearest(name, self.layers) or f"put [experiments.layers.{name or 'NAME'}] into feedmill.toml"
            raise ConfigError(f'{at} = "{name}"', there, fix)
        found = self.layers[name]
        return LayerConfig(n_buckets=found.n_buckets, salt=found.salt or name)

    def draw(self, period: int, share: float | None = None) -> HoldoutConfig:
        """The holdout to draw for a period, of this share or of the config's."""
        return HoldoutConfig(period=period, share=self.holdout if share is None else share, salt=self.holdout_salt)


def check_name(name: str, at: str) -> None:
    """Raises ConfigError for a name that no experiment or layer may have."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f'{at}: the name "{name[:80]}"', "1 to 64 of a-z 0-9 _ . -", "choose another name")
    if name == HOLDOUT or name.startswith("launch."):
        raise ConfigError(f'{at}: the name "{name}"', f'any but "{HOLDOUT}" and "launch.…"', "choose another name")


def check_definition(definition: Definition, layer: LayerConfig, at: str = "") -> None:
    """What can be said of a definition without knowing what runs.

    Raises:
        ConfigError: arms that are too few, or claim too much or the same buckets twice; a path that cannot be set.
    """
    arms = definition.arms
    if len(arms) < 2:
        raise ConfigError(
            f"{at}arms: {sorted(arms) or 'none'}", "two at least: a control and a treatment", "add an arm"
        )
    if definition.control not in arms:
        fix = nearest(definition.control, arms) or "name the arm that the others are compared with"
        raise ConfigError(f'{at}control = "{definition.control}"', f"one of {sorted(arms)}", fix)
    for name, arm in arms.items():
        _check_arm(name, arm, layer.n_buckets, f"{at}arms.{name}")
    _check_room(arms, layer.n_buckets, at)
    check_paths(definition, at)
    for metric in definition.metrics:
        if metric not in PER_USER:
            given = f'{at}metrics: "{metric}"' + (" is none of users" if metric in MEASURES else "")
            raise ConfigError(given, f"some of {', '.join(PER_USER)}", nearest(metric, PER_USER))


def check_share(share: float, at: str) -> None:
    """Raises ConfigError for a share that is nobody's: a holdout or a reverse bucket of less than one part."""
    if 0 < share < 1 / PARTS:
        raise ConfigError(f"{at} = {share:g}", f"0, or at least {1 / PARTS:g}", "raise it")


def n_drawn(arm: Arm, n_buckets: int) -> int:
    """How many buckets the share of an arm is."""
    return round(arm.share * n_buckets)


def _check_arm(name: str, arm: Arm, n: int, at: str) -> None:
    if not _NAME.fullmatch(name) or name in (LAUNCHED, REVERSE):
        raise ConfigError(f"{at}: the name", f"1 to 64 of a-z 0-9 _ . -, not {LAUNCHED} or {REVERSE}", "choose another")
    if bool(arm.share) == bool(arm.buckets):
        given = "share and buckets" if arm.share else "neither share nor buckets"
        raise ConfigError(f"{at}: {given}", "one of them", "share = 0.1, or buckets = [[0, 100]]")
    for first, end in arm.buckets:
        if not 0 <= first < end <= n:
            expected = f"[first, end) with 0 <= first < end <= {n}, the layer's buckets"
            raise ConfigError(f"{at}.buckets: [{first}, {end})", expected, "mend the range, or use share")
    if arm.share and not n_drawn(arm, n):
        raise ConfigError(f"{at}.share = {arm.share}", f"at least {1 / n:g}, one of {n} buckets", "raise the share")


def _check_room(arms: dict[str, Arm], n: int, at: str) -> None:
    ranges = sorted((r, name) for name, arm in arms.items() for r in arm.buckets)
    for (r, name), (other, whose) in pairwise(ranges):
        if other[0] < r[1]:
            given = f"{at}arms: buckets {words([(other[0], min(r[1], other[1]))])} are in {name} and in {whose}"
            raise ConfigError(given, "each bucket in one arm, once", "mend the ranges")
    shares = sum(arm.share for arm in arms.values())
    if shares > 1 + 1e-9:
        raise ConfigError(f"{at}arms: shares add up to {shares:g}", "1 at most", "lower them")
    wanted = sum(n_drawn(a, n) for a in arms.values()) + size(r for r, _ in ranges)
    if wanted > n:
        raise ConfigError(f"{at}arms: {wanted} buckets", f"{n} at most, all that the layer has", "lower the shares")
