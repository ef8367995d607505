"""``[samples.guard]``: what a break of the stream is."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from feedmill.core.config import Config


class GuardConfig(Config, frozen=True):
    """Section ``[samples.guard]``."""

    window_s: Annotated[float, Meta(gt=0, description="seconds of the stream that are judged together")] = 60.0
    baseline: Annotated[int, Meta(ge=3, le=10_000, description="healthy windows before, to compare with")] = 60
    outlier: Annotated[
        float,
        Meta(gt=0, description="robust standard deviations from its median at which a window of it does not count"),
    ] = 4.0
    least: Annotated[
        float,
        Meta(gt=0, description="positives to expect before a window says anything; till then it waits for the next"),
    ] = 30.0
    z: Annotated[float, Meta(gt=0, description="standard deviations from the usual at which a rate is off")] = 6.0
    factor: Annotated[float, Meta(gt=1, description="and how many times smaller or larger it must be besides")] = 1.5
    lost: Annotated[
        float, Meta(gt=0, lt=1, description="share of feedback that may always come late or belong to nothing")
    ] = 0.05
    psi: Annotated[float, Meta(gt=0, description="population stability index at which a distribution is off")] = 0.25
    season: Annotated[
        float, Meta(ge=0, lt=1, description="weight of an hour's counts at the same hour a day later; 0: no hours")
    ] = 0.5
    healthy: Annotated[int, Meta(ge=1, description="healthy windows in a row after which learning goes on")] = 5
    margin_s: Annotated[
        float, Meta(ge=0, description="seconds before the first bad window whose feedback the break took")
    ] = 120.0

    @property
    def warm(self) -> int:
        """Windows to have seen before any is judged."""
        return max(3, self.baseline // 6)
