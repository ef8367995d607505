"""Users per arm against shares: the chi-square by hand, what it flags and what it does not."""

from __future__ import annotations

import pytest
from scipy.special import erfc

from feedmill.core.clock import rng
from feedmill.core.errors import DataError
from feedmill.experiments.analysis.srm import sample_ratio

HALF = {"control": 500, "treated": 500}


def test_by_hand() -> None:
    x = sample_ratio({"control": 520, "treated": 480}, HALF)
    assert x.expected == {"control": 500, "treated": 500}
    assert x.p == pytest.approx(erfc((20**2 / 500 * 2 / 2) ** 0.5))  # chi-square of 1.6, one degree of freedom
    assert not x.is_flagged


def test_a_fault_is_flagged_and_shares_count() -> None:
    assert sample_ratio({"control": 10_000, "treated": 9_300}, HALF).is_flagged
    assert not sample_ratio({"control": 9_050, "treated": 950}, {"control": 0.9, "treated": 0.1}).is_flagged
    assert sample_ratio({"control": 9_050, "treated": 950}, HALF).is_flagged
    assert sample_ratio({"control": 100}, HALF).is_flagged  # an arm nobody saw
    assert sample_ratio({"control": 5, "treated": 5}, HALF, crossovers=3).crossovers == 3


def test_false_alarms_are_rare() -> None:
    treated = rng(0, "srm").binomial(10_000, 0.5, 2000)
    flagged = sum(sample_ratio({"control": 10_000 - int(n), "treated": int(n)}, HALF).is_flagged for n in treated)
    assert flagged <= 8  # 2 expected


def test_what_cannot_be_tested_says_why() -> None:
    with pytest.raises(DataError, match="0 users"):
        sample_ratio({}, HALF)
    with pytest.raises(DataError, match="no buckets"):
        sample_ratio({"control": 1, "other": 1}, HALF)
    with pytest.raises(DataError, match="two arms"):
        sample_ratio({"control": 1}, {"control": 1})
