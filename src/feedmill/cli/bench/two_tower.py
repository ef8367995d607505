"""Two-tower training: positives per second and recall, against other libraries at the same model, batch and data.

All read the same fields of the same examples and have the same tables, layers, batch, passes and learning rate, and one
thread. torch-rechub adds a batch normalisation after each layer, which cannot be left out; its in-batch mode has no
temperature, no correction for popularity and no masks. LibRecommender's has all three, and no histories, so ours reads
none against it. What is timed is the loop; in LibRecommender's fit the making of its graph is part of it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from feedmill.metrics.rows import BenchRow

if TYPE_CHECKING:
    from feedmill.features import FeatureBatch, FeatureSpec
    from feedmill.serve.full_ranking import Quality, Task
    from feedmill.train.config import TowerPlan
    from feedmill.train.retrieval.tower import Ground

SCRIPT = Path(__file__).with_name("two_tower_peer.py")
NOT_INSTALLED = 3  # its exit where an import fails
LIMIT_S = 900.0
MODEL: dict[str, Any] = {"kind": "two_tower", "embedding_dim": 32, "hidden_dims": [128, 64], "dropout": 0.0}
HISTORY, NO_HISTORY = ({"histories": h, "context": False, "numbers": "none", "min_count": 1}
                       for h in ({"clicked": [50]}, {}))  # fmt: skip
SOFTMAX: dict[str, Any] = {"loss": "sampled_softmax", "negatives": {"sources": {"in_batch": 1.0}}}
POINTWISE: dict[str, Any] = {"loss": "pointwise", "negatives": {"sources": {"uniform": 3.0}}}


@dataclass(frozen=True)
class Contest:
    """Ours against one library: in which mode, and with which features."""

    what: str
    peer: str
    loss: dict[str, Any]
    features: dict[str, Any]


CONTESTS = (
    Contest("in-batch softmax", "torch-rechub", SOFTMAX, HISTORY),
    Contest("pointwise, 3 uniform negatives", "torch-rechub", POINTWISE, HISTORY),
    Contest("in-batch softmax, no history", "LibRecommender", SOFTMAX, NO_HISTORY),
)


@dataclass
class Runs:
    """Seconds of each run's loop, and the quality of the last run."""

    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    quality: Quality | None = None


def two_tower_rows(quick: bool, contests: tuple[Contest, ...] = CONTESTS) -> list[BenchRow]:
    """MovieLens 100K, a random tenth of each user's items held out. Rivals take turns; medians of the runs.

    A peer is run by the Python that FEEDMILL_PEERS names, or FEEDMILL_LIBRECOMMENDER (which wants another TensorFlow
    and NumPy than the others), or by this one; where that one does not have it, its rows say so.
    """
    from feedmill.cli.bench.retrieval.tasks import data_folder, movielens_100k

    task = movielens_100k(data_folder(), False)
    fitting = {"epochs": 2 if quick else 6, "batch_size": 512, "learning_rate": 2e-3}
    rows: list[BenchRow] = []
    for contest in contests:
        plan, ground = prepared({**MODEL, **fitting, **contest.loss, "features": contest.features}, task)
        ours, theirs, why_not = Runs(), Runs(), ""
        for _ in range(1 if quick else 3):
            run_ours(ours, plan, ground, task)
            why_not = why_not or run_peer(contest.peer, theirs, plan, ground, task)
        what = f"two-tower, {contest.what}: {task.name}, {plan.fitting.epochs} epochs"
        peer = f"{contest.peer}, {why_not}" if why_not else contest.peer
        rows += _rows(what, ground.examples.n * plan.fitting.epochs, task.hash, ours, theirs, peer)
    return rows


def prepared(block: dict[str, Any], task: Task) -> tuple[TowerPlan, Ground]:
    """What a block ``[train.NAME]`` asks for, and the examples and features of the task's training log."""
    from feedmill.features import assemble
    from feedmill.features import fit as fit_features
    from feedmill.models import TOWERS
    from feedmill.samples.hard import HardNegatives
    from feedmill.samples.positives import positives
    from feedmill.state import State
    from feedmill.train.config import TowerPlan
    from feedmill.train.retrieval.examples import Before
    from feedmill.train.retrieval.tower import Ground

    plan = TowerPlan.of("two-tower", block, TOWERS, {})
    chosen, state = positives(task.events, task.state, plan.positives), task.state
    probed = State().fold(task.events, chosen.probe)  # anew: each example as of its moment, in the same rows
    assert probed is not None
    spec, arrays = fit_features.fit(plan.features, state, probed)
    everything = state.probe(state.view("", state.newest_ms), np.arange(len(state.items), dtype=np.int32))
    features, catalogue = (assemble(spec, arrays, state, x) for x in (probed, everything))
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


def run_ours(runs: Runs, plan: TowerPlan, ground: Ground, task: Task) -> None:
    """One fit with the loop of ``feedmill train``."""
    from feedmill.train.loop import run, threads
    from feedmill.train.retrieval.examples import Shown
    from feedmill.train.retrieval.tower import TowerFit

    with threads(1):
        early = TowerFit(plan, ground, 0)
        run("compiling", early.model, early.tables, min(2 * plan.fitting.batch_size, ground.examples.n), early.loss,
            plan.fitting, 0)  # fmt: skip
        fit = TowerFit(plan, ground, 0)
        wall, cpu = time.perf_counter(), time.process_time()
        run(f"training {plan.name}", fit.model, fit.tables, ground.examples.n, fit.loss, plan.fitting, 0)
        runs.wall_s.append(time.perf_counter() - wall)
        runs.cpu_s.append(time.process_time() - cpu)
    batch, none = asked(task, ground), np.zeros(0, np.int32)
    shown = Shown(task.user, batch.user_ids, batch.user_numeric, none, none.astype(np.int64), none.astype(np.float32))
    users = fit.model.user(*fit.embed_users(shown)).detach().numpy()
    runs.quality = quality(users, fit.item_vectors(), task)


