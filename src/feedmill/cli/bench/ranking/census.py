"""Multi-task rankers on Census-Income, beside other libraries' at the same sizes: AUC of each label, rows per second.

Everyone gets the same codes and numbers of the same rows, the same batch, learning rate, experts and passes, and two
threads; contestants take turns, seed by seed. The epoch is chosen by the validation rows, by the mean AUC of the two
labels (who does no better for three epochs stops), and the test rows are scored once by each fit. Seconds are those of
the epochs alone, the median of each run.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from feedmill.cli.bench.peers import python, told
from feedmill.cli.bench.retrieval.tasks import data_folder
from feedmill.core.batches import Floats
from feedmill.core.clock import rng
from feedmill.core.progress import progress
from feedmill.datasets.census import HEADS, Census, census
from feedmill.features.quantile import fit_edges, with_powers
from feedmill.metrics.classification import auc
from feedmill.metrics.rows import BenchRow

if TYPE_CHECKING:
    from feedmill.train.rank.table import Table, TableFit

SCRIPT = Path(__file__).with_name("peers.py")
LIMIT_S = 1800.0
SIZES: dict[str, Any] = {"embedding_dim": 8, "hidden_dims": [256, 128], "tower_dim": 64}
OURS: dict[str, dict[str, Any]] = {
    "dnn": {},  # a net for each label: single-task
    "shared_bottom": {},
    "omoe": {"n_experts": 4},
    "mmoe": {"n_experts": 4},
    "ple": {"n_shared": 2, "n_own": 1, "n_levels": 1},
}
PEERS: dict[str, str] = {  # whom each is compared with
    "torch-rechub MMoE": "mmoe",
    "torch-rechub shared-bottom": "shared_bottom",
    "torch-rechub PLE": "ple",
    "deepctr-torch MMoE": "mmoe",
}
FITTING: dict[str, Any] = {"batch_size": 2048, "learning_rate": 1e-3, "epochs": 20}
PATIENCE = 3  # epochs without a better validation, after which everyone stops
QUICK: dict[str, Any] = {"batch_size": 512, "epochs": 3}  # small steps, so that few rows show something
N_THREADS, N_SEEDS, N_RESAMPLES, N_EDGES = 2, 5, 200, 101


@dataclass(slots=True)
class Runs:
    """What one contestant's fits gave, seed by seed: test probabilities float32[n, H], seconds of the median epoch."""

    probs: list[Floats] = field(default_factory=list)
    epoch_s: list[float] = field(default_factory=list)
    why_not: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Contest:
    """The table with the rows of each part, and how long everyone learns."""

    table: Table
    rows: Mapping[str, NDArray[np.int64]]
    split: str
    fitting: Mapping[str, Any]
    n_seeds: int

    @property
    def labels(self) -> Floats:
        """float32[n, 2] of the test rows."""
        return self.table.labels[self.rows["test"]]


def census_rows(quick: bool, data: Path | None = None, only: Sequence[str] = ()) -> list[BenchRow]:
    """AUC and rows per second of each model and peer, differences, and the bound by multiply-adds.

    Args:
        quick: a quarter of the training rows, smaller batches, few epochs, one seed: AUC far from the full ones.
        data: the folder of real data.
        only: names of models or peers; none = all.

    Raises:
        DataError: the data are not there.
    """
    contest = prepared(census(data_folder(data) / "census_income_kdd_test"), quick)
    runs: dict[str, Runs] = {name: Runs() for name in (*OURS, *PEERS) if not only or name in only}
    with progress("Census-Income", contest.n_seeds * len(runs)) as advance:
        warm_up(contest)
        for seed in range(contest.n_seeds):
            for name, of in runs.items():
                run_ours(name, of, contest, seed) if name in OURS else run_peer(name, of, contest, seed)
                advance(1)
    rows = [row for name, of in runs.items() for row in contestant_rows(name, of, contest, runs)]
    for peer, mine in PEERS.items():
        if peer in runs and mine in runs and runs[peer].probs:
            rows += difference_rows(f"{mine} - {peer}", runs[mine], runs[peer], contest)
    return rows + ([bound_row(runs["mmoe"], contest)] if "mmoe" in runs else [])


