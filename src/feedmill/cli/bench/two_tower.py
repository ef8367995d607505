"""Two-tower training: positives per second and recall, against torch-rechub's DSSM at the same model, batch and data.

Both read the same fields of the same examples, have the same tables and the same layers (its own add a batch
normalisation after each, which cannot be left out), the same batch, passes and learning rate. Its in-batch mode has no
temperature, no correction for popularity and no masks: that is what its users get. What is timed is the loop alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from feedmill.metrics.rows import BenchRow

if TYPE_CHECKING:
    from feedmill.features import FeatureBatch, FeatureSpec
    from feedmill.serve.full_ranking import Quality, Task
    from feedmill.train.config import TowerPlan
    from feedmill.train.tower import Ground

NAME, PEER = "two_tower", "torch-rechub DSSM"
MODEL = {"embedding_dim": 32, "hidden_dims": [128, 64], "dropout": 0.0}
READ = {"histories": {"clicked": [50]}, "context": False, "numbers": "none", "min_count": 1}
MODES: dict[str, dict[str, Any]] = {
    "in-batch softmax": {"loss": "sampled_softmax", "negatives": {"sources": {"in_batch": 1.0}}},
    "pointwise, 3 uniform negatives": {"loss": "pointwise", "negatives": {"sources": {"uniform": 3.0}}},
}


class Trial:
    """One contender's runs in one mode.

    Attributes:
        wall_s, cpu_s: seconds of each run's loop.
        quality: of the last run.
    """

    def __init__(self) -> None:
        self.wall_s: list[float] = []
        self.cpu_s: list[float] = []
        self.quality: Quality | None = None


def two_tower_rows(quick: bool) -> list[BenchRow]:
    """MovieLens 100K, a random tenth of each user's items held out. Rivals take turns; medians of the runs.

    The peer is run by the Python that FEEDMILL_PEERS names, or this one, and left out with a word where that one does
    not have it.
    """
    from feedmill.cli.bench.retrieval_tasks import data_folder, movielens_100k

    task = movielens_100k(data_folder(), False)
    fitting = {"epochs": 2 if quick else 6, "batch_size": 512, "learning_rate": 2e-3}
    rows = []
    for mode, loss in MODES.items():
        plan, ground = prepared({**MODEL, **fitting, **loss}, task)
        ours, theirs, why_not = Trial(), Trial(), ""
        for _ in range(1 if quick else 3):
            run_ours(ours, plan, ground, task)
            why_not = why_not or run_peer(theirs, plan, ground, task, in_batch=loss["loss"] == "sampled_softmax")
        what = f"two-tower, {mode}: {task.name}, batch {plan.fitting.batch_size}, {plan.fitting.epochs} epochs"
        rows += _rows(what, ground.examples.n * plan.fitting.epochs, task.hash, ours, theirs, why_not)
    return rows


def prepared(block: dict[str, Any], task: Task) -> tuple[TowerPlan, Ground]:
    """What the block ``[train.two_tower]`` asks for, and the examples and features of the task's training log."""
    from feedmill.features import assemble
    from feedmill.features import fit as fit_features
    from feedmill.models import TOWERS
    from feedmill.samples.hard import HardNegatives
    from feedmill.samples.positives import positives
    from feedmill.state import State
    from feedmill.train.config import TowerPlan
    from feedmill.train.examples import Before
    from feedmill.train.tower import Ground

    plan = TowerPlan.of(NAME, {**block, "features": READ}, TOWERS, {})
    chosen = positives(task.events, task.state, plan.positives)
    probed = State().fold(task.events, chosen.probe)  # anew: each example as of its moment, in the same rows
    assert probed is not None
    spec, arrays = fit_features.fit(plan.features, task.state, probed)
    nobody = task.state.probe(
        task.state.view("", task.state.newest_ms), np.arange(len(task.state.items), dtype=np.int32)
    )
    features, catalogue = (assemble(spec, arrays, task.state, x) for x in (probed, nobody))
    nothing = HardNegatives(np.zeros(0, np.int32), np.zeros(0, np.int32))
    examples = Before(chosen, features)
    return plan, Ground(spec, arrays, examples, chosen.probe.item, catalogue, task.interactions, nothing)


def asked(task: Task, ground: Ground) -> FeatureBatch:
    """Features of the users that the task asks for, as of the end of its training log."""
    from feedmill.core.batches import ProbeBatch
    from feedmill.core.events import EventBatch
    from feedmill.features import assemble

    n, none = len(task.user), np.zeros(0, np.int32)
    now = ProbeBatch(task.user, np.full(n, task.state.newest_ms), np.zeros(n, np.int64), none, none)
    probed = task.state.fold(EventBatch.empty(), now)
    assert probed is not None
    return assemble(ground.spec, ground.arrays, task.state, probed)


def run_ours(trial: Trial, plan: TowerPlan, ground: Ground, task: Task) -> None:
    """One fit with the loop of ``feedmill train``."""
    from feedmill.train.examples import Shown
    from feedmill.train.loop import run
    from feedmill.train.tower import TowerFit

    fit = TowerFit(plan, ground, 0)
    wall, cpu = time.perf_counter(), time.process_time()
    run(f"training {NAME}", fit.model, fit.tables, ground.examples.n, fit.loss, plan.fitting, 0)
    trial.wall_s.append(time.perf_counter() - wall)
    trial.cpu_s.append(time.process_time() - cpu)
    batch, nobody = asked(task, ground), np.zeros(0, np.int64)
    none = np.zeros(0, np.int32)
    shown = Shown(task.user, batch.user_ids, batch.user_numeric, none, nobody, np.zeros(0, np.float32))
    users = fit.model.user(*fit.embed_users(shown)).detach().numpy()
    trial.quality = quality(users, fit.item_vectors(), task)


