"""What is planted is learned."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from feedmill.sim.feeds.fast.config import LearnerConfig
from feedmill.sim.feeds.fast.learner import Learner
from sim.feeds.fast.planted import HALF_MS, N_ITEMS, N_USERS, START_MS, described, liking, watched


def taught(n: int = 12_000, last_item: int = N_ITEMS, ticks: int = 1, **config: object) -> Learner:
    """After a day of views of chance."""
    learner = Learner(LearnerConfig(n_factors=3, first_fit=2000, **config), 1)  # type: ignore[arg-type]
    learner.describe(described())
    for views in parts(n, last_item, ticks):
        learner.take(views)
    learner.night(0)
    return learner


def parts(n: int, last_item: int, ticks: int):  # type: ignore[no-untyped-def]
    from dataclasses import fields

    from feedmill.sim.views import Views

    views = watched(liking(5), 7, n, last_item)
    for rows in np.array_split(np.arange(n), ticks):
        yield Views(*(getattr(views, f.name)[rows] for f in fields(Views)))


def scores(learner: Learner) -> NDArray[np.float32]:
    user, item = np.repeat(np.arange(N_USERS), N_ITEMS), np.tile(np.arange(N_ITEMS), N_USERS)
    now = np.full(len(user), START_MS + HALF_MS, np.int64)
    flat = learner.model.scores(user.astype(np.int32), item.astype(np.int32), now, np.zeros((len(user), 2), np.float32))
    return flat.reshape(N_USERS, N_ITEMS)


def agreement(learner: Learner, items: slice = slice(None)) -> float:
    """Mean correlation, within a person, of scores and truth."""
    truth, score = liking(5)[:, items], scores(learner)[:, items]
    return float(np.mean([np.corrcoef(t, s)[0, 1] for t, s in zip(truth, score, strict=True)]))


@pytest.mark.parametrize("learn", ["nightly", "in-day"])
def test_the_order_of_videos_for_each_person_is_learned(learn: str) -> None:
    assert agreement(taught(learn=learn, ticks=20)) > 0.9


def test_views_in_the_day_are_learned_from_before_the_night() -> None:
    learner = Learner(LearnerConfig(n_factors=3, first_fit=2000), 1)
    learner.describe(described())
    for views in parts(9000, N_ITEMS, 30):
        learner.take(views)
    assert agreement(learner) > 0.75


def test_a_video_without_views_is_scored_by_what_it_is() -> None:
    """The last 40 videos are never seen: their topic says what can be known of them."""
    cold = slice(N_ITEMS - 40, None)
    assert agreement(taught(last_item=N_ITEMS - 40), cold) > 0.6
    assert agreement(taught(last_item=N_ITEMS - 40, use_content=False), cold) < 0.2


def test_expected_seconds_are_right_on_average_for_short_and_long() -> None:
    learner, views = taught(), watched(liking(5), 8, 6000)
    s = learner.model.scores(views.user, views.item, views.time_ms, np.zeros((6000, 2), np.float32))
    s = np.clip(s, learner.surface.low, learner.surface.high)
    p = learner.surface.parabolas(learner.length[views.item])
    guess = p[0] + s * (p[1] + s * p[2])
    for long in (0, 1):
        some = (views.item % 4 >= 2) == long
        assert guess[some].mean() == pytest.approx(views.seconds[some].mean(), rel=0.1)


def test_what_is_frozen_does_not_change() -> None:
    learner = taught()
    before, shown = scores(learner), learner.exposures.copy()
    learner.freeze()
    learner.take(watched(liking(6), 9, 3000))
    learner.night(1)
    assert (scores(learner) == before).all()
    assert (learner.exposures == shown).all()


def test_the_same_views_give_the_same_bytes() -> None:
    one, other = taught(3000, ticks=5), taught(3000, ticks=5)
    assert scores(one).tobytes() == scores(other).tobytes()


def test_a_night_is_one_night_however_many_feeds_call_it() -> None:
    learner = taught(3000)
    before, version = scores(learner), learner.version
    learner.night(0)
    assert learner.version == version
    assert (scores(learner) == before).all()
