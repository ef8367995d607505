from __future__ import annotations

import numpy as np
import pytest

from feedmill.cli.bench.ranking.calibration import TEST_SHARE, _down_sampling, drawn
from feedmill.core.events import Kind


def test_the_log_is_drawn_from_its_chances_and_the_test_is_the_newest_part() -> None:
    log = drawn(60_000, 0.05, 0.3, seed=0)
    kind = log.everything.numpy("kind")
    shown, clicked = (kind == Kind.IMPRESSION).sum(), (kind == Kind.CLICK).sum()
    assert shown == 60_000 == len(log.chance)
    assert clicked == pytest.approx(log.chance.sum(), rel=0.05)
    assert log.n_test == TEST_SHARE * 60_000
    assert (log.learned.numpy("kind") == Kind.IMPRESSION).sum() == 60_000 - log.n_test
    assert (np.diff(log.everything.numpy("time_ms")[kind < Kind.ITEM]) > 0).all()
    n = len(log.learned)
    assert log.learned.table.equals(log.everything.table.slice(0, n))


@pytest.mark.slow
def test_rows_have_the_truth_beside_what_is_said() -> None:
    rows = {(r.what.partition(",")[0], r.metric): r.value for r in _down_sampling(30_000, 1)}
    for share in ("w = 0.1", "w = 0.01"):
        assert rows[share, "raw / true rate"] > 3
        assert rows[share, "corrected / true rate"] == pytest.approx(1, abs=0.35)
    assert rows["w = 1", "raw / true rate"] == rows["w = 1", "corrected / true rate"]
