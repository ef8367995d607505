"""What an experiment is: a layer, its arms, and what each of them sets; and the steps of its life."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from feedmill.core.config import Config

Range = tuple[int, int]  # buckets first to last, the last not among them


class Arm(Config, frozen=True):
    """One arm: its part of the layer's buckets, and what it sets."""

    share: Annotated[
        float, Meta(ge=0, le=1, description="of the layer's buckets; free ones are taken when it is created")
    ] = 0.0
    buckets: Annotated[tuple[Range, ...], Meta(description="or which: [[first, end), …]")] = ()
    set: Annotated[
        dict[str, Any], Meta(description="dotted paths of the config to what they are set; none = as is")
    ] = {}


class Definition(Config, frozen=True):
    """Section ``[experiments.defined.NAME]``, the body of ``POST /v1/experiments``, and what the log keeps."""

    layer: Annotated[str, Meta(description="whose buckets it takes")]
    arms: Annotated[dict[str, Arm], Meta(description="two at least, one of them the control")]
    control: Annotated[str, Meta(description="the arm that the others are compared with")] = "control"
    why: Annotated[str, Meta(max_length=2000, description="what is expected, and why")] = ""
    metrics: Annotated[tuple[str, ...], Meta(description="that decide, the first before the others; none = all")] = ()


class LayerConfig(Config, frozen=True):
    """Section ``[experiments.layers.NAME]``: users in buckets, so that an experiment takes some of them."""

    n_buckets: Annotated[int, Meta(ge=2, le=100_000, description="parts that the layer's users are split into")] = 1000
    salt: Annotated[str, Meta(max_length=200, description='what makes its split its own; "" = the layer\'s name')] = ""


class HoldoutConfig(Config, frozen=True):
    """A holdout to draw: who of the users gets none of what changes in a period."""

    period: Annotated[int, Meta(ge=1, description="that it is of: the next one, so that it is drawn once")] = 1
    share: Annotated[float, Meta(ge=0, le=0.5, description="of the users")] = 0.0
    salt: Annotated[str, Meta(max_length=200, description="what makes its draw its own")] = ""


class Action(Config, frozen=True):
    """One step of a life cycle: the payload of an EXPERIMENT event.

    ``layer``, ``buckets`` and ``holdout`` are filled in by ``settled.settle``, not by people: an event says all that
    its effect depends on, so that neither a later config nor a later feedmill reads it in another way.
    """

    action: Literal["create", "start", "stop", "roll_out", "reverse", "close", "end_holdout"]
    name: Annotated[str, Meta(description="of the experiment; none for end_holdout")] = ""
    definition: Definition | None = None  # create
    arm: Annotated[str, Meta(description="roll_out: the arm that wins; none = the only one that sets anything")] = ""
    share: (
        Annotated[float, Meta(ge=0, le=0.5, description="roll_out, reverse: users who keep what was; or next holdout")]
        | None
    ) = None
    by: Annotated[str, Meta(max_length=200, description="who did it")] = ""
    note: Annotated[str, Meta(max_length=2000, description="why")] = ""
    layer: LayerConfig | None = None  # create: the layer as it is
    buckets: dict[str, tuple[Range, ...]] = {}  # create: of each arm
    holdout: HoldoutConfig | None = None  # the first step of all and end_holdout: the one that begins