def prepared(known: Census, quick: bool) -> Contest:
    """Numbers as quantiles of the training rows, in [0, 1]; a log is no scale for a net."""
    from feedmill.train.rank.table import Table

    rows = {part: known.rows(part) for part in ("train", "validation", "test")}
    edges = np.stack([fit_edges(column, N_EDGES) for column in known.numbers[rows["train"]].T])
    scaled = with_powers(np.ascontiguousarray(known.numbers.T), edges)[:, : known.numbers.shape[1]]
    if quick:
        rows["train"] = rows["train"][::4]
    return Contest(
        Table(known.codes, known.sizes, np.ascontiguousarray(scaled), known.labels),
        rows,
        known.split,
        {**FITTING, **QUICK} if quick else FITTING,
        1 if quick else N_SEEDS,
    )


def fit_of(name: str, contest: Contest, seed: int) -> TableFit:
    """One of ours, untrained."""
    from feedmill.train.rank.table import TableFit

    return TableFit(name, {**SIZES, **OURS[name]}, contest.table, seed)


def warm_up(contest: Contest) -> None:
    """Compile kernels before anything is timed."""
    from feedmill.train.config import Fitting

    fit_of("shared_bottom", contest, 0).train(contest.rows["train"][:512], Fitting(epochs=1, batch_size=256))


def run_ours(name: str, runs: Runs, contest: Contest, seed: int) -> None:
    """One fit with the loop of ``feedmill train``."""
    from feedmill.train.config import Fitting
    from feedmill.train.loop import threads

    with threads(N_THREADS):
        fit = fit_of(name, contest, seed)
        fit.train(contest.rows["train"], Fitting(**contest.fitting), contest.rows["validation"], PATIENCE)
        runs.epoch_s.append(float(np.median(fit.epoch_s)))
        runs.probs.append(fit.predict(contest.rows["test"]))


def run_peer(name: str, runs: Runs, contest: Contest, seed: int) -> None:
    """One fit of another library in a process of its own; not again where it once did not work."""
    if runs.why_not:
        return
    environment = {**os.environ, "OMP_NUM_THREADS": str(N_THREADS), "PYTHONWARNINGS": "ignore"}
    with tempfile.TemporaryDirectory() as made:
        hand_over(Path(made), contest, seed)
        _, runs.why_not = told([python(), str(SCRIPT), name, made], LIMIT_S, environment)
        if runs.why_not:
            return
        runs.epoch_s.append(float(np.median(json.loads((Path(made) / "peer.json").read_text("utf-8"))["epoch_s"])))
        with np.load(Path(made) / "peer.npz", allow_pickle=False) as arrays:
            runs.probs.append(arrays["probs"])


def hand_over(folder: Path, contest: Contest, seed: int) -> None:
    """The contest as files, without the labels of the test rows."""
    table = contest.table
    arrays: dict[str, NDArray[Any]] = {}
    for part, rows in contest.rows.items():
        arrays |= {f"{part}_codes": table.codes[rows], f"{part}_numbers": table.numbers[rows]}
        if part != "test":
            arrays[f"{part}_labels"] = table.labels[rows]
    np.savez(folder / "task.npz", **arrays)  # type: ignore[arg-type]  # its other argument is a bool
    described = {
        **SIZES, **OURS["mmoe"], **OURS["ple"], **contest.fitting, "sizes": list(table.sizes), "seed": seed,
        "n_numeric": table.numbers.shape[1], "n_heads": len(HEADS), "n_threads": N_THREADS,
        "patience": PATIENCE,
    }  # fmt: skip
    (folder / "task.json").write_text(json.dumps(described), "utf-8")


