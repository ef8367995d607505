"""Labels that can be learned from, and clear words about those that cannot."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from feedmill.core.batches import ProbeBatch, SampleBatch
from feedmill.core.errors import DataError
from feedmill.models.heads.binary import BinaryHead
from feedmill.models.heads.weighted_logistic import WeightedLogisticHead
from feedmill.models.rank.mmoe import MMoEConfig
from feedmill.train.rank.heads import heads_of, usable

WATCHING = MMoEConfig(watch_time={"kind": "weighted_logistic", "cap_s": 60.0})


def batch(**labels: list[float | None]) -> SampleBatch:
    """A row per value; None = not known."""
    columns = [np.array([0 if v is None else v for v in values], np.float32) for values in labels.values()]
    known = [np.array([v is not None for v in values]) for values in labels.values()]
    n = len(columns[0])
    rows = np.arange(n, dtype=np.int32)
    probe = ProbeBatch(rows, rows.astype(np.int64), rows.astype(np.int64), rows, rows)
    return SampleBatch(probe, np.stack(columns, axis=1), np.stack(known, axis=1), np.ones(n, np.float32), tuple(labels))


def test_heads_of_one_class_are_left_out_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    samples = batch(click=[0, 1, 0], like=[0, 0, 0], finish=[1, 1, None], share=[None, None, None])
    left = usable(samples, MMoEConfig())
    assert left.heads == ("click",)
    np.testing.assert_array_equal(left.labels, samples.labels[:, :1])
    said = capsys.readouterr().err
    assert '"like": all 3 labels are 0' in said
    assert '"finish": all 2 labels are 1' in said
    assert '"share": no row has a known label' in said


def test_nothing_to_learn_from_is_an_error() -> None:
    with pytest.raises(DataError, match=r'"click": all 2 labels are 0; "like": all 2 labels are 1'):
        usable(batch(click=[0, 0], like=[1, 1]), MMoEConfig())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_labels_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(DataError, match="'click'"):
        usable(batch(click=[0, 1, value], like=[0, 1, 1]), MMoEConfig())


def test_seconds_need_a_head_that_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    samples = batch(click=[0, 1, 1], watch_s=[0, 12.5, None])
    assert usable(samples, MMoEConfig()).heads == ("click",)
    assert capsys.readouterr().err == ""
    both = usable(samples, WATCHING)
    assert both.heads == ("click", "watch_s")
    first, second = heads_of(both, WATCHING, torch.full((3,), torch.nan))
    assert isinstance(first, BinaryHead)
    assert isinstance(second, WeightedLogisticHead)
    assert second.config.cap_s == 60.0


def test_a_head_that_is_asked_for_and_has_no_labels_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert usable(batch(click=[0, 1]), WATCHING).heads == ("click",)
    assert '"watch_s": the samples have no seconds watched' in capsys.readouterr().err


def test_watched_everywhere_is_still_something_to_learn() -> None:
    assert usable(batch(watch_s=[3.0, 12.5]), WATCHING).heads == ("watch_s",)
