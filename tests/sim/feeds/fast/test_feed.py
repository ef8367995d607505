"""The slates: what the knobs do, by what comes out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from audiences import small_world
from feedmill.core.events import EventBatch, Kind
from feedmill.sim.feeds.fast.config import FastConfig, LearnerConfig
from feedmill.sim.feeds.fast.feed import FastFeed
from feedmill.sim.feeds.fast.learner import Learner
from feedmill.sim.live import live
from feedmill.sim.views import NOTHING
from sim.feeds.fast.planted import (
    N_ITEMS,
    N_USERS,
    NO_SLATES,
    NOBODY,
    START_MS,
    asks_of,
    described,
    liking,
    watched,
)  # fmt: skip

PLAIN: dict[str, Any] = {"author_window": 0, "topic_window": 0, "repeat_strength": 0.0, "optimism": 0.0}
LATER = START_MS + 86_400_000
EVERYBODY = list(range(N_USERS))


@pytest.fixture(scope="module")
def learner() -> Learner:
    """Has seen the first 200 videos, 10 000 times in all."""
    out = Learner(LearnerConfig(n_factors=3, learn="nightly"), 1)
    out.describe(described())
    out.take(watched(liking(5), 7, 10_000, 200))
    out.night(0)
    out.freeze()
    return out


def feed(learner: Learner, **config: Any) -> FastFeed:
    return FastFeed(FastConfig(**PLAIN | config), learner, 4)


def expected_s(learner: Learner, user: int) -> np.ndarray[Any, Any]:
    """float[N_ITEMS] of one person, at the time of the asks, without the kernels of ranking."""
    rows = np.full(N_ITEMS, user, np.int32), np.arange(N_ITEMS, dtype=np.int32)
    s = learner.model.scores(*rows, np.full(N_ITEMS, LATER, np.int64), np.zeros((N_ITEMS, 2), np.float32))
    s = np.clip(s, learner.surface.low, learner.surface.high)
    p = learner.surface.parabolas(learner.length[:N_ITEMS])
    return p[0] + s * (p[1] + s * p[2])


def test_slates_are_the_most_expected_seconds_of_the_whole_catalogue(learner: Learner) -> None:
    slates = feed(learner).slates(asks_of(EVERYBODY, LATER)).item
    for user in EVERYBODY:
        seconds = expected_s(learner, user)
        np.testing.assert_allclose(seconds[slates[user]], np.sort(seconds)[::-1][:10], rtol=1e-4)


def test_nothing_is_shown_twice_until_there_is_nothing_else(learner: Learner) -> None:
    of = feed(learner)
    asked, shown = asks_of([3], LATER), set()
    for _ in range(3):
        slate = of.slates(asked).item[0]
        shown |= set(slate.tolist())
        seen = watched(liking(5), 1, 10)
        of.take(asked, NO_SLATES, type(seen)(seen.ask, np.full(10, 3, np.int32), slate, *list_of(seen)))
    assert len(shown) == 30
    everything = np.arange(N_ITEMS, dtype=np.int32)
    more = watched(liking(5), 1, N_ITEMS)
    of.take(asked, NO_SLATES, type(more)(more.ask, np.full(N_ITEMS, 3, np.int32), everything, *list_of(more)))
    assert (of.slates(asked).item[0] != NOTHING).all()


def list_of(views: Any) -> list[Any]:
    return [views.position, views.time_ms, views.seconds, views.reactions]


def test_windows_keep_authors_and_topics_apart(learner: Learner) -> None:
    wild = feed(learner).slates(asks_of(EVERYBODY, LATER)).item
    tame = feed(learner, author_window=3, topic_window=4, topic_at_most=2).slates(asks_of(EVERYBODY, LATER)).item

    def breaks(slates: np.ndarray[Any, Any]) -> int:
        n = 0
        for slate in slates:
            for k in range(len(slate)):
                n += slate[k] // 4 in slate[max(0, k - 2) : k] // 4
                n += bool((slate[max(0, k - 3) : k] % 6 == slate[k] % 6).sum() >= 2)
        return n

    assert breaks(wild) > 0
    assert breaks(tame) == 0


def test_what_repeats_costs(learner: Learner) -> None:
    """With a cost, slates have more topics."""
    learner.model.cost[:] = -3, 0
    topics = [
        np.mean([len(set(slate % 6)) for slate in of.slates(asks_of(EVERYBODY, LATER)).item])
        for of in (feed(learner), feed(learner, repeat_strength=1.0))
    ]
    learner.model.cost[:] = 0
    assert topics[1] > topics[0]


@pytest.mark.parametrize("n", [1, 3])
def test_new_videos_get_their_slots_and_no_more(learner: Learner, n: int) -> None:
    """Videos from 200 on have no views; what is known of them is little, so that few are shown by rank."""
    of = feed(learner, explore_slots=n, explore_below=1, explore_choice=2)
    slates = of.slates(asks_of(EVERYBODY, LATER)).item
    places = ((np.arange(n) + 0.5) * 10 / n).astype(int)
    assert (slates[:, places] >= 200).all()
    shown = np.bincount(slates[:, places].ravel(), minlength=N_ITEMS)[200:]
    assert (shown > 0).sum() > 20
    assert all(len(set(slate)) == 10 for slate in slates.tolist())


def test_discount_and_freshness_change_the_order_as_they_say(learner: Learner) -> None:
    asked, shown = asks_of(EVERYBODY, LATER), learner.exposures
    plain, rare, young = (
        feed(learner, **config).slates(asked).item
        for config in ({}, {"discount": 1.0, "discount_prior": 5.0}, {"fresh_bonus": 3.0, "fresh_half_life_days": 1.0})
    )
    assert shown[rare].mean() < shown[plain].mean()
    assert (young % 5).mean() < (plain % 5).mean() - 0.5  # days since publication
    seconds, level = expected_s(learner, 0), (1 + shown[:N_ITEMS] / 5.0) ** -1.0
    np.testing.assert_allclose((seconds * level)[rare[0]], np.sort(seconds * level)[::-1][:10], rtol=1e-4)


def test_longer_stays_are_worth_seconds(learner: Learner) -> None:
    plain, stay = (feed(learner, stay_s=s).slates(asks_of(EVERYBODY, LATER)).item for s in (0.0, 500.0))
    truth = liking(5)[np.arange(N_USERS)[:, None], :]
    assert np.take_along_axis(truth[:, 0], stay, 1).mean() > np.take_along_axis(truth[:, 0], plain, 1).mean()


def test_before_any_view_slates_are_drawn_evenly() -> None:
    of = feed(Learner(LearnerConfig(n_factors=3), 1))
    of.describe(described())
    slates = of.slates(asks_of(EVERYBODY, LATER)).item
    assert all(len(set(slate)) == 10 for slate in slates.tolist())
    assert np.unique(slates).size > 0.8 * N_ITEMS
    assert (slates[0] != slates[1]).any()


def test_who_else_asks_changes_nothing(learner: Learner) -> None:
    of = feed(learner, explore_slots=1)
    together = of.slates(asks_of(EVERYBODY, LATER)).item
    assert (of.slates(asks_of([7], LATER)).item[0] == together[7]).all()


def test_what_is_taken_down_is_not_shown() -> None:
    of = feed(Learner(LearnerConfig(n_factors=3), 1), slots=20)
    of.describe(described(1, 12))
    gone = EventBatch.of({"kind": int(Kind.ITEM), "item_id": ["v3", "v5"], "payload": '{"deleted": true}'})
    of.describe(gone)
    assert sorted(of.slates(asks_of([0])).item[0].tolist()) == [-1] * 10 + [0, 1, 2, 4, 6, 7, 8, 9, 10, 11]


def test_nobody_asks_and_nothing_is_there() -> None:
    of = feed(Learner(LearnerConfig(n_factors=3), 1))
    assert of.slates(NOBODY).item.shape == (0, 10)
    of.describe(described(1, 0))
    assert (of.slates(asks_of([0])).item == NOTHING).all()


@pytest.mark.parametrize("config", [{"n_users": 1}, {"n_videos": 1}, {"n_topics": 0}])
def test_worlds_of_one_live(config: dict[str, int]) -> None:
    of = FastFeed(FastConfig(explore_slots=1), Learner(LearnerConfig(first_fit=20), 1), 1)
    diary = live(small_world(**config), of, 3)
    assert diary.people.views.sum() > 0


def test_two_feeds_of_one_learner_learn_from_each_other_and_days_repeat_byte_for_byte() -> None:
    def lived() -> tuple[bytes, int]:
        shared = Learner(LearnerConfig(first_fit=200), 1)
        one, other = FastFeed(FastConfig(), shared, 1), FastFeed(FastConfig(discount=1.0), shared, 1)
        live(small_world(), one, 2)
        n = shared.n_views
        other.describe(small_world().describe())
        slates = other.slates(asks_of([0, 1, 2], LATER)).item
        return slates.tobytes() + shared.model.tastes.tobytes() + shared.model.items.vectors.tobytes(), n

    first = lived()
    assert first == lived()
    assert first[1] > 200