def run_peer(trial: Trial, plan: TowerPlan, ground: Ground, task: Task, in_batch: bool) -> str:
    """One fit of torch-rechub in its own process; why there was none, or ""."""
    python = os.environ.get("FEEDMILL_PEERS") or sys.executable
    script = Path(__file__).with_name("two_tower_peer.py")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        _hand_over(folder, plan, ground, task, in_batch)
        done = subprocess.run([python, str(script), made], capture_output=True, text=True, check=False)
        if done.returncode:
            missing = "No module named 'torch_rechub'" in done.stderr
            return "not installed" if missing else f"failed: {done.stderr.strip().splitlines()[-1]}"
        told, arrays = json.loads((folder / "peer.json").read_text("utf-8")), np.load(folder / "peer.npz")
        trial.wall_s.append(told["wall_s"])
        trial.cpu_s.append(told["cpu_s"])
        trial.quality = quality(arrays["user"], arrays["item"], task)
    return ""


def _hand_over(folder: Path, plan: TowerPlan, ground: Ground, task: Task, in_batch: bool) -> None:
    """The task as files: ids counted from 1 within each table, 0 = nothing."""
    shown = ground.examples.batch(np.arange(ground.examples.n))
    catalogue = own_ids(ground.spec, "item", ground.catalogue.item_ids)
    np.savez(
        folder / "task.npz",
        user=own_ids(ground.spec, "user", shown.user_ids),
        item=catalogue[shown.item],
        users=own_ids(ground.spec, "user", asked(task, ground).user_ids),
        items=catalogue,
    )
    fields = [
        {"name": f.name, "side": side, "table": f.table, "start": start, "width": f.width}
        for side in ("user", "item")
        for f, start in zip(ground.spec.side(side), ground.spec.starts(side), strict=False)
    ]
    described = {
        "fields": fields, "tables": ground.spec.tables, "in_batch": in_batch, "seed": 0,
        "embedding_dim": plan.config.embedding_dim, "hidden_dims": list(plan.config.hidden_dims),
        "temperature": plan.objective.temperature, "epochs": plan.fitting.epochs,
        "batch_size": plan.fitting.batch_size, "learning_rate": plan.fitting.learning_rate,
    }  # fmt: skip
    (folder / "task.json").write_text(json.dumps(described), "utf-8")


def own_ids(spec: FeatureSpec, side: str, fused: NDArray[np.int32]) -> NDArray[np.int64]:
    """Rows of the fused table -> rows of each field's own table."""
    out, offsets = fused.astype(np.int64), spec.offsets()
    for field, start in zip(spec.side(side), spec.starts(side), strict=False):
        columns = out[:, start : start + field.width]
        columns[columns > 0] -= offsets[field.table]
    return out


def quality(users: NDArray[np.float32], items: NDArray[np.float32], task: Task) -> Quality:
    """Recall@20 and NDCG@20 of the largest products, every item a candidate but those the user has."""
    from feedmill.serve.full_ranking import K, measure

    scores = users @ items.T
    scores[:, 0] = -np.inf
    for row, user in enumerate(task.user.tolist()):
        scores[row, task.seen(user)] = -np.inf
    return measure(np.argsort(-scores, axis=1, kind="stable")[:, :K].astype(np.int32), task)


def _rows(what: str, n: int, split: str, ours: Trial, theirs: Trial, why_not: str) -> list[BenchRow]:
    peer = f"{PEER}, {why_not}" if why_not else PEER
    rows = []
    for metric, mine, other in (
        ("positives/s", ours.wall_s, theirs.wall_s),
        ("positives/CPU s", ours.cpu_s, theirs.cpu_s),
    ):
        value, low, high = (n / seconds for seconds in (float(np.median(mine)), max(mine), min(mine)))
        unit, ratio = f"n = {len(mine)}", None
        if other:
            unit += f", peer {n / float(np.median(other)):,.0f}"
            ratio = float(np.median(other) / np.median(mine))
        rows.append(BenchRow(what=what, metric=metric, value=value, low=low, high=high, unit=unit, peer=peer,
                             ratio=ratio, split=split))  # fmt: skip
    return [*rows, *_quality_rows(what, split, ours.quality, theirs.quality, peer)]


def _quality_rows(what: str, split: str, ours: Quality | None, theirs: Quality | None, peer: str) -> Iterator[BenchRow]:
    assert ours is not None
    for name in ("recall", "ndcg"):
        mine, other = getattr(ours, name), getattr(theirs, name) if theirs else None
        yield BenchRow(
            what=what,
            metric=f"{name}@20",
            value=mine.mean,
            low=mine.low,
            high=mine.high,
            unit=f"95 %, peer {other.mean:.4f}" if other else "95 %",
            peer=peer,
            ratio=mine.mean / other.mean if other else None,
            split=split,
        )
