"""What an experiment is: a layer, its arms, and what each of them sets."""

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


class Action(Config, frozen=True):
    """One step of a life cycle: the payload of an EXPERIMENT event."""

    action: Literal["create", "start", "stop", "roll_out", "reverse", "close", "end_holdout"]
    name: Annotated[str, Meta(description="of the experiment; none for end_holdout")] = ""
    definition: Definition | None = None  # create
    arm: Annotated[str, Meta(description="roll_out: the arm that wins; none = the only one that is no control")] = ""
    share: Annotated[float, Meta(ge=0, le=0.5, description="roll_out, reverse: users who keep the old treatment")] = 0.0
    by: Annotated[str, Meta(max_length=200, description="who did it")] = ""
    note: Annotated[str, Meta(max_length=2000, description="why")] = ""
