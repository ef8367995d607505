"""The holdout beside the sum of its launches: sums and variances by hand."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from experiments.analysis.audiences import habits
from feedmill.experiments.analysis.compare import Effect, effect
from feedmill.experiments.analysis.holdout import Launched, holdout_report, relative_se


def measured(relative: float, half: float) -> Effect:
    one = effect(habits(500, 0), "treated", "control")
    return replace(one, relative=relative, relative_low=relative - half, relative_high=relative + half)


def launch(x: Effect | None, reverse: float = 0.0, **more: Any) -> Launched:
    return Launched(name="a", arm="treated", reverse=reverse, measured=x, kept=None, **more)


def test_launches_add_up_and_so_do_their_variances() -> None:
    whole = measured(0.05, 0.03)
    x = holdout_report("m", "", whole, [launch(measured(0.02, 0.03)), launch(measured(0.04, 0.04))])
    assert x.promised == pytest.approx(0.06)
    assert (x.promised_low, x.promised_high) == pytest.approx((0.01, 0.11))
    assert x.p == pytest.approx(0.7368, abs=1e-3)  # z = 0.01 / (sqrt(0.03² + 0.05²) / 1.96) = 0.336


def test_users_of_a_reverse_bucket_do_not_have_it() -> None:
    x = holdout_report("m", "", measured(0.05, 0.03), [launch(measured(0.1, 0.05), reverse=0.2)])
    assert (x.promised, x.promised_low) == (pytest.approx(0.08), pytest.approx(0.04))


def test_launches_that_add_up_to_more_are_noticed() -> None:
    of = [launch(measured(0.05, 0.02)) for _ in range(4)]
    assert (holdout_report("m", "", measured(0.05, 0.02), of).p or 1) < 0.001


def test_one_that_was_not_measured_leaves_no_sum() -> None:
    x = holdout_report("m", "", measured(0.05, 0.03), [launch(measured(0.1, 0.05)), launch(None)])
    assert (x.promised, x.p) == (None, None)
    unknown = replace(measured(0.1, 0.1), relative=None, relative_low=None, relative_high=None)
    assert relative_se(unknown) == float("inf")
    assert holdout_report("m", "", unknown, [launch(measured(0.1, 0.05))]).p is None
