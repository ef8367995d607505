"""Every registered kind of index, by every metric, against the suite; a new one is added to ``KINDS``."""

from __future__ import annotations

import inspect
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from contracts import index as suite
from contracts.index import Make
from feedmill.core.batches import Floats
from feedmill.retrieval.index import INDEXES, Metric, VectorIndex, chosen
from feedmill.retrieval.index.build import build

KINDS: dict[str, dict[str, Any]] = {
    "auto": {},
    "auto, large": {"flat_below": 100},
    "flat": {},
    "ivf": {"n_regions": 40, "n_probe": 2},
    "ivf, flat": {"storage": "flat", "n_probe": 1, "recall": 0.99},
    "hnsw": {"ef_search": 8},
    "hnsw, flat": {"storage": "flat", "n_links": 8, "ef_build": 40},
    "lsh": {"n_bits": 128, "n_candidates": 100},
}
METRICS: tuple[Metric, ...] = ("inner_product", "cosine", "l2")
BUILDS = [
    (name, metric) for name in KINDS for metric in (METRICS if name in ("flat", "ivf", "hnsw", "lsh") else METRICS[:1])
]


def maker(name: str, metric: Metric) -> Make:
    choice = chosen({"kind": name.split(",", maxsplit=1)[0], **KINDS[name]})

    @cache
    def suites_own() -> Any:
        return build(suite.vectors(), choice, metric, seed=3)

    def make(vectors: Floats) -> VectorIndex:
        held = suites_own() if vectors is suite.vectors() else build(vectors, choice, metric, seed=3)
        return VectorIndex(held, few=0)

    return make


MAKE = {(name, metric): maker(name, metric) for name, metric in BUILDS}


def test_every_registered_kind_is_checked() -> None:
    assert {name.split(",")[0] for name in KINDS} == set(INDEXES)


@pytest.mark.parametrize("check", suite.CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize(("name", "metric"), MAKE)
def test_index(name: str, metric: Metric, check: Any, tmp_path: Path) -> None:
    make = MAKE[name, metric]
    check(make, tmp_path) if "folder" in inspect.signature(check).parameters else check(make)


@pytest.mark.parametrize("name", KINDS)
def test_the_same_seed_gives_the_same_bytes(name: str) -> None:
    """Built twice, and not remembered as above."""
    choice = chosen({"kind": name.split(",", maxsplit=1)[0], **KINDS[name]})
    first, again = (VectorIndex(build(suite.vectors(), choice, "cosine", seed=3)) for _ in range(2))
    assert first.packed().tobytes() == again.packed().tobytes()
