"""People: classes as in real figures, tastes that are few and wander, newcomers with fewer."""

from __future__ import annotations

import json

import numpy as np
import pytest

from feedmill.sim.audience import CLASS_SHARES, NEW, People, described, drifted, make_people
from feedmill.sim.config import DAY_MS, TasteConfig, WorldConfig

CONFIG = WorldConfig(n_users=20_000)


@pytest.fixture(scope="module")
def people() -> People:
    return make_people(CONFIG, 3, 0, CONFIG.n_users, -1)


def test_activity_classes_are_those_of_kuairand(people: People) -> None:
    share = np.bincount(people.activity(CONFIG.start_ms, CONFIG.habit.new_days), minlength=5) / len(people)
    np.testing.assert_allclose(share, np.array(CLASS_SHARES) / sum(CLASS_SHARES), atol=0.012)


def test_newcomers_settle_after_their_days(people: People) -> None:
    days = CONFIG.habit.new_days
    assert (people.activity(CONFIG.start_ms, days) == NEW).any()
    later = CONFIG.start_ms + int(days * DAY_MS)
    np.testing.assert_array_equal(people.activity(later, days), people.settled)
    assert people.settled.max() < NEW


def test_eagerness_and_patience_have_mean_one(people: People) -> None:
    assert people.eagerness.mean() == pytest.approx(1, abs=0.02)
    assert people.patience.mean() == pytest.approx(1, abs=0.03)


def test_a_taste_is_a_few_topics(people: People) -> None:
    topics = np.sort(people.home[:, : CONFIG.n_topics], axis=1)[:, ::-1]
    old = ~people.is_new(CONFIG.start_ms, CONFIG.habit.new_days)
    # the favourites stand out from the 30th topic, which is as good as any
    assert (topics[old, 2] - topics[old, 30]).mean() > 2 * (topics[old, 30] - topics[old, 80]).mean()
    gap = topics[:, :30] - topics[:, 30:31]
    many = (gap > 0.5 * gap[:, :1]).sum(axis=1)
    assert many[~old].mean() < many[old].mean()  # newcomers' tastes are narrower


def test_drift_keeps_the_spread_and_forgets_by_half_in_its_half_life(people: People) -> None:
    start = people.vector - people.home
    now = People(**{name: getattr(people, name) for name in People.__slots__})
    for day in range(1, 15):
        now.vector = drifted(CONFIG, now, 3, day)
    end = now.vector - people.home
    assert end[:, :110].std() == pytest.approx(start[:, :110].std(), rel=0.03)
    correlation = (start * end).mean() / (start**2).mean()
    assert correlation == pytest.approx(0.5, abs=0.03)
    taste = CONFIG.taste
    assert start[:, :110].std() == pytest.approx(np.sqrt(taste.drift_share) * taste.topic_sd, rel=0.03)


def test_without_drift_tastes_stay() -> None:
    config = WorldConfig(n_users=10, taste=TasteConfig(drift_share=0))
    people = make_people(config, 1, 0, 10, -1)
    np.testing.assert_array_equal(drifted(config, people, 1, 1), people.home)


def test_age_says_something_of_taste(people: People) -> None:
    topics = people.home[:, : CONFIG.n_topics]
    by_age = np.array([topics[people.age == a].mean(axis=0) for a in range(5)])
    odd, even = (np.array([topics[k::2][people.age[k::2] == a].mean(axis=0) for a in range(5)]) for k in (0, 1))
    assert np.corrcoef((odd - odd.mean(0)).ravel(), (even - even.mean(0)).ravel())[0, 1] > 0.9
    assert by_age.std(axis=0).mean() < topics.std()  # but not all


def test_what_is_said_of_a_person_is_what_a_service_knows(people: People) -> None:
    events = described(people, np.array([4]), 9)
    assert events.table.column("user_id").to_pylist() == ["u4"]
    assert set(json.loads(events.table.column("payload")[0].as_py())) == {"age", "language", "city"}


def test_who_joins_later_is_new() -> None:
    late = make_people(CONFIG, 3, 20_000, 50, 6)
    assert late.ids[0] == "u20000"
    assert (late.joined_ms == CONFIG.start_ms + 6 * DAY_MS).all()
