from __future__ import annotations

import numpy as np
import pytest

from feedmill.core.batches import ProbeBatch, SampleBatch
from feedmill.core.clock import rng
from feedmill.core.config import convert
from feedmill.core.errors import ConfigError
from feedmill.core.events import EventBatch, Kind
from feedmill.metrics.down_sampling import corrected
from feedmill.samples import SamplesConfig, sample
from feedmill.samples.down_sampling import down_sampled, is_positive, n_earlier, newest, rows_from
from feedmill.state import State
from worlds import START_MS, catalogue, click, tastes


def rows(labels: list[list[float]] | np.ndarray, heads: tuple[str, ...] = ("click", "like")) -> SampleBatch:
    """A request of one candidate each."""
    n = len(labels)
    at = np.arange(n)
    probe = ProbeBatch(
        (at % 7 + 1).astype(np.int32), at, at, (at % 11 + 1).astype(np.int32), np.arange(n, dtype=np.int32)
    )
    values = np.asarray(labels, np.float32).reshape(n, len(heads))
    return SampleBatch(probe, values, np.ones_like(values, np.bool_), np.ones(n, np.float32), heads)


def rare(n: int, rate: float) -> SampleBatch:
    return rows(rng(0, "labels").random((n, 1)) < rate, ("click",))


def shown(n: int = 40) -> EventBatch:
    events = [click(START_MS + k, "u", f"i{k}", Kind.IMPRESSION) for k in range(1, n + 1)]
    events += [click(START_MS + 100 + k, "u", f"i{k}") for k in range(1, n + 1, 4)]
    return EventBatch.concat([catalogue(n), EventBatch.rows(events)])


def folded(events: EventBatch) -> State:
    state = State()
    state.fold(events)
    return state


def test_every_positive_of_any_head_stays_and_a_share_of_the_rest() -> None:
    labels = [[1, 0], [0, 1], [0, 0], [0, 0], [0, 0]] * 2000
    kept = down_sampled(rows(labels), SamplesConfig(keep_negatives=0.1), seed=3)
    positive = kept.labels.any(axis=1)
    assert positive.sum() == 4000
    assert (~positive).sum() == pytest.approx(600, abs=80)
    assert set(kept.weight[positive].tolist()) == {1.0}
    assert set(kept.weight[~positive].tolist()) == {10.0}
    assert kept.keep_negatives == 0.1
    assert (np.diff(kept.probe.request_of) == 1).all(), "requests without a row are gone"
    assert (np.diff(kept.probe.at) > 0).all()


def test_what_is_corrected_later_is_not_weighed_and_the_other_way_round() -> None:
    batch = rows([[1, 0], [0, 0]] * 50)
    later = down_sampled(batch, SamplesConfig(keep_negatives=0.2), seed=0)
    weighed = down_sampled(batch, SamplesConfig(keep_negatives=0.2, undo_sampling="weigh"), seed=0)
    assert set(later.loss_weight.tolist()) == {1.0}
    assert set(weighed.loss_weight.tolist()) == {1.0, 5.0}
    assert weighed.keep_negatives == 1
    np.testing.assert_array_equal(later.weight, weighed.weight)


def test_weights_make_up_for_what_was_left_out() -> None:
    batch = rare(100_000, 0.05)
    kept = down_sampled(batch, SamplesConfig(keep_share=0.5, keep_negatives=0.1), seed=1)
    assert kept.weight.sum() == pytest.approx(len(batch), rel=0.02)
    assert np.average(kept.labels[:, 0], weights=kept.weight) == pytest.approx(batch.labels.mean(), rel=0.05)


def test_one_in_a_thousand_at_one_percent_reads_nine_percent_and_is_corrected() -> None:
    batch = rare(1_000_000, 0.001)
    kept = down_sampled(batch, SamplesConfig(keep_negatives=0.01), seed=0)
    raw = kept.labels.mean()
    assert raw == pytest.approx(0.091, abs=0.006)
    assert corrected(np.array([raw]), 0.01)[0] == pytest.approx(batch.labels.mean(), rel=0.02)


def test_the_default_keeps_everything() -> None:
    batch = rows([[1, 0], [0, 0]] * 10)
    kept = down_sampled(batch, SamplesConfig(), seed=0)
    np.testing.assert_array_equal(kept.labels, batch.labels)
    np.testing.assert_array_equal(kept.probe.request_of, batch.probe.request_of)
    assert set(kept.weight.tolist()) == {1.0}


def test_seconds_watched_make_no_row_a_positive() -> None:
    batch = rows([[0, 5.0], [1, 5.0]], ("click", "watch_s"))
    assert is_positive(batch).tolist() == [False, True]


def test_a_label_that_is_not_known_makes_no_row_a_positive() -> None:
    batch = rows([[1, 0], [1, 0]])
    batch.mask[0] = False
    assert is_positive(batch).tolist() == [False, True]


def test_a_column_of_zeros_is_sampled_like_any_negatives() -> None:
    kept = down_sampled(rows([[0, 0]] * 1000), SamplesConfig(keep_negatives=0.1), seed=0)
    assert 50 < len(kept) < 150
    assert not kept.labels.any()


