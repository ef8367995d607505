"""What an audience and its videos are like. The defaults are calibrated on real figures: docs/simulate.md."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from feedmill.core.config import Config

Share = Annotated[float, Meta(ge=0, le=1)]
DAY_MS, HOUR_MS = 86_400_000, 3_600_000


class TasteConfig(Config, frozen=True):
    """How affinity comes about: the scale is such that a random person and a random video have mean 0 and sd 1."""

    topic_sd: Annotated[float, Meta(ge=0, description="of the affinity by topics, over random pairs")] = 0.82
    latent_sd: Annotated[float, Meta(ge=0, description="of the affinity by what no attribute says")] = 0.2
    n_latent: Annotated[int, Meta(ge=0, le=64, description="dimensions that no attribute says")] = 8
    n_circles: Annotated[int, Meta(ge=1, description="kinds of people; each likes topics of its own")] = 12
    n_favourites: Annotated[int, Meta(ge=1, description="topics that a circle likes")] = 12
    n_favourites_own: Annotated[float, Meta(ge=0, description="further topics that a person likes, on average")] = 2.0
    own_share: Annotated[float, Meta(ge=0, le=1, description="of the variance by topics: a person's own")] = 0.1
    new_share: Annotated[float, Meta(gt=0, le=1, description="of a circle's topics that a newcomer likes yet")] = 0.5
    author_share: Annotated[float, Meta(ge=0, le=1, description="of the latent variance: the author's")] = 0.5
    quality_sd: Annotated[float, Meta(ge=0, description="of what everybody likes about a video")] = 0.45
    fresh: Annotated[float, Meta(ge=0, description="added to the affinity with a new-born video")] = 0.5
    fresh_half_life_days: Annotated[float, Meta(gt=0, description="of that, median over videos")] = 5.0
    other_language: Annotated[float, Meta(ge=0, description="taken off where the language is not the person's")] = 0.5
    same_city: Annotated[float, Meta(ge=0, description="added where the city is the person's")] = 0.3
    followed: Annotated[float, Meta(ge=0, description="added for an author whom the person follows")] = 0.5
    drift_share: Annotated[
        float, Meta(ge=0, le=1, description="of a taste's variance: what wanders (Ornstein-Uhlenbeck)")
    ] = 0.1
    drift_half_life_days: Annotated[float, Meta(gt=0, description="of that wandering")] = 14.0


class TireConfig(Config, frozen=True):
    """What is taken off the affinity by what the person has just seen."""

    topic: Annotated[float, Meta(ge=0, description="when all of the last videos had the same topic")] = 1.2
    memory: Annotated[float, Meta(gt=0, lt=1, description="of topics that is left after a further video")] = 0.85
    hours: Annotated[float, Meta(gt=0, description="half-life of that memory while nothing is watched")] = 3.0
    author: Annotated[float, Meta(ge=0, description="for each of the last 8 videos by the same author")] = 0.4
    seen: Annotated[float, Meta(ge=0, description="for a video that the person has seen before")] = 2.5
    fatigue: Annotated[float, Meta(ge=0, description="after as many videos as a session has, on average")] = 0.25


class HabitConfig(Config, frozen=True):
    """When people come, how long they stay, and whether they come again."""

    sessions: Annotated[float, Meta(gt=0, description="a day of a person who comes, at full scale")] = 9.5
    sessions_sd: Annotated[float, Meta(ge=0, description="between people, of the log of that")] = 0.25
    views: Annotated[float, Meta(gt=0, description="on such a day, were people not disturbed, at full scale")] = 445.0
    patience_sd: Annotated[float, Meta(ge=0, description="between people, of the log of a session's length")] = 0.7
    new_patience: Annotated[float, Meta(gt=0, le=1, description="of people new to the product, to others'")] = 0.7
    liking: Annotated[float, Meta(ge=0, description="a session is longer by this (log) for each sd of affinity")] = 0.3
    new_days: Annotated[float, Meta(gt=0, description="for which a person counts as new")] = 14.0
    come_liking: Annotated[float, Meta(ge=0, description="logit of coming, for each sd of satisfaction")] = 0.8
    leave: Annotated[float, Meta(ge=0, le=1, description="chance a day to leave for good, at the reference")] = 0.004
    leave_new: Annotated[float, Meta(ge=1, description="times that for people new to the product")] = 8.0
    leave_liking: Annotated[float, Meta(ge=0, description="that falls by this (log) for each sd")] = 1.2
    memory_days: Annotated[float, Meta(gt=0, description="over which satisfaction is remembered")] = 5.0
    come: Annotated[
        tuple[Share, Share, Share, Share, Share],
        Meta(description="chance of coming on a day by class: full, high, middle, low, new"),
    ] = (0.95, 0.75, 0.45, 0.15, 0.6)


class WatchConfig(Config, frozen=True):
    """Seconds watched: a mixture of leaving at once, a part, all, and again; ``watch.py`` has the formula.

    Each triple is (constant, by affinity, by ln of duration over 22.7 s); a fourth is by the square of the last.
    """

    skip: Annotated[tuple[float, float, float, float], Meta(description="logit of leaving at once, to a part")] = (
        0.329, -0.8, -0.143, -0.11,
    )  # fmt: skip
    full: Annotated[tuple[float, float, float, float], Meta(description="logit of watching all, to a part")] = (
        -0.967, 0.7, -0.921, -0.05,
    )  # fmt: skip
    part: Annotated[tuple[float, float, float, float], Meta(description="log of c: of the rest, a part is U^c")] = (
        0.78, -0.4, 0.398, -0.01,
    )  # fmt: skip
    again: Annotated[tuple[float, float, float, float], Meta(description="logit of going on after the end")] = (
        -1.528, 0.4, -1.65, 0.0,
    )  # fmt: skip
    again_times: Annotated[float, Meta(gt=0, description="mean plays more of those who go on")] = 1.35
    longest_s: Annotated[
        float, Meta(gt=0, description="a longer video is watched as if it were so long: the figures end there")
    ] = 200.0
    skip_s: Annotated[float, Meta(gt=0, description="who leaves at once leaves within so many seconds")] = 3.0
    skip_power: Annotated[float, Meta(gt=0, description="leaving at once: skip_s · U^this")] = 0.81


class ReactConfig(Config, frozen=True):
    """What people do beside watching: (logit at the reference, by affinity). Who leaves at once may only dislike."""

    like: Annotated[tuple[float, float], Meta(description="heart")] = (-3.7, 0.9)
    share: Annotated[tuple[float, float], Meta(description="to friends")] = (-5.8, 0.8)
    comment: Annotated[tuple[float, float], Meta(description="words below it")] = (-5.4, 0.6)
    follow: Annotated[tuple[float, float], Meta(description="the author")] = (-6.0, 1.0)
    dislike: Annotated[tuple[float, float], Meta(description="less of this")] = (-6.8, -1.0)


class WorldConfig(Config, frozen=True):
    """A world of people and videos."""

    n_users: Annotated[int, Meta(ge=1, description="people on the first day")] = 1000
    n_videos: Annotated[int, Meta(ge=1, description="videos on the first day")] = 5000
    n_topics: Annotated[int, Meta(ge=0, le=110, description="topics that videos are about")] = 110
    n_cities: Annotated[int, Meta(ge=1, le=30, description="cities that people and videos are from")] = 30
    views_per_day: Annotated[
        float, Meta(gt=0, description="shown to a person on a day on which they come; the real figure is 425")
    ] = 30.0
    new_users: Annotated[float, Meta(ge=0, description="people who join each day, to those of the first day")] = 0.005
    video_days: Annotated[
        float, Meta(ge=0, description="a video's life; as many come each day as go; 0 = none comes or goes")
    ] = 30.0
    english: Annotated[float, Meta(ge=0, le=1, description="share of people, and of videos, in English")] = 0.2
    duration_log_mean: Annotated[float, Meta(description="of ln seconds of videos (KuaiRand-Pure)")] = 4.23
    duration_log_sd: Annotated[float, Meta(ge=0, description="of the same")] = 1.03
    start_ms: Annotated[int, Meta(ge=0, description="the first day's midnight, UTC")] = 1_700_006_400_000
    taste: TasteConfig = TasteConfig()
    tire: TireConfig = TireConfig()
    habit: HabitConfig = HabitConfig()
    watch: WatchConfig = WatchConfig()
    react: ReactConfig = ReactConfig()
