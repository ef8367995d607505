"""Examples of one head beside the requests of the others."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from feedmill.core.batches import ProbeBatch, SampleBatch
from feedmill.models.heads.binary import BinaryHead
from feedmill.models.heads.weighted_logistic import WeightedLogisticConfig, WeightedLogisticHead
from feedmill.train.config import Fitting
from feedmill.train.rank.one_by_one import one_by_one

SECONDS = np.array([0, 3, 0, 5, 2, 0], np.float32)
KNOWN = np.array([True, True, True, True, False, True])


def samples(*, clicks: bool) -> SampleBatch:
    """Three requests of two candidates."""
    rows = np.arange(3, dtype=np.int32)
    probe = ProbeBatch(rows, rows.astype(np.int64), rows.astype(np.int64), np.arange(6, dtype=np.int32), rows.repeat(2))
    click = (SECONDS > 0).astype(np.float32)
    heads = ("click", "watch_s") if clicks else ("watch_s",)
    labels = np.column_stack([click, SECONDS] if clicks else [SECONDS])
    mask = np.column_stack([KNOWN | True, KNOWN] if clicks else [KNOWN])
    return SampleBatch(probe, labels, mask, np.ones(6, np.float32), heads)


def heads(way: str, *, clicks: bool) -> list[torch.nn.Module]:
    config = WeightedLogisticConfig(way=way, weight=1.0)  # type: ignore[arg-type]
    head = WeightedLogisticHead(config, SECONDS, np.full(6, np.nan, np.float32))
    return [BinaryHead(), head] if clicks else [head]


def test_over_all_examples_the_loss_is_that_of_the_rows() -> None:
    batch = samples(clicks=True)
    singles, whole = one_by_one(heads("repeat", clicks=True), batch, seed=0)
    assert singles is not None
    assert whole.mask[:, 0].all()
    assert not whole.mask[:, 1].any()
    requests, examples = singles.split(np.arange(singles.n))
    assert requests.tolist() == [0, 1, 2]
    z = torch.randn(6, 1, dtype=torch.float64)
    asked, rows, place = singles.rows(examples, len(requests))
    assert (asked == rows // 2).all()
    assert place.tolist() == list(range(3, 3 + len(examples)))
    head = heads("scale", clicks=True)[1]
    expected = head.loss(z[KNOWN], torch.from_numpy(SECONDS[KNOWN]), torch.full((5,), torch.nan)).mean()
    torch.testing.assert_close(singles.loss(head, z[rows], examples, torch.ones(6)), expected)


def test_without_another_head_there_are_examples_only_and_as_many_steps() -> None:
    singles, _ = one_by_one(heads("repeat", clicks=False), samples(clicks=False), seed=0)
    assert singles is not None
    assert (singles.n_requests, singles.n) == (0, 3 + 3 + 5)
    assert singles.fitting(Fitting(batch_size=3), 3).batch_size == singles.n
    assert singles.loss(heads("scale", clicks=False)[0], torch.zeros(0, 1), np.zeros(0, np.int64), torch.ones(6)) == 0


@pytest.mark.parametrize("clicks", [False, True])
def test_a_head_that_learns_from_rows_leaves_everything_as_it_is(clicks: bool) -> None:
    batch = samples(clicks=clicks)
    singles, same = one_by_one(heads("scale", clicks=clicks), batch, seed=0)
    assert singles is None
    assert same is batch
