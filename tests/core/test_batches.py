import numpy as np
import pytest

from feedmill.core.batches import CandidateBatch
from feedmill.core.clock import FixedClock, LogClock, WallClock, rng
from feedmill.core.protocols import finite


def test_a_channel_answer_has_one_bit() -> None:
    batch = CandidateBatch.of("popular", [3, 1], [0.5, 0.25])
    assert batch.bits.tolist() == [1, 1]
    assert batch.item.dtype == np.int32


def test_bits_name_the_channels_that_found_an_item() -> None:
    found = np.array([[1.0, np.nan], [np.nan, 2.0], [0.0, 0.0]], np.float32)
    none = np.zeros((3, 0), np.float32)
    batch = CandidateBatch(np.arange(1, 4, dtype=np.int32), found, ("a", "b"), none, (), np.zeros(3, np.float32))
    assert batch.bits.tolist() == [1, 2, 3]


def test_taking_rows_keeps_columns_together() -> None:
    batch = CandidateBatch.of("a", [5, 6, 7], [1, 2, 3]).with_scores(("click",), np.array([[0.1], [0.2], [0.3]], "f"))
    part = batch.with_value(np.array([9, 8, 7], "f")).take(np.array([2, 0]))
    assert (part.item.tolist(), part.value.tolist()) == ([7, 5], [7, 9])
    assert part.score("click").tolist() == pytest.approx([0.3, 0.1])
    with pytest.raises(KeyError, match="like"):
        part.score("like")


def test_scores_that_are_not_finite_sink() -> None:
    low = np.finfo(np.float32).min
    assert finite(np.array([1, np.nan, np.inf, -np.inf], np.float32)).tolist() == [1, low, low, low]


def test_the_same_purpose_draws_the_same_and_another_differs() -> None:
    assert rng(1, "a").random(3).tolist() == rng(1, "a").random(3).tolist()
    assert rng(1, "a").random() != rng(1, "b").random()


def test_the_log_clock_starts_at_the_newest_event_and_runs() -> None:
    clock = LogClock(1_000_000)
    first = clock.now_ms()
    assert 1_000_000 <= first <= 1_000_000 + 60_000
    assert clock.now_ms() >= first
    assert FixedClock(7).now_ms() == 7
    assert WallClock().now_ms() > 1_700_000_000_000
