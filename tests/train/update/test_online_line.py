"""A line on the logit that follows the stream."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from feedmill.core.batches import ProbeBatch, SampleBatch
from feedmill.metrics.calibrators import logit, sigmoid
from feedmill.train.update.config import IncrementalConfig
from feedmill.train.update.online_line import OnlineLine


def rows(n: int, seed: int, shift: float) -> tuple[np.ndarray, SampleBatch]:
    """Probabilities that read too low by ``shift`` in logits, and seconds beside them."""
    random = np.random.default_rng(seed)
    said = random.uniform(0.05, 0.6, n)
    label = random.random(n) < sigmoid(logit(said) + shift)
    one, at = np.ones(n, np.int32), np.arange(n)
    probe = ProbeBatch(one, 1000 * at, at, one, at.astype(np.int32))
    labels = np.column_stack([label, np.full(n, 7.0)]).astype(np.float32)
    samples = SampleBatch(probe, labels, np.ones((n, 2), np.bool_), np.ones(n, np.float32), ("click", "watch_s"))
    return np.column_stack([said, np.full(n, 5.0)]).astype(np.float32), samples


def test_it_puts_right_what_reads_low_and_leaves_seconds() -> None:
    on = OnlineLine(("click", "watch_s"), ("probability", "seconds"), IncrementalConfig(min_rows=100))
    probs, samples = rows(20_000, 0, 0.7)
    first = on.follow(probs, samples)
    np.testing.assert_array_equal(first, probs)
    later, labels = rows(20_000, 1, 0.7)
    said = on.follow(later, labels)
    assert abs(said[:, 0].mean() / labels.labels[:, 0].mean() - 1) < 0.03
    assert abs(later[:, 0].mean() / labels.labels[:, 0].mean() - 1) > 0.2
    np.testing.assert_array_equal(said[:, 1], 5)
    np.testing.assert_array_equal(on.line[1], [1, 0])


def test_few_rows_change_nothing_nor_does_a_line_that_is_off() -> None:
    probs, samples = rows(90, 0, 2.0)
    for config in (IncrementalConfig(min_rows=100), IncrementalConfig(min_rows=0, calibrate=False)):
        on = OnlineLine(("click", "watch_s"), ("probability", "seconds"), config)
        on.follow(probs, samples)
        np.testing.assert_array_equal(on.follow(probs, replace(samples)), probs)


def test_it_goes_on_where_it_stopped() -> None:
    config = IncrementalConfig(min_rows=100)
    one, other = (OnlineLine(("click", "watch_s"), ("probability", "seconds"), config) for _ in range(2))
    probs, samples = rows(500, 0, 0.5)
    one.follow(probs, samples)
    other.back_to(one.changes())
    np.testing.assert_allclose(other.line, one.line, rtol=1e-5)
    np.testing.assert_array_equal(one.follow(probs, samples), other.follow(probs, samples))
    other.back_to({})
    np.testing.assert_array_equal(other.line, [[1, 0], [1, 0]])
