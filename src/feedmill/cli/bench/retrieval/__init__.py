"""Every channel and their merge by full ranking: quality with intervals, seconds to fit, milliseconds a user, peers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from feedmill.cli.bench.peers import PEERS, run_peer
from feedmill.cli.bench.retrieval.fit import fit_run
from feedmill.cli.bench.retrieval.runs import MERGE, Run, runs
from feedmill.cli.bench.retrieval.tasks import TASKS, data_folder
from feedmill.core.batches import CandidateBatch, Mask
from feedmill.core.clock import rng
from feedmill.core.errors import DataError
from feedmill.core.progress import console
from feedmill.metrics.intervals import paired_difference
from feedmill.metrics.rows import BenchRow
from feedmill.retrieval.merge import weighted_merge
from feedmill.serve.full_ranking import Answers, K, Quality, Task, ask, measure

SEED = 0
DEPTH = 300  # items kept of each channel for the merges
QUICK_SHARE = 0.05  # of the users of a split of many


class Ours:
    """What was answered so far on one split, for the merges and for comparing."""

    def __init__(self, split: str, task: Task, users: Mask | None) -> None:
        self.split, self.task, self.users = split, task, users
        self.answers: dict[str, Answers] = {}
        self.quality: dict[str, Quality] = {}

    def channel(self, name: str, run: Run) -> list[BenchRow]:
        ready = fit_run(name, run, self.task, SEED)
        start = time.perf_counter()
        self.answers[name] = ask(ready.channel, ready.task, DEPTH, self.users)
        asking = time.perf_counter() - start
        n_asked = len(self.task.user) if self.users is None else int(self.users.sum())
        return [
            *self.measured(name, self.answers[name]),
            self.row(name, "fit", ready.fit_s, "s"),
            self.row(name, "answer", asking / n_asked * 1e3, "ms a user, filtering and the user's history included"),
        ]

    def merge(self, name: str, run: Run) -> list[BenchRow]:
        absent = [c for c in run.channels if c not in self.answers]
        if absent:
            return [self.absent(name, f"not measured: needs {', '.join(absent)}")]
        self.answers[name] = merged({c: self.answers[c] for c in run.channels}, run)
        rows = self.measured(name, self.answers[name])
        for channel in run.channels:
            for metric, of in (("Recall@20", "recall_of"), ("NDCG@20", "ndcg_of")):
                gain = paired_difference(getattr(self.quality[name], of), getattr(self.quality[channel], of), SEED)
                unit = f"paired over {gain.n} users, 95 %"
                rows.append(self.row(f"{name} - {channel}", metric, gain.mean, unit, gain.low, gain.high))
        return rows

    def measured(self, name: str, answers: Answers) -> list[BenchRow]:
        quality = measure(answers.item, self.task, SEED, users=self.users)
        self.quality[name] = quality
        return [
            self.row(name, f"{metric}@{K}", x.mean, f"mean of {x.n} users, 95 %", x.low, x.high)
            for metric, x in (("Recall", quality.recall), ("NDCG", quality.ndcg))
        ]

    def peer(self, name: str) -> list[BenchRow]:
        found = run_peer(name, self.task, K)
        if isinstance(found, str):
            return [self.absent(name, found)]
        answers = Answers(found.item, np.zeros(found.item.shape, np.float32))
        return [*self.measured(name, answers), self.row(name, "fit", found.fit_s, "s")]

    def absent(self, name: str, why: str) -> BenchRow:
        return self.row(name, f"Recall@{K}", float("nan"), why)

    def row(
        self, name: str, metric: str, value: float, unit: str, low: float | None = None, high: float | None = None
    ) -> BenchRow:
        return BenchRow(
            what=f"{self.split}: {name}",
            metric=metric,
            value=value,
            low=low,
            high=high,
            unit=unit,
            seed=SEED,
            split=self.task.hash,
        )


def retrieval_rows(quick: bool, data: Path | None = None, only: Sequence[str] = ()) -> list[BenchRow]:
    """Rows of every split whose data are there.

    Args:
        quick: a share of the users, only what counts and no models, no peers that take long.
        data: the folder of real data.
        only: names of splits, channels, merges or peers; merges bring along what they add up. None of a kind = all.
    """
    rows: list[BenchRow] = []
    for split, make in TASKS.items():
        wanted = chosen(split, only)
        if wanted is None:
            continue
        try:
            task = make(data_folder(data), False)
        except DataError as e:
            console.print(f"{split}: left out: {e}", markup=False)
            continue
        console.print(f"{task.name}: {len(task.user):,} users, split {task.hash}", markup=False)
        rows += list(_rows(Ours(split, task, _some(task) if quick else None), wanted, quick))
    return rows


def chosen(split: str, only: Sequence[str]) -> tuple[Mapping[str, Run], Sequence[str]] | None:
    """The runs and peers of a split that were asked for; None = the split was not.

    Raises:
        DataError: a name that is nothing.
    """
    ours, splits = runs(split), [name for name in only if name in TASKS]
    everywhere = {name for each in TASKS for name in runs(each)} | set(PEERS)
    for name in only:
        if name not in everywhere and name not in TASKS:
            raise DataError(f"--only {name}", f"a split of {list(TASKS)} or one of {sorted(everywhere)}")
    if splits and split not in splits:
        return None
    names = [name for name in only if name not in TASKS]
    if not names:
        return ours, list(PEERS)
    needed = set(names).union(*(ours[n].channels for n in names if n in ours))
    return {n: r for n, r in ours.items() if n in needed}, [p for p in PEERS if p in names]


def _rows(ours: Ours, wanted: tuple[Mapping[str, Run], Sequence[str]], quick: bool) -> Iterator[BenchRow]:
    named, peers = wanted
    for name, run in named.items():
        if run.kind == MERGE:
            yield from ours.merge(name, run)
        elif quick and run.sections:
            yield ours.absent(name, "not measured with --quick")
        else:
            yield from ours.channel(name, run)
    for name in peers:
        if quick and not PEERS[name].is_quick:
            yield ours.absent(name, "not measured with --quick")
        else:
            yield from ours.peer(name)


def merged(answers: Mapping[str, Answers], run: Run) -> Answers:
    """``retrieval.merge.weighted_merge`` for each user: the channels' first ``depth`` items, their scores added."""
    n_users, width = next(iter(answers.values())).item.shape
    item, score = np.zeros((n_users, width), np.int32), np.zeros((n_users, width), np.float32)
    for u in range(n_users):
        batches = []
        for name, a in answers.items():
            n = min(int(np.count_nonzero(a.item[u])), run.depth)
            batches.append(CandidateBatch.of(name, a.item[u, :n], a.score[u, :n]))
        best = weighted_merge(batches, width, run.weights, run.scale)
        item[u, : len(best)], score[u, : len(best)] = best.item, best.value
    return Answers(item, score)


def _some(task: Task) -> Mask | None:
    """bool[U]: a seeded share of the users of a large split; None = all."""
    n = int(len(task.user) * QUICK_SHARE)
    if n < 500:
        return None
    mask = np.zeros(len(task.user), np.bool_)
    mask[rng(SEED, "quick").choice(len(task.user), n, replace=False)] = True
    return mask
