"""Milliseconds to score rows with the exported graph, apart from all other figures: they differ from run to run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from feedmill.cli.bench.watch_time.runs import TRUNK, fitting
from feedmill.cli.bench.watch_time.task import Split, Task
from feedmill.core.batches import Floats
from feedmill.features import FeatureBatch

if TYPE_CHECKING:
    from feedmill.features.served.graph import Whole

N_SCORED, N_LEARNED = 1000, 2000
Block = Mapping[str, Any]


class Rows(NamedTuple):
    """What is scored at once."""

    batch: FeatureBatch
    duration: Floats


def served_ms(blocks: Mapping[str, Block], task: Task, n_rounds: int) -> dict[str, list[float]]:
    """Milliseconds for 1,000 rows of each head, embeddings' gathering included; heads take turns on one thread."""
    graphs = {name: served(block, task) for name, block in blocks.items()}
    rows = first(task.test, N_SCORED)
    scale = 1e3 * N_SCORED / len(rows.duration)
    found: dict[str, list[float]] = {name: [] for name in blocks}
    for at in range(n_rounds + 1):
        for name, graph in graphs.items():
            start = time.perf_counter()
            graph(rows.batch, rows.duration)
            if at:  # the first round warms up
                found[name].append((time.perf_counter() - start) * scale)
    return found


def served(block: Block, task: Task) -> Whole:
    """The graph of a head on the trunk, as it would be published; what it has learned makes it no slower."""
    from feedmill.core.workspace import component
    from feedmill.features.served.graph import Whole
    from feedmill.models import RANKERS
    from feedmill.train.config import Fitting
    from feedmill.train.rank.ranker import fit_ranker

    trunk: Any = component({**TRUNK, "watch_time": dict(block)}, RANKERS, "rank")
    some = first(task.train, N_LEARNED)
    n = len(some.duration)
    probe = task.train.samples.probe
    samples = _first_samples(task.train, n)
    assert len(probe) >= n
    part = fit_ranker(
        trunk, Fitting(**fitting(1e-3, 1)), task.spec, {}, some.batch, samples, seed=0, duration=some.duration
    )
    return Whole(part, task.spec)


def first(part: Split, n: int) -> Rows:
    """The first rows of a part, each a request of its own."""
    batch = part.batch
    n = min(n, len(part))
    return Rows(
        FeatureBatch(
            batch.user_ids[:n], batch.user_numeric[:n], batch.item_ids[:n], batch.item_numeric[:n], np.arange(n)
        ),
        part.duration[:n],
    )


def _first_samples(part: Split, n: int) -> Any:
    from feedmill.cli.bench.watch_time.task import watched

    probe = part.samples.probe
    return watched(probe.user[:n], probe.item[:n], probe.time_ms[:n], part.seconds[:n])
