import numpy as np
import pytest

from feedmill.core.batches import LANE_ROW
from feedmill.core.errors import ConfigError
from feedmill.core.events import EventBatch, Kind
from feedmill.samples import InterestConfig, SamplesConfig, interactions, sample
from feedmill.state import State
from worlds import DAY_MS, START_MS, catalogue, click, tastes


def _state(events: EventBatch) -> State:
    state = State()
    state.fold(events)
    return state


def test_drawn_negatives_are_items_the_user_never_touched() -> None:
    events = tastes()
    state = _state(events)
    samples, told = sample(events, state, SamplesConfig(n_negatives=5), seed=1)
    touched = {
        (u, i) for u, i in zip(*(events.table.column(c).to_pylist() for c in ("user_id", "item_id")), strict=True)
    }
    label, known = samples.labels[:, 0] > 0, samples.mask[:, 0]
    user = samples.probe.user[samples.probe.request_of]
    pairs = list(zip(state.users.ids(user), state.items.ids(samples.probe.item), strict=True))
    assert all((p in touched) == bool(is_positive) for p, is_positive, k in zip(pairs, label, known, strict=True) if k)
    assert label.sum() == len(samples.probe) == 40 * 12
    assert len(samples) == 6 * len(samples.probe)
    assert "never touched" in told


def test_a_positive_sees_the_log_up_to_but_without_itself() -> None:
    events = tastes()
    samples, _ = sample(events, _state(events), SamplesConfig(), seed=0)
    kinds = events.numpy("kind")[samples.probe.at]
    assert set(kinds.tolist()) == {int(Kind.CLICK)}
    assert (np.diff(samples.probe.at) > 0).all()


def test_likes_label_the_click_they_belong_to() -> None:
    events = tastes()
    samples, _ = sample(events, _state(events), SamplesConfig(), seed=0)
    assert samples.heads == ("click", "like")
    assert samples.labels[:, 1].sum() == (events.numpy("kind") == Kind.LIKE).sum()
    assert (samples.labels[:, 1] <= samples.labels[:, 0]).all()


def test_with_impressions_a_row_is_an_impression_labelled_by_what_followed_in_the_window() -> None:
    rows = [click(START_MS + k, "u", f"i{k}", Kind.IMPRESSION) for k in range(1, 5)]
    rows += [click(START_MS + 100, "u", "i2"), click(START_MS + 3 * DAY_MS, "u", "i3")]
    events = EventBatch.concat([catalogue(5), EventBatch.rows(rows)])
    samples, told = sample(events, _state(events), SamplesConfig(min_positives=1), seed=0)
    assert samples.labels[:, 0].tolist() == [0, 1, 0, 0]
    assert samples.probe.at.tolist() == [5, 6, 7, 8]
    assert "impressions" in told


def test_a_view_that_is_told_as_click_watch_and_finish_is_one_view() -> None:
    rows = [click(START_MS + k, "u", f"i{k}", Kind.IMPRESSION) for k in range(1, 5)]
    rows += [
        click(START_MS + 100, "u", f"i{k}", kind) for k in (1, 2) for kind in (Kind.CLICK, Kind.WATCH, Kind.FINISH)
    ]
    events = EventBatch.concat([catalogue(5), EventBatch.rows(rows)])
    _, told = sample(events, _state(events), SamplesConfig(min_positives=1), seed=0)
    assert "impressions" in told


def _shown_together() -> EventBatch:
    """Two feeds of three items, the second with a click on its middle one."""
    rows = [
        click(START_MS + feed, "u", f"i{3 * feed + k}", Kind.IMPRESSION, request_id=f"r{feed}")
        for feed in (0, 1)
        for k in (1, 2, 3)
    ]
    return EventBatch.concat([catalogue(6), EventBatch.rows([*rows, click(START_MS + 100, "u", "i5")])])


def test_what_was_shown_together_is_one_request_that_knows_of_none_of_it() -> None:
    events = _shown_together()
    samples, _ = sample(events, _state(events), SamplesConfig(min_positives=1, negatives="shown"), seed=0)
    assert samples.probe.at.tolist() == [6, 9]
    assert samples.probe.request_of.tolist() == [0, 0, 0, 1, 1, 1]
    assert samples.labels[:, 0].tolist() == [0, 0, 0, 0, 1, 0]
    state = State()
    state.register(events)
    seen = state.fold(events, samples.probe).users.history[:, LANE_ROW["shown"]]
    assert (seen > 0).sum(axis=1).tolist() == [0, 3]


def test_a_drawn_negative_and_its_positive_are_asked_before_the_positive_was_shown() -> None:
    events = _shown_together()
    config = SamplesConfig(min_positives=1, negatives="drawn", n_negatives=1)
    samples, _ = sample(events, _state(events), config, seed=0)
    assert samples.probe.at.tolist() == [9]


def test_the_same_seed_draws_the_same_negatives() -> None:
    events = tastes()
    state = _state(events)
    draws = [sample(events, state, SamplesConfig(), seed=s)[0].probe.item.tolist() for s in (3, 3, 4)]
    assert draws[0] == draws[1] != draws[2]


def test_a_user_who_touched_everything_has_no_known_negative() -> None:
    events = EventBatch.concat([catalogue(3), EventBatch.rows([click(START_MS + k, "u", f"i{k}") for k in (1, 2, 3)])])
    samples, _ = sample(events, _state(events), SamplesConfig(min_positives=1, n_negatives=2), seed=0)
    assert samples.mask[:, 0].tolist() == [True, False, False] * 3


def test_interest_adds_up_kinds_and_caps_watching() -> None:
    events = EventBatch.rows(
        [
            click(1, "u", "x"),
            click(2, "u", "x", Kind.LIKE),
            click(3, "u", "y", Kind.WATCH, value=15.0),
            click(4, "u", "z", Kind.WATCH, value=900.0),
            click(5, "u", "w"),
            click(6, "u", "w", Kind.DISLIKE),
        ]
    )
    state = _state(events)
    found = interactions(events, state, InterestConfig(is_binary=False))
    named = dict(zip(state.items.ids(found.item), found.like.tolist(), strict=True))
    assert named == {"x": 2.0, "y": 0.5, "z": 1.0}
    assert found.time_ms.tolist() == [2, 3, 4]
    assert set(interactions(events, state, InterestConfig()).like.tolist()) == {1.0}


def test_an_unknown_kind_of_interest_is_refused() -> None:
    with pytest.raises(ConfigError, match="likes"):
        interactions(tastes(), _state(tastes()), InterestConfig(weights={"likes": 1.0}))
