"""What the fast feed can be told."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from feedmill.core.config import Config
from feedmill.sim.feeds.chance import Slots

Positive = Annotated[float, Meta(gt=0)]


class LearnerConfig(Config, frozen=True, kw_only=True):
    """What is learned of people and videos, and when."""

    learn: Annotated[
        Literal["in-day", "nightly", "frozen"],
        Meta(description="people's vectors at every view and videos' by the hour; all once a night; nothing any more"),
    ] = "in-day"
    use_content: Annotated[
        bool, Meta(description="videos and people are also what they are described as; off: rows are all there is")
    ] = True
    use_age: Annotated[bool, Meta(description="learn what a video's age does to its watching")] = True
    use_repeats: Annotated[bool, Meta(description="learn what another video of the same topic or author costs")] = True
    reaction: Annotated[
        float, Meta(ge=0, description="standard deviations of watching that a reaction is worth; 0 = off")
    ] = 1.5
    n_factors: Annotated[int, Meta(ge=1, le=63, description="numbers in a vector, its bias apart")] = 15
    factor_l2: Annotated[float, Meta(gt=0, description="ridge on factors, in views")] = 17.0
    bias_l2: Annotated[float, Meta(gt=0, description="ridge on biases, in views")] = 20.0
    shared_l2: Annotated[float, Meta(gt=0, description="ridge on what an attribute shares, in views")] = 20.0
    taste_l2: Annotated[float, Meta(gt=0, description="ridge on a person's taste for a label, in views")] = 10.0
    memory_days: Annotated[int, Meta(ge=1, description="days of views that the night learns from")] = 10
    half_life_days: Annotated[float, Meta(gt=0, description="of a view's weight")] = 14.0
    n_rounds: Annotated[
        int, Meta(ge=1, le=100, description="of alternation a night; the first fits take four times")
    ] = 2
    first_fit: Annotated[
        int, Meta(ge=1, description="views before anything is fitted; then, in-day, whenever they have doubled")
    ] = 5000


class FastConfig(Config, frozen=True, kw_only=True):
    """How a slate is made of what is learned. Every knob can be turned off."""

    slots: Slots = 10
    n_candidates: Annotated[int, Meta(ge=10, le=5000, description="that are ranked by expected seconds")] = 200
    explore_slots: Annotated[
        int, Meta(ge=0, le=100, description="of a slate that are given to new videos; 0 = off")
    ] = 0
    explore_below: Annotated[int, Meta(ge=1, description="exposures that a video must not have had for that")] = 100
    explore_choice: Annotated[
        int, Meta(ge=1, le=1000, description="new videos drawn for each such slot; the best fitting is shown")
    ] = 8
    fresh_bonus: Annotated[
        float, Meta(ge=0, description="share added to the expected seconds of a video just published; 0 = off")
    ] = 0.0
    fresh_half_life_days: Annotated[float, Meta(gt=0, description="of that share")] = 2.0
    discount: Annotated[
        float, Meta(ge=0, le=2, description="expected seconds over (1 + exposures / prior) to this power; 0 = off")
    ] = 0.0
    discount_prior: Annotated[float, Meta(gt=0, description="exposures at which the discount begins to bite")] = 100.0
    stay_s: Annotated[
        float, Meta(ge=0, description="seconds that a score higher by 1 is worth beside the view: people stay longer")
    ] = 0.0
    optimism: Annotated[
        float, Meta(ge=0, description="standard errors added to tastes, so that people's tastes are found out; 0 = off")
    ] = 0.5
    repeat_strength: Annotated[
        float, Meta(ge=0, description="times the learned cost of a repeated topic or author; 0 = slates by rank alone")
    ] = 1.0
    author_window: Annotated[int, Meta(ge=0, le=100, description="slots in a row with an author once; 0 = off")] = 4
    topic_window: Annotated[int, Meta(ge=0, le=100, description="slots in a row looked at for topics; 0 = off")] = 4
    topic_at_most: Annotated[int, Meta(ge=1, le=100, description="videos of a topic in that window")] = 2
    skip_seen: Annotated[bool, Meta(description="nothing is shown twice to a person")] = True
