"""What the doctor says of a workspace's vector indexes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feedmill.cli.doctor import DAY_MS, _indexes, _keys, index_line
from feedmill.core.batches import Part
from feedmill.core.workspace import Workspace
from feedmill.publish import promote, write
from feedmill.retrieval.vector import VectorConfig, with_index
from feedmill.serve.keys import create, revoke

VECTORS = np.random.default_rng(0).standard_normal((500, 8)).astype(np.float32)


def publish(folder: Path, *indexes: Any) -> Workspace:
    workspace = Workspace.create(folder / "feed", "")
    parts = {
        f"tower{n}": with_index(Part("vector", {}, {"item_vectors": VECTORS}), VectorConfig(index=index), 0)
        for n, index in enumerate(indexes)
    }
    promote(workspace.artifacts, write(workspace.artifacts, parts, {}))
    return workspace


def test_indexes_are_reported(tmp_path: Path) -> None:
    found = list(_indexes(publish(tmp_path, "auto", {"kind": "lsh", "n_bits": 8, "n_candidates": 1, "recall": 0})))
    assert [f.level for f in found] == ["ok", "ok"]
    assert found[0].what == "index of tower0: flat, 499 items, exact"
    assert "tower1: lsh, 499 items, recall@100 1.000" in found[1].what
    assert found[1].what.endswith("of exact, asked with 200 items")


def test_a_recall_below_what_was_asked_is_a_note() -> None:
    report = {"asked": {"kind": "ivf", "recall": 0.95}, "kind": "ivf", "n_items": 9, "k": 9, "recall": 0.9}
    line = index_line("tower", {**report, "n_queries": 9, "queries": "users"})
    assert line == "index of tower: ivf, 9 items, recall@9 0.900 of exact, asked with 9 users"


@pytest.mark.parametrize("kind", ["flat", "ivf"])
def test_an_index_of_nothing(kind: str) -> None:
    part = with_index(Part("vector", {}, {"item_vectors": VECTORS[:1]}), VectorConfig(index=kind), 0)
    assert "0 items" in index_line("tower", part.config["index"])


def test_no_model_no_index(tmp_path: Path) -> None:
    assert list(_indexes(Workspace.create(tmp_path / "feed", ""))) == []


def test_keys_are_looked_at(tmp_path: Path) -> None:
    at = Workspace.create(tmp_path / "feed", "")
    assert "everybody on this machine" in next(_keys(at, 0)).what
    key, _ = create(at.keys, ["feed"], 0, expires_ms=60 * DAY_MS)
    assert [(f.level, f.what) for f in _keys(at, 0)] == [("ok", "1 keys hold")]
    at.keys.chmod(0o644)
    assert [f.level for f in _keys(at, 50 * DAY_MS)] == ["ok", "note", "note"]
    revoke(at.keys, key.id, 1)
    assert "keys create" in next(_keys(at, 2)).do