def contestant_rows(name: str, of: Runs, contest: Contest, runs: Mapping[str, Runs]) -> Iterator[BenchRow]:
    """AUC of each label with the seeds' spread, and rows per second beside the rival's."""
    if of.why_not or not of.probs:
        yield _row(name, f"AUC {HEADS[0]}", float("nan"), of.why_not or "not measured", contest)
        return
    for h, head in enumerate(HEADS):
        each = aucs(of, contest, h)
        unit = f"mean, least..largest of {len(each)} seeds"
        yield _row(name, f"AUC {head}", float(each.mean()), unit, contest, float(each.min()), float(each.max()))
    rate = len(contest.rows["train"]) / np.array(of.epoch_s) / 1e3
    batch = contest.fitting["batch_size"]
    unit = f"k rows/s, batch {batch}, {N_THREADS} threads, median, least..largest of {len(rate)} rounds"
    rivals = [peer for peer, mine in PEERS.items() if mine == name and peer in runs and runs[peer].epoch_s]
    for rival in rivals or [""]:
        ratio = float(np.median(runs[rival].epoch_s) / np.median(of.epoch_s)) if rival else None
        metric = f"rows/s, against {rival}" if len(rivals) > 1 else "rows/s"
        value, low, high = float(np.median(rate)), float(rate.min()), float(rate.max())
        yield _row(name, metric, value, unit, contest, low, high, rival, ratio)


def aucs(of: Runs, contest: Contest, head: int) -> NDArray[np.float64]:
    """The AUC of one label for each seed."""
    return np.array([auc(contest.labels[:, head], probs[:, head]) for probs in of.probs])


def difference_rows(what: str, ours: Runs, theirs: Runs, contest: Contest) -> Iterator[BenchRow]:
    """Ours minus theirs, means over seeds; the interval is of test rows and seeds drawn again with replacement."""
    labels, draw = contest.labels, rng(0, "census", "difference")
    for h, head in enumerate(HEADS):
        drawn = []
        for _ in range(N_RESAMPLES):
            rows = draw.integers(0, len(labels), len(labels))
            sides = [[of.probs[s] for s in draw.integers(0, len(of.probs), len(of.probs))] for of in (ours, theirs)]
            mine, other = (np.mean([auc(labels[rows, h], p[rows, h]) for p in side]) for side in sides)
            drawn.append(mine - other)
        low, high = (float(x) for x in np.quantile(drawn, (0.025, 0.975)))
        gain = float(aucs(ours, contest, h).mean() - aucs(theirs, contest, h).mean())
        yield _row(what, f"AUC {head}", gain, "95 %, over test rows and seeds", contest, low, high)


def bound_row(of: Runs, contest: Contest) -> BenchRow:
    """The rows per second of MMoE if a step were its matrix products alone, each at its best on this machine."""
    from feedmill.train.loop import threads
    from feedmill.train.rank.products import products

    size = int(contest.fitting["batch_size"])
    fit, rows = fit_of("mmoe", contest, 0), contest.rows["train"][:size]
    fit.is_dense = True  # training multiplies each distinct code of a batch once: above 1 is not a mistake
    with threads(N_THREADS):
        found = products(lambda: fit.loss(rows).backward())  # type: ignore[no-untyped-call]
    value = len(rows) / found.seconds / 1e3
    reached = len(contest.rows["train"]) / float(np.median(of.epoch_s)) / 1e3 / value
    unit = (
        f"k rows/s, {found.n_multiply_adds / len(rows) / 1e6:.2f} M multiply-adds a row at "
        f"{2 * found.n_multiply_adds / found.seconds / 1e9:.0f} GFLOP/s; the ratio is what we reach of it"
    )
    return _row("mmoe, matrix products alone", "rows/s", value, unit, contest, value, value, ratio=reached)


def _row(
    name: str, metric: str, value: float, unit: str, contest: Contest,
    low: float | None = None, high: float | None = None, peer: str = "", ratio: float | None = None,
) -> BenchRow:  # fmt: skip
    return BenchRow(
        what=f"census: {name}", metric=metric, value=value, low=low, high=high, unit=unit, peer=peer, ratio=ratio,
        split=contest.split,
    )  # fmt: skip
