from __future__ import annotations

import numpy as np
import pytest

from feedmill.core.batches import CandidateBatch, Part, ProbeBatch, SampleBatch
from feedmill.core.clock import rng
from feedmill.core.errors import ArtifactError
from feedmill.core.events import EventBatch, Kind
from feedmill.rerank import FusionConfig, fuse
from feedmill.rerank.finish_length import finish_lengths, fit_finish_length
from feedmill.state import State
from worlds import START_MS

N_ITEMS = 400


def lengths_of(seed: int = 0) -> np.ndarray:
    return np.round(np.exp(rng(seed, "lengths").uniform(np.log(5), np.log(300), N_ITEMS)), 1)


def state_of(lengths: np.ndarray) -> State:
    state = State()
    payload = [f'{{"duration_s": {x}}}' for x in lengths] + ["{}"]
    columns = {"time_ms": START_MS, "kind": int(Kind.ITEM), "item_id": [f"i{k}" for k in range(len(payload))]}
    state.fold(EventBatch.of({**columns, "payload": payload}))
    return state


def rows(item: np.ndarray, finish: np.ndarray, weight: np.ndarray | None = None) -> SampleBatch:
    n = len(item)
    probe = ProbeBatch(
        np.ones(n, np.int32), np.arange(n), np.arange(n), item.astype(np.int32), np.arange(n, dtype=np.int32)
    )
    labels = np.column_stack([np.ones(n), finish]).astype(np.float32)
    w = np.ones(n) if weight is None else weight
    return SampleBatch(probe, labels, np.ones_like(labels, np.bool_), w.astype(np.float32), ("click", "finish"))


def planted(n: int = 60_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Item rows, finishes whose rate falls as 1 / sqrt(length), lengths."""
    random, lengths = rng(1, "finishes"), lengths_of()
    item = random.integers(1, N_ITEMS + 1, n)
    return item, random.random(n) < 0.9 * np.sqrt(5 / lengths[item - 1]), lengths


def test_the_curve_is_the_one_that_was_planted() -> None:
    item, finish, lengths = planted()
    state = state_of(lengths)
    part = fit_finish_length(rows(item, finish), state)
    assert part is not None
    f = finish_lengths(part, state)(np.arange(1, N_ITEMS + 1, dtype=np.int32))
    truth = 0.9 * np.sqrt(5 / lengths) / finish.mean()
    np.testing.assert_allclose(f, truth, rtol=0.12)


def test_a_short_item_does_not_win_by_being_short() -> None:
    item, finish, lengths = planted()
    state = state_of(lengths)
    part = fit_finish_length(rows(item, finish), state)
    assert part is not None
    short, long = int(lengths.argmin()) + 1, int(lengths.argmax()) + 1
    raw = [0.9 * np.sqrt(5 / lengths[short - 1]), 1.3 * 0.9 * np.sqrt(5 / lengths[long - 1])]
    batch = CandidateBatch.of("any", [short, long], [0, 0]).with_scores(["finish"], np.array([raw], np.float32).T)
    plain = fuse(batch, FusionConfig(weights={"finish": 1.0}))
    adjusted = FusionConfig(weights={"finish": 1.0}, finish="length_adjusted")
    assert plain[0] > plain[1]
    values = fuse(batch, adjusted, finish_lengths(part, state))
    assert values[1] > values[0], "what is finished more than its length says"
    np.testing.assert_array_equal(fuse(batch, adjusted), plain)  # an artifact without the curve


def test_other_heads_are_not_touched() -> None:
    item, finish, lengths = planted(5000)
    state = state_of(lengths)
    part = fit_finish_length(rows(item, finish), state)
    assert part is not None
    batch = CandidateBatch.of("any", [1, 2], [0, 0]).with_scores(
        ["click", "finish"], np.array([[0.2, 0.5], [0.4, 0.1]], np.float32)
    )
    config = FusionConfig(weights={"click": 1.0, "finish": 2.0}, finish="length_adjusted", form="product")
    f = finish_lengths(part, state)
    values = fuse(batch, config, f)
    expected = np.array([1.2, 1.4]) * (1 + np.array([0.5, 0.1]) / f(batch.item)) ** 2
    np.testing.assert_allclose(values, expected, rtol=1e-6)


def test_unknown_lengths_are_average_and_far_ones_like_the_ends() -> None:
    item, finish, lengths = planted(20_000)
    part = fit_finish_length(rows(item, finish), state_of(lengths))
    assert part is not None
    other = state_of(np.array([0.001, 1e6, 0.0]))
    short, long, zero, unknown = finish_lengths(part, other)(np.arange(1, 5, dtype=np.int32))
    assert short == pytest.approx(part.arrays["factor"][0])
    assert long == pytest.approx(part.arrays["factor"][-1])
    assert zero == unknown == 1


def test_down_sampled_rows_weigh_what_was_left_out() -> None:
    item, finish, lengths = planted()
    keep = finish | (rng(3, "keep").random(len(item)) < 0.1)
    weight = np.where(finish, 1.0, 10.0)[keep]
    state = state_of(lengths)
    whole, part = (
        fit_finish_length(rows(item, finish), state),
        fit_finish_length(rows(item[keep], finish[keep], weight), state),
    )
    assert whole is not None
    assert part is not None
    assert part.config["rate"] == pytest.approx(whole.config["rate"], rel=0.05)
    every = np.arange(1, N_ITEMS + 1, dtype=np.int32)
    np.testing.assert_allclose(finish_lengths(part, state)(every), finish_lengths(whole, state)(every), rtol=0.2)


@pytest.mark.parametrize("finish", [0, 1])
def test_nothing_to_fit(finish: int) -> None:
    lengths = lengths_of()
    state, item = state_of(lengths), np.arange(1, 51)
    assert fit_finish_length(rows(item, np.full(50, finish)), state) is None
    without = rows(item, np.arange(50) % 2)
    assert fit_finish_length(rows(np.full(50, N_ITEMS + 1), np.arange(50) % 2), state) is None, "no lengths"
    no_head = SampleBatch(without.probe, without.labels[:, :1], without.mask[:, :1], without.weight, ("click",))
    assert fit_finish_length(no_head, state) is None
    few = fit_finish_length(rows(item[:2], np.array([0, 1])), state)
    assert few is not None
    assert (few.arrays["factor"] > 0).all()


def test_what_is_no_curve_is_refused() -> None:
    state = state_of(lengths_of())
    with pytest.raises(ArtifactError, match="log_length"):
        finish_lengths(Part("finish_length", {}, {}), state)
    with pytest.raises(ArtifactError, match="2 and 1 points"):
        finish_lengths(Part("finish_length", {}, {"log_length": np.ones(2), "factor": np.ones(1)}), state)