def run_peer(peer: str, runs: Runs, plan: TowerPlan, ground: Ground, task: Task) -> str:
    """One fit of another library in a process of its own; why there was none, or ""."""
    own = os.environ.get(f"FEEDMILL_{peer.upper()}") or os.environ.get("FEEDMILL_PEERS") or sys.executable
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    with tempfile.TemporaryDirectory() as made:
        hand_over(Path(made), plan, ground, task)
        command = [own, str(SCRIPT), peer, made]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, env=environment, timeout=LIMIT_S
            )
        except subprocess.TimeoutExpired:
            return f"not done in {LIMIT_S:.0f} s"
        if done.returncode:
            said = (done.stderr.strip() or "gave no reason").splitlines()[-1]
            return f"not installed: {said}" if done.returncode == NOT_INSTALLED else f"failed: {said}"
        seconds = json.loads((Path(made) / "peer.json").read_text("utf-8"))
        runs.wall_s.append(seconds["wall_s"])
        runs.cpu_s.append(seconds["cpu_s"])
        with np.load(Path(made) / "peer.npz") as vectors:
            runs.quality = quality(vectors["user"], vectors["item"], task)
    return ""


def hand_over(folder: Path, plan: TowerPlan, ground: Ground, task: Task) -> None:
    """The task as files: ids counted from 1 within each table, 0 = nothing."""
    shown = ground.examples.batch(np.arange(ground.examples.n))
    catalogue = own_ids(ground.spec, "item", ground.catalogue.item_ids)
    np.savez(
        folder / "task.npz",
        user=own_ids(ground.spec, "user", shown.user_ids),
        user_row=shown.user,
        item=catalogue[shown.item],
        item_row=shown.item,
        users=own_ids(ground.spec, "user", asked(task, ground).user_ids),
        asked_row=task.user,
        items=catalogue,
    )
    fields = [
        {"name": f.name, "source": f.source, "side": side, "table": f.table, "start": start, "width": f.width}
        for side in ("user", "item")
        for f, start in zip(ground.spec.side(side), ground.spec.starts(side), strict=False)
    ]
    described = {
        "fields": fields, "tables": ground.spec.tables, "in_batch": plan.loss.loss == "sampled_softmax", "seed": 0,
        "embedding_dim": plan.config.embedding_dim, "hidden_dims": list(plan.config.hidden_dims),
        "temperature": plan.objective.temperature, "epochs": plan.fitting.epochs,
        "batch_size": plan.fitting.batch_size, "learning_rate": plan.fitting.learning_rate,
    }  # fmt: skip
    (folder / "task.json").write_text(json.dumps(described), "utf-8")


def own_ids(spec: FeatureSpec, side: str, fused: NDArray[np.int32]) -> NDArray[np.int64]:
    """Rows of the fused table -> rows of each field's own table."""
    out, offsets = fused.astype(np.int64), spec.offsets()
    for f, start in zip(spec.side(side), spec.starts(side), strict=False):
        columns = out[:, start : start + f.width]
        columns[columns > 0] -= offsets[f.table]
    return out


def quality(users: NDArray[np.float32], items: NDArray[np.float32], task: Task) -> Quality:
    """Recall@20 and NDCG@20 of the largest products, every item a candidate but those the user has."""
    from feedmill.serve.full_ranking import K, measure

    scores = users @ items.T
    scores[:, 0] = -np.inf
    for row, user in enumerate(task.user.tolist()):
        scores[row, task.seen(user)] = -np.inf
    return measure(np.argsort(-scores, axis=1, kind="stable")[:, :K].astype(np.int32), task)


def _rows(what: str, n: int, split: str, ours: Runs, theirs: Runs, peer: str) -> Iterator[BenchRow]:
    """Both clocks and both measures; ratios above 1 are in our favour."""
    for metric, mine, other in (("positives/s", ours.wall_s, theirs.wall_s), ("per CPU s", ours.cpu_s, theirs.cpu_s)):
        value, low, high = (n / seconds / 1e3 for seconds in (float(np.median(mine)), max(mine), min(mine)))
        unit, ratio = f"k positives, one thread, n = {len(mine)}", None
        if other:
            unit += f", peer {n / float(np.median(other)) / 1e3:.1f}"
            ratio = float(np.median(other) / np.median(mine))
        yield BenchRow(what=what, metric=metric, value=value, low=low, high=high, unit=unit, peer=peer, ratio=ratio,
                       split=split)  # fmt: skip
    assert ours.quality is not None
    for metric in ("recall", "ndcg"):
        at, unit, ratio = getattr(ours.quality, metric), "95 %", None
        if theirs.quality is not None:
            rival = getattr(theirs.quality, metric).mean
            unit, ratio = f"95 %, peer {rival:.4f}", at.mean / rival
        yield BenchRow(what=what, metric=f"{metric}@20", value=at.mean, low=at.low, high=at.high, unit=unit, peer=peer,
                       ratio=ratio, split=split)  # fmt: skip
