"""Evaluation must not know the answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from feedmill.core.events import EventBatch, Kind
from feedmill.core.workspace import Workspace
from feedmill.log.memory import MemoryLog
from feedmill.serve.evaluate import evaluate
from feedmill.train import fit
from worlds import START_MS, catalogue, click

RAW = {
    "retrieval": {"channels": {"popular": {"limit": 100}}},
    "rank": {"kind": "mmoe", "embedding_dim": 4, "hidden_dims": [8, 4], "epochs": 1, "batch_size": 128},
    "train": {"n_threads": 1},
}


@pytest.mark.slow
def test_feedback_at_random_cannot_be_foreseen() -> None:
    """Random items are shown and some of them clicked. Were the impression known, the click would be a good guess."""
    random = np.random.default_rng(0)
    rows = []
    for request in range(1200):
        user, at = f"u{request % 60}", START_MS + request * 60_000
        shown = [f"i{i + 1}" for i in random.choice(100, 5, replace=False)]
        rows += [click(at, user, item, Kind.IMPRESSION, request_id=f"r{request}") for item in shown]
        rows += [click(at + 5000, user, item, request_id=f"r{request}") for item in shown if random.random() < 0.3]
    log = MemoryLog()
    log.append(EventBatch.concat([catalogue(100), EventBatch.rows(rows)]))
    workspace = Workspace(Path(), RAW)
    fitted = fit(workspace, log)
    assert "impressions" in fitted.about["negatives"]
    measured = evaluate(workspace, fitted.parts, fitted.about, fitted.replay, fitted.split)
    assert measured.n_users > 50
    assert measured.auc["click"].low < 0.55
    assert measured.auc["click"].mean < 0.65
