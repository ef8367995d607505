from __future__ import annotations

import numpy as np
import pytest

from feedmill.core.errors import ConfigError, DataError
from feedmill.retrieval.index import VectorIndex, chosen
from feedmill.retrieval.index.auto import Auto, AutoConfig
from feedmill.retrieval.index.build import recall


def clusters(n: int, seed: int = 0, spread: float = 0.3) -> np.ndarray:
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((50, 16))
    return (centres[random.integers(0, 50, n)] + spread * random.standard_normal((n, 16))).astype(np.float32)


def test_recall_by_hand() -> None:
    exact = np.array([[9, 8, 7, 6], [5, 5, 5, 5]], np.float32)
    assert recall(exact, exact) == 1
    assert recall(np.array([[9, 8, 5, 4], [5, 5, 4, 4]], np.float32), exact) == 0.5
    assert recall(np.zeros((2, 0), np.float32), np.zeros((2, 0), np.float32)) == 1


def test_auto_goes_by_size() -> None:
    assert Auto.choose(199_999, AutoConfig())[0] == "flat"
    kind, config = Auto.choose(200_000, AutoConfig())
    assert (kind, config.storage) == ("ivf", "sq8")


def test_auto_says_what_it_came_to() -> None:
    small = VectorIndex.build(clusters(3000), "auto")
    assert small.kind == small.report["kind"] == "flat"
    assert small.report["recall"] == 1
    large = VectorIndex.build(clusters(6000), {"kind": "auto", "flat_below": 5000}, "cosine")
    assert large.kind == large.report["kind"] == "ivf"
    assert large.report["asked"]["kind"] == "auto"
    assert large.report["recall"] >= 0.95
    assert 0 < large.report["bytes"] < 6000 * 16 * 4


def test_auto_stays_flat_where_regions_gain_nothing() -> None:
    """Vectors without any structure: for a recall of 0.999 nearly all regions would have to be visited."""
    noise = np.random.default_rng(0).standard_normal((4000, 32)).astype(np.float32)
    index = VectorIndex.build(noise, {"kind": "auto", "flat_below": 0, "recall": 0.999})
    assert index.kind == index.report["kind"] == "flat"
    assert index.report["recall"] == 1


@pytest.mark.parametrize(
    "kind",
    [{"kind": "ivf", "n_probe": 1}, {"kind": "hnsw", "ef_search": 1, "n_links": 4}, {"kind": "lsh", "n_candidates": 1}],
)
def test_effort_is_doubled_until_recall_is_what_was_asked(kind: dict[str, object]) -> None:
    vectors = clusters(4000, spread=2)
    lax, strict = (VectorIndex.build(vectors, {**kind, "recall": r}, "cosine").report for r in (0, 0.99))
    assert lax["effort"] == 1
    assert lax["recall"] < 0.99 <= strict["recall"]
    assert strict["effort"] > 1


def test_recall_is_measured_with_the_users_given() -> None:
    vectors, users = clusters(3000), clusters(500, seed=1)
    users[:400] = 0  # nobody's vectors do not count
    report = VectorIndex.build(vectors, "ivf", queries=users).report
    assert (report["queries"], report["n_queries"], report["k"]) == ("users", 100, 100)
    assert VectorIndex.build(vectors, "ivf").report["queries"] == "items"
    with pytest.raises(DataError, match="U x 16"):
        VectorIndex.build(vectors, "ivf", queries=users[:, :3])
    with pytest.raises(DataError, match="query vector of row 2 is not finite"):
        VectorIndex.build(vectors, "ivf", queries=np.where(np.arange(500)[:, None] == 2, np.nan, users))


def test_unknown_kinds_and_parameters_name_the_nearest() -> None:
    with pytest.raises(ConfigError, match='did you mean "hnsw"'):
        chosen("hsnw")
    with pytest.raises(ConfigError, match="n_probe"):
        chosen({"kind": "ivf", "nprobe": 3})
    with pytest.raises(ConfigError, match=">= 1"):
        chosen({"kind": "ivf", "n_probe": 0})
