"""The bench of the counting channels: its log has the shape it says, and every rival that is there runs."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feedmill.cli.bench.kernels.log import power_law, store
from feedmill.cli.bench.kernels.rivals import RIVALS, Log, scipy_swing, small

kernels: Any = importlib.import_module("feedmill.cli.bench.kernels")  # the package has a command of that name


def test_the_log_has_the_shape_it_says() -> None:
    user, item = power_law(40_000)
    again = power_law(40_000)
    assert 25_000 < len(user) <= 40_000
    assert (user.min(), item.min()) == (1, 1)
    assert (np.diff(user) >= 0).all()
    assert len(np.unique(user.astype(np.int64) * 10_000 + item)) == len(user), "a pair came twice"
    popularity = np.sort(np.bincount(power_law(400_000)[1])[1:])[::-1]
    assert popularity[0] > 10 * np.median(popularity[popularity > 0])
    np.testing.assert_array_equal(item, again[1])


def test_swing_in_scipy_is_swing(tmp_path: Path) -> None:
    """The peer computes what ours does: the same neighbours, but for ties."""
    pytest.importorskip("scipy")
    store(tmp_path, *power_law(3000))
    log = Log(tmp_path)
    from feedmill.retrieval.swing import SwingChannel, SwingConfig

    config = SwingConfig(top_k=20, user_exponent=0.0, max_users_per_item=2000, max_items_per_user=0)
    ours = SwingChannel.build(log.interactions(), None, config, 0).arrays
    theirs: Any = scipy_swing(log, 1)()
    for a in (1, 2, 3, 50, 120):
        assert theirs[a][0] == ours["neighbours"][a, 0] or ours["sims"][a, 0] == ours["sims"][a, 1]


@pytest.mark.parametrize("rival", ["itemcf", "usercf", "swing", "swing, capped", "adds"])
def test_ours_run(rival: str, tmp_path: Path) -> None:
    store(tmp_path, *power_law(2000))
    package, make = RIVALS[rival]
    assert package == "feedmill"
    make(Log(tmp_path), 1)()
    assert len(small(Log(tmp_path))) == 6


@pytest.mark.slow
def test_rivals_take_turns_and_one_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEEDMILL_PEERS", sys.executable)
    store(tmp_path, *power_law(2000))
    figure = kernels.run("itemcf", tmp_path, 1)
    assert figure.seconds > 0
    assert figure.peak_mb >= 0
    rows = kernels._against("ItemCF", [figure], "implicit", ["not installed: No module named 'implicit'"])
    assert [row.metric for row in rows] == ["time", "memory"]
    assert rows[0].ratio is None
    assert "not installed" in rows[0].peer
    ratio = kernels._against("ItemCF", [figure], "itself", [figure])[0].ratio
    assert ratio == pytest.approx(1)
    assert len(kernels.bound(tmp_path, 2000)) == 4
