"""What the fusion is fitted on: impressions after all that the ranker learned from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feedmill.core.errors import ConfigError, DataError
from feedmill.core.events import EventBatch
from feedmill.core.workspace import Workspace
from feedmill.rerank.fusion_search import SearchConfig, search
from feedmill.state import Replay, State
from feedmill.train.rank.fusion_rows import fusion_rows
from shown_worlds import impressions
from worlds import tastes

RAW: dict[str, Any] = {
    "rank": {"kind": "lr", "embedding_dim": 4, "dropout": 0.0, "epochs": 6, "batch_size": 128, "learning_rate": 0.01},
    "features": {"histories": {}, "context": False, "numbers": "none"},
    "evaluate": {"split": "global_time", "share": 0.1},
    "train": {"n_threads": 1},
}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]  # the export takes its time on a busy machine


def test_rows_come_later_and_a_target_of_likes_finds_likes() -> None:
    """Likes grow with the item's number, finishes fall: equal weights mix them up, a target of likes tells."""
    events, _ = impressions(14_000, n_users=120, rate=0.3, like=0.9)
    found = fusion_rows(Workspace(Path(), RAW), Replay(events, State()), {"like": 1.0}, seed=0)
    logged = found.logged
    assert set(logged.heads) >= {"click", "like", "finish"}
    assert logged.probs.shape == (len(logged.user), len(logged.heads))
    assert 0.15 * 14_000 < len(logged.user) < 0.3 * 14_000
    assert set(np.unique(logged.target).tolist()) == {0.0, 1.0}
    best = search(logged, SearchConfig(trials=30), seed=0)
    assert best.found.mean > best.equal.mean - 0.02
    assert best.tried["like"] >= best.tried["finish"]


def test_the_target_is_seconds_where_there_are_any() -> None:
    events, _ = impressions(3000, rate=0.3)
    raw = {**RAW, "rank": {**RAW["rank"], "epochs": 1}, "rerank": {"fusion": {"finish": "length_adjusted"}}}
    found = fusion_rows(Workspace(Path(), raw), Replay(events, State()), {}, seed=0)
    assert found.worth == {"watch_s": 1.0}
    assert found.logged.target.max() > 10
    plain = fusion_rows(Workspace(Path(), {**raw, "rerank": {}}), Replay(events, State()), {}, seed=0).logged
    h = plain.heads.index("finish")
    assert (found.logged.probs[:, h] != plain.probs[:, h]).any()


def test_without_impressions_or_a_ranker_there_is_nothing_to_fit() -> None:
    with pytest.raises(DataError, match="a log without impressions"):
        fusion_rows(Workspace(Path(), RAW), Replay(tastes(), State()), {}, seed=0)
    with pytest.raises(ConfigError, match="a ranker"):
        fusion_rows(Workspace(Path(), {**RAW, "rank": {"kind": "none"}}), Replay(tastes(), State()), {}, seed=0)
    none = EventBatch.empty()
    with pytest.raises(DataError):
        fusion_rows(Workspace(Path(), RAW), Replay(none, State()), {}, seed=0)
