"""Four ways of keeping up with a log are judged fairly."""

from __future__ import annotations

import numpy as np
import pytest

from feedmill.cli.bench.freshness.runs import PARTS, WAYS, run
from feedmill.cli.bench.freshness.world import Drift

SMALL = Drift(n_users=40, n_items=30, n_requests=100)


@pytest.mark.slow
def test_every_way_speaks_of_every_impression_and_none_has_seen_it() -> None:
    found = run(SMALL, seed=0, n_days=2)
    assert set(found.said) == {*WAYS, *PARTS}
    for way, said in found.said.items():
        assert [len(p) for p in said.probs] == [len(y) for y in found.labels] == [500, 500], way
        assert all(np.isfinite(p).all() and (p > 0).all() and (p < 1).all() for p in said.probs)
    of = {way: said.probs for way, said in found.said.items()}
    np.testing.assert_array_equal(of["frozen"][0], of["nightly"][0], err_msg="before the first night they are one")
    np.testing.assert_array_equal(of["incremental"][0], of["nightly + incremental"][0])
    assert np.abs(of["frozen"][1] - of["nightly"][1]).max() > 1e-4
    np.testing.assert_allclose(of["nightly + line alone"][0][:50], of["frozen"][0][:50], atol=1e-6)
