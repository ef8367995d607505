"""What [rank] and [prerank] ask for is trained, opened and asked, in combinations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from feedmill.core.request import FeedRequest
from feedmill.core.workspace import Workspace
from feedmill.log.memory import MemoryLog
from feedmill.publish import Artifact
from feedmill.serve.build import Builder
from feedmill.serve.pipeline import Pipeline
from feedmill.state import State
from feedmill.train import fit
from worlds import DAY_MS, START_MS, catalogue, tastes

BASE: dict[str, Any] = {
    "retrieval": {"channels": {"popular": {}}},
    "train": {"n_threads": 1},
    "samples": {"min_positives": 10},
    "features": {"histories": {"clicked": [10]}},
}
SMALL: dict[str, Any] = {"kind": "mmoe", "epochs": 1, "n_experts": 2, "hidden_dims": [8], "tower_dim": 4}
TOGETHER: dict[str, tuple[dict[str, Any], dict[str, Any], set[str]]] = {
    "trees teach a small model, both calibrated": (
        {"kind": "gbdt_lr", "calibration": {"kind": "isotonic"}},
        {"kind": "mlp", "mlp": {"epochs": 1}},
        {"popular", "rank", "prerank"},
    ),
    "gates, smaller numbers, calibrated": (
        {**SMALL, "personal": {"kind": "ppnet"}, "quantize": "int8", "half": True, "calibration": {"kind": "platt"}},
        {"kind": "none"},
        {"popular", "rank"},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TOGETHER)
def test_what_is_asked_for_is_trained_and_served(name: str, tmp_path: Path) -> None:
    rank, prerank, parts = TOGETHER[name]
    workspace, log = Workspace(tmp_path, {**BASE, "rank": rank, "prerank": prerank}), MemoryLog()
    log.append(catalogue(60))
    log.append(tastes(60, 60))
    fitted = fit(workspace, log)
    assert set(fitted.parts) == parts
    assert fitted.parts["rank"].config["calibration"]["kind"] == rank["calibration"]["kind"]
    state = State()
    state.fold(fitted.replay.events)
    builder = Builder(workspace, state)
    chain, missing = builder.chain(Artifact("v", START_MS, fitted.about, fitted.parts))
    assert missing == []
    later = START_MS + 30 * DAY_MS
    request = FeedRequest(request_id="r", user_id="u3", n=5, time_ms=later, deadline_ms=1e9)
    items, trace = Pipeline(chain, builder.names).recommend(request, state.view("u3", later))
    assert len({item.item_id for item in items}) == 5
    assert trace.degraded == []
