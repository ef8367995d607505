"""Section ``[update]``: how models go on learning after their first training."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from feedmill.core.config import Config


class NightlyConfig(Config, frozen=True):
    """The full pass; table ``[update.nightly]``."""

    learning_rate: Annotated[
        float, Meta(ge=0, description="as a share of each model's own, for the one pass over the new samples")
    ] = 0.7
    hold_share: Annotated[
        float, Meta(gt=0, lt=1, description="newest share of the samples that is held out, for the gate")
    ] = 0.05
    room_share: Annotated[
        float, Meta(ge=0, description="rows for users to come, as a share of the users there are")
    ] = 0.25


class IncrementalConfig(Config, frozen=True):
    """The rows of user ids, in order of the log; table ``[update.incremental]``."""

    alpha: Annotated[float, Meta(ge=0, description="rate alpha / (beta + sqrt(sum of mean g²)), one for each row")] = (
        0.025
    )
    beta: Annotated[float, Meta(gt=0, description="keeps the first steps of a row small")] = 0.1
    batch_size: Annotated[int, Meta(ge=1, description="requests per step")] = 64
    calibrate: Annotated[
        bool, Meta(description="let a line on each head's logit follow what was said since the last version")
    ] = True
    half_life_s: Annotated[float, Meta(gt=0, description="a row this many seconds old counts half for that line")] = (
        21_600.0
    )
    min_rows: Annotated[float, Meta(ge=0, description="rows below which that line changes nothing")] = 500.0
    n_negatives: Annotated[
        int, Meta(ge=1, description="items drawn per step that a chosen one is held against, for user vectors")
    ] = 256


class UpdateConfig(Config, frozen=True):
    """Section ``[update]``."""

    nightly: NightlyConfig = NightlyConfig()
    incremental: IncrementalConfig = IncrementalConfig()