def test_nothing_stays_nothing() -> None:
    assert len(down_sampled(rows([]), SamplesConfig(keep_share=0.5, keep_negatives=0.5), seed=0)) == 0


def test_the_log_is_sampled_and_the_sentence_says_so() -> None:
    events = shown()
    config = SamplesConfig(min_positives=1, keep_negatives=0.3)
    samples, told = sample(events, folded(events), config, seed=0)
    assert samples.labels.sum() == 10
    assert 10 < len(samples) < 30
    assert "0.3 of negatives" in told
    again, _ = sample(events, folded(events), config, seed=0)
    np.testing.assert_array_equal(samples.probe.at, again.probe.at)


def test_the_cap_counts_what_is_kept() -> None:
    events = shown()
    config = SamplesConfig(min_positives=1, keep_negatives=0.3, max_requests=12)
    samples, _ = sample(events, folded(events), config, seed=0)
    assert len(samples.probe) == 12
    assert samples.probe.at[-1] >= 40 + 37


def test_drawn_negatives_have_a_number_of_their_own() -> None:
    events = tastes()
    with pytest.raises(ConfigError, match=r"keep_negatives = 0\.5, and this log has no impressions"):
        sample(events, folded(events), SamplesConfig(keep_negatives=0.5), seed=0)
    samples, _ = sample(events, folded(events), SamplesConfig(keep_share=0.5), seed=0)
    assert len(samples) == 9 * len(samples.probe) < 9 * 300


@pytest.mark.parametrize("key", ["keep_share", "keep_negatives"])
@pytest.mark.parametrize("value", [0, -1, 1.01])
def test_shares_outside_are_refused_by_name(key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"samples.{key}"):
        convert({key: value}, SamplesConfig, "samples")


def test_validation_is_the_newest_of_what_was_sampled() -> None:
    batch = rows([[0, 0]] * 10)
    assert n_earlier(batch, 0.2) == 8
    assert rows_from(batch, 8).tolist() == [8, 9]
    assert n_earlier(batch, 0.0) == 10
    assert n_earlier(rows([[1, 0]]), 0.5) == 1, "something is left to learn from"
    assert newest(batch, 3).probe.at.tolist() == [7, 8, 9]


def test_seconds_belong_to_the_newest_impression_before_them_and_add_up() -> None:
    events = EventBatch.concat(
        [
            catalogue(4),
            EventBatch.rows(
                [
                    click(START_MS + 1, "u", "i1", Kind.IMPRESSION),
                    click(START_MS + 2, "u", "i1", Kind.WATCH, value=3.0),
                    click(START_MS + 3, "u", "i1", Kind.IMPRESSION),
                    click(START_MS + 4, "u", "i1", Kind.WATCH, value=5.0),
                    click(START_MS + 5, "u", "i1", Kind.WATCH, value=0.5),
                    click(START_MS + 6, "u", "i2", Kind.IMPRESSION),
                    click(START_MS + 7, "u", "i2", Kind.WATCH, value=float("nan")),
                    click(START_MS + 8, "u", "i3", Kind.IMPRESSION),
                    click(START_MS + 9, "u", "i3", Kind.WATCH, value=0.0),
                    click(START_MS + 10, "u", "i4", Kind.IMPRESSION),
                    click(START_MS + 90_000_000, "u", "i4", Kind.WATCH, value=7.0),
                ]
            ),
        ]
    )
    state = folded(events)
    samples, _ = sample(events, state, SamplesConfig(min_positives=1, watch_time=True, negatives="shown"), seed=0)
    assert samples.heads == ("click", "watch_s")
    assert samples.labels[:, 1].tolist() == [3.0, 5.5, 0.0, 0.0, 0.0]
    assert samples.mask[:, 1].tolist() == [True, True, False, True, True], "i2 was watched nobody knows how long"
    assert samples.mask[:, 0].all()


def test_seconds_are_a_head_only_where_asked_for_and_where_there_are_enough() -> None:
    events = EventBatch.concat(
        [tastes(), EventBatch.rows([click(START_MS + 10**10, "u1", "i2", Kind.WATCH, value=9.0)])]
    )
    state = folded(events)
    assert sample(events, state, SamplesConfig(watch_time=True), seed=0)[0].heads == ("click", "like")
    few = SamplesConfig(watch_time=True, min_positives=1)
    samples, _ = sample(events, state, few, seed=0)
    assert samples.heads == ("click", "like", "watch_s")
    assert samples.labels[:, 2].max() == 9
    touched = samples.labels[:, :2].any(axis=1)
    assert samples.mask[touched, 2].sum() == 1, "clicks without seconds are not known"
    assert samples.mask[~touched, 2].mean() > 0.99, "what was drawn was not watched"


def test_seconds_cannot_be_corrected_by_the_formula_of_probabilities() -> None:
    config = SamplesConfig(min_positives=1, watch_time=True, keep_negatives=0.5)
    with pytest.raises(ConfigError, match="a formula for probabilities"):
        sample(shown(), folded(shown()), config, seed=0)
