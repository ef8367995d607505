"""The heads of the table, and the same trunk and budget for all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedmill.cli.bench.watch_time.task import Split, Task
from feedmill.core.errors import DataError
from feedmill.metrics.xauc import xauc

if TYPE_CHECKING:
    from feedmill.train.rank.ranker import Fitted

N_SEEDS = 10
TUNING = 1000  # seeds from here choose, and are not measured
TRUNK: Mapping[str, Any] = {"kind": "dnn", "embedding_dim": 16, "hidden_dims": [64, 32], "dropout": 0.1}
BATCH = 512
RATES, EPOCHS = (1e-3, 4e-3), (3, 9)  # of Adam, falling to 0: the pair of the best order on validation
TO_THE_END = 12  # epochs of the generated logs
SEGMENTS = (0.5, 1.5, 3.0, 5.0, 8.0, 12.0, 18.0, 26.0, 38.0, 55.0, 80.0, 120.0, 180.0, 300.0)  # s, given by hand

DECILES = tuple(round(0.1 * k, 1) for k in range(1, 10))
RAW: Mapping[str, Any] = {"recalibrate": False}  # centres as the notes have them, the bins' means

# Names as they stand in the table; the blocks are those of [rank] watch_time.
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "MSE": {"kind": "mse", "transform": "none"},
    "MSE of log": {"kind": "mse", "transform": "log"},
    "MSE of log, learned factor": {"kind": "mse", "transform": "log", "repair": "learned"},
    "MSE of power": {"kind": "mse", "transform": "power"},
    "MSE of power, learned factor": {"kind": "mse", "transform": "power", "repair": "learned"},
    "WCE 1": {"kind": "wce", "scheme": 1},
    "WCE 1, no cap": {"kind": "wce", "scheme": 1, "cap": 0.0},
    "WCE 1, one factor": {"kind": "wce", "scheme": 1, "repair": "constant"},
    "WCE 1, factor by duration": {"kind": "wce", "scheme": 1, "repair": "duration"},
    "WCE 1, learned factor": {"kind": "wce", "scheme": 1, "repair": "learned"},
    "WCE 2": {"kind": "wce", "scheme": 2},
    "WCE 2, no cap": {"kind": "wce", "scheme": 2, "cap": 0.0},
    "WCE 2, learned factor": {"kind": "wce", "scheme": 2, "repair": "learned"},
    "WCE 3": {"kind": "wce", "scheme": 3},
    "WCE 3, rows": {"kind": "wce", "scheme": 3, "way": "rows"},
    "WCE 1, rows": {"kind": "wce", "scheme": 1, "way": "rows"},
    "YouTube": {"kind": "weighted_logistic"},
    "YouTube, repeat": {"kind": "weighted_logistic", "way": "repeat"},
    "YouTube, corrected": {"kind": "weighted_logistic", "correct_rate": True},
    "fraction": {"kind": "fraction"},
    "fraction, weighted": {"kind": "fraction", "weighted": True},
    "completion": {"kind": "completion"},
    "completion, 3 plays": {"kind": "completion", "replays": 3.0},
    "completion, 5 plays": {"kind": "completion", "replays": 5.0},
    "finish": {"kind": "finish", "fair": False},
    "finish, fair": {"kind": "finish"},
    "softmax": {"kind": "softmax"},
    "softmax, median": {"kind": "softmax", "centre": "median"},
    "softmax, 10 bins": {"kind": "softmax", "n_bins": 10},
    "softmax, exponential": {"kind": "softmax", "bins": "exponential", "growth": 10.0},
    "distilled": {"kind": "distilled", **RAW},
    "distilled, recalibrated": {"kind": "distilled"},
    "distilled, Laplace": {"kind": "distilled", "noise": "laplace", **RAW},
    "distilled, edges": {"kind": "distilled", "points": "edges", **RAW},
    "distilled, 0.5 sqrt(t)": {"kind": "distilled", "sigma_per_root": 0.5, **RAW},
    "distilled, 3 sqrt(t), recalibrated": {"kind": "distilled", "sigma_per_root": 3.0},
    "distilled, 1 s": {"kind": "distilled", "sigma_s": 1.0, **RAW},
    "distilled, 3 s": {"kind": "distilled", "sigma_s": 3.0, **RAW},
    "distilled, 10 s": {"kind": "distilled", "sigma_s": 10.0, **RAW},
    "distilled, uniform": {"kind": "distilled", "bins": "uniform", **RAW},
    "distilled, segments": {"kind": "distilled", "bins": SEGMENTS, **RAW},
    "distilled, exponential": {"kind": "distilled", "bins": "exponential", **RAW},
    "distilled, exponential, by width": {"kind": "distilled", "bins": "exponential", "by_width": True, **RAW},
    "distilled, exponential, recalibrated": {"kind": "distilled", "bins": "exponential"},
    "ordinal": {"kind": "ordinal"},
    "ordinal, 10 bins": {"kind": "ordinal", "n_bins": 10},
    "ordinal, exponential": {"kind": "ordinal", "bins": "exponential", "growth": 10.0},
    "D2Q": {"kind": "d2q"},
    "D2Q, learned factor": {"kind": "d2q", "repair": "learned"},
    "CREAD": {"kind": "cread"},
    "CREAD, means": {"kind": "cread", "restore": "means", "restore_weight": 0.0},
    "TPM": {"kind": "tpm"},
    "TPM, no variance": {"kind": "tpm", "variance_weight": 0.0},
    "quantile, median": {"kind": "quantile"},
    "quantile, mean of 9": {"kind": "quantile", "levels": DECILES},
}


# Heads that are measured where most rows are not watched at all; YouTube's are measured only there.
OF_YOUTUBE = tuple(name for name, block in VARIANTS.items() if block["kind"] == "weighted_logistic")
OF_CLICKS = (*OF_YOUTUBE, "MSE", "WCE 1", "WCE 3", "WCE 3, rows", "fraction, weighted", "softmax", "ordinal")
LEAST_UNWATCHED = 0.01  # of the rows, for heads that tell watched rows from others


class Choice(NamedTuple):
    """How a head is trained, and the XAUC on the validation rows with each of the ways tried."""

    fitting: Mapping[str, Any]
    tried: Mapping[str, float]


class Run(NamedTuple):
    """One head on one task.

    Attributes:
        gives: "seconds", or what else.
        validation, test: float32[C] of each seed.
        weights: learned above the embeddings.
    """

    choice: Choice
    gives: str
    validation: Sequence[NDArray[np.float32]]
    test: Sequence[NDArray[np.float32]]
    weights: int


class Budget(NamedTuple):
    """How much is spent on each head of a task."""

    n_seeds: int = N_SEEDS
    n_tuning: int = 2
    rates: Sequence[float] = RATES
    epochs: Sequence[int] = EPOCHS

    @staticmethod
    def of(quick: bool, task: Task) -> Budget:
        """A tenth of the work, or all of it; on a generated log, where nothing is learned by heart, to the end."""
        if quick:
            return Budget(2, 1, (4e-3,), (3,))
        return Budget() if task.test.true_mean is None else Budget(epochs=(TO_THE_END,))


def chosen(block: Mapping[str, Any], task: Task, budget: Budget) -> Choice:
    """The rate and epochs with the highest XAUC on the validation rows, the mean of seeds that are not measured.

    Heads that estimate different things are all read as an order, which is the one criterion that suits them all.
    """
    part, tried = task.validation, dict[str, float]()
    best: tuple[float, Mapping[str, Any]] = -math.inf, {}
    for rate in budget.rates:
        for epochs in budget.epochs:
            way = fitting(rate, epochs)
            seeds = range(TUNING, TUNING + budget.n_tuning)
            found = [xauc(part.seconds, said(learned(block, task, way, seed), task, part)) for seed in seeds]
            tried[f"{rate:g}, {epochs} epochs"] = value = float(np.mean(found))
            if value > best[0]:
                best = value, way
    return Choice(best[1], tried)


def run(block: Mapping[str, Any], task: Task, budget: Budget) -> Run:
    """A head trained with every seed, and what it says of the validation and test rows.

    Raises:
        DataError: the task has nothing that this head could learn.
    """
    from feedmill.train.rank.watch_time import n_weights

    unwatched = float((task.train.seconds == 0).mean())
    if block["kind"] == "weighted_logistic" and unwatched < LEAST_UNWATCHED:
        raise DataError(f"{unwatched:.1%} of rows are not watched at all", "rows of both kinds, watched and not")
    choice = chosen(block, task, budget)
    validation, test = [], []
    gives, weights = "", 0
    for seed in range(budget.n_seeds):
        done = learned(block, task, choice.fitting, seed)
        validation.append(said(done, task, task.validation))
        test.append(said(done, task, task.test))
        gives, weights = done.heads[0].gives, n_weights(done)
    return Run(choice, gives, validation, test, weights)


def learned(block: Mapping[str, Any], task: Task, way: Mapping[str, Any], seed: int) -> Fitted:
    """The trunk with one head, trained on the task."""
    from feedmill.core.workspace import component
    from feedmill.models import RANKERS
    from feedmill.train.config import Fitting
    from feedmill.train.rank.ranker import fitted

    trunk: Any = component({**TRUNK, "watch_time": dict(block)}, RANKERS, "rank")
    part = task.train
    return fitted(trunk, Fitting(**way), task.spec, part.batch, part.samples, seed, part.duration)


def said(done: Fitted, task: Task, part: Split) -> NDArray[np.float32]:
    """float32[C] what the head says of rows."""
    out: NDArray[np.float32] = done.predict(task.spec, part.batch, part.duration)[:, 0]
    return out


def fitting(rate: float, epochs: int) -> dict[str, Any]:
    """Keys of ``train.config.Fitting``."""
    return {"learning_rate": rate, "epochs": epochs, "batch_size": BATCH, "anneal": True}
