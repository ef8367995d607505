"""The bench of indexes on vectors few enough for a test: what it measures, not how fast it is."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from feedmill.cli.bench.index import KINDS, clustered, sized_rows


def test_every_kind_is_measured_against_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hnswlib", None)
    rows = sized_rows(2500)
    measured = {(row.what.partition(": ")[2], row.metric): row for row in rows}
    for kind in KINDS:
        assert {metric for what, metric in measured if what == kind} == {"build", "p50", "recall@100", "size"}
        assert measured[kind, "recall@100"].value > 0.9
        assert measured[kind, "p50"].value > 0
    assert measured["flat", "recall@100"].value == 1
    assert measured["hnsw, sq8", "p50"].peer == "hnswlib is not installed"
    assert measured["hnsw, sq8", "p50"].ratio is None
    assert measured["ivf, sq8, one in 100 kept", "recall@100"].value == 1, "so few are compared one by one"


def test_vectors_are_seeded_and_of_length_one() -> None:
    np.testing.assert_array_equal(clustered(50, "items"), clustered(50, "items"))
    assert not np.array_equal(clustered(50, "items"), clustered(50, "users"))
    np.testing.assert_allclose(np.linalg.norm(clustered(50, "items"), axis=1), 1, rtol=1e-5)
