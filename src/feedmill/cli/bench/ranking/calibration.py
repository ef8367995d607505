"""Down-sampled negatives and calibration: what is said beside what is true, on logs drawn from known chances.

Each log is sampled, learned and served by the code of ``feedmill train``. What is measured on comes later than all that
is learned from, and is never sampled. The truth is the mean of the chances that the log was drawn from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from feedmill.core.clock import rng
from feedmill.core.events import EventBatch, Kind
from feedmill.metrics.calibration import ece, pcoc
from feedmill.metrics.classification import normalized_entropy
from feedmill.metrics.rows import BenchRow

if TYPE_CHECKING:
    from feedmill.core.batches import Part
    from feedmill.samples import SamplesConfig
    from feedmill.train.calibration.fit import CalibrationConfig

START_MS, MINUTE_MS = 1_700_000_000_000, 60_000
N_USERS, N_ITEMS, N_GROUPS = 400, 400, 8
TEST_SHARE = 0.2
SHARES = (1.0, 0.1, 0.01)
GROUPS = ("user.group", "item.group")
VISITS = 600_000  # rows times passes of a ranker of a sample, so that a small sample does not mean few steps
MOST_EPOCHS = 60  # beyond which it is learned by heart


@dataclass(frozen=True)
class Drawn:
    """A log of n impressions and the chance of a click of each, in order; the newest ``TEST_SHARE`` is the test."""

    learned: EventBatch
    everything: EventBatch
    chance: NDArray[np.float64]
    n_test: int


def calibration_rows(quick: bool) -> list[BenchRow]:
    """Raw and corrected means by kept share, then the calibration error of an overfitted ranker, before and after."""
    n_seeds = 2 if quick else 5
    n = 300_000 if quick else 1_500_000
    return [*_down_sampling(n, n_seeds), *_calibration(30_000 if quick else 120_000, n_seeds)]


def drawn(n: int, rate: float, spread: float, seed: int) -> Drawn:
    """Chances in logits: ``rate``, an effect of each user and item, of their groups, and of the two groups together.

    Args:
        spread: standard deviation of users' and items' own effects.
    """
    random = rng(seed, "calibration bench")
    user, item = random.integers(0, N_USERS, n), random.integers(0, N_ITEMS, n)
    own = random.normal(0, spread, N_USERS)[user] + random.normal(0, spread, N_ITEMS)[item]
    of_user, of_item = random.normal(0, 0.5, (2, N_GROUPS))
    both = random.normal(0, 0.7, (N_GROUPS, N_GROUPS))
    a, b = user % N_GROUPS, item % N_GROUPS
    z = np.log(rate / (1 - rate)) + own + of_user[a] + of_item[b] + both[a, b]
    chance = 1 / (1 + np.exp(-z))
    clicked = np.flatnonzero(random.random(n) < chance)
    at = np.concatenate([2 * np.arange(n), 2 * clicked + 1])  # a click comes right after its impression
    by = np.argsort(at)
    shown = np.concatenate([np.arange(n), clicked])[by]
    kind = np.where(at[by] % 2 == 0, int(Kind.IMPRESSION), int(Kind.CLICK)).astype(np.int8)
    cut = n - int(TEST_SHARE * n)
    described = EventBatch.concat([_described(Kind.USER, N_USERS), _described(Kind.ITEM, N_ITEMS)])
    behaviour = _events(START_MS + at[by] * (MINUTE_MS // 2), kind, user[shown], item[shown])
    learned = behaviour[: int(np.searchsorted(shown, cut))]
    return Drawn(EventBatch.concat([described, learned]), EventBatch.concat([described, behaviour]), chance, n - cut)


def _events(
    time_ms: NDArray[np.int64], kind: NDArray[np.int8], user: NDArray[np.int64], item: NDArray[np.int64]
) -> EventBatch:
    import pyarrow as pa

    users, items = (pa.array([f"{side}{k}" for k in range(n)]) for side, n in (("u", N_USERS), ("i", N_ITEMS)))
    return EventBatch.of({"time_ms": time_ms, "kind": kind, "user_id": users.take(pa.array(user)),
                          "item_id": items.take(pa.array(item))})  # fmt: skip


def _described(kind: Kind, n: int) -> EventBatch:
    side = "u" if kind == Kind.USER else "i"
    return EventBatch.of(
        {
            "time_ms": START_MS,
            "kind": int(kind),
            f"{'user' if kind == Kind.USER else 'item'}_id": [f"{side}{k}" for k in range(n)],
            "payload": [json.dumps({"group": f"g{k % N_GROUPS}"}) for k in range(n)],
        }
    )


class Bench:
    """One log: a ranker learns from a sample of its older rows, and is asked about all of its newer ones.

    Args:
        only: sources of the features it reads.
    """

    def __init__(self, log: Drawn, samples: SamplesConfig, only: tuple[str, ...], seed: int) -> None:
        from feedmill.features import FeaturesConfig, assemble
        from feedmill.features import fit as fit_features
        from feedmill.samples import SamplesConfig, sample
        from feedmill.state import State

        self.seed, self.log = seed, log
        self.state = State()
        self.state.fold(log.learned)
        self.samples, self.told = sample(log.learned, self.state, samples, seed)
        probed = self._probed(log.learned, self.samples.probe)
        reads = FeaturesConfig(histories={}, context=False, numbers="none", only=only)
        self.spec, self.arrays = fit_features.fit(reads, self.state, probed)
        self.probed, self.batch = probed, assemble(self.spec, self.arrays, self.state, probed)
        later = SamplesConfig(negatives="shown", max_requests=log.n_test)
        self.test, _ = sample(log.everything, self.state, later, seed)
        self.asked = self._probed(log.everything, self.test.probe)
        self.clicked = self.test.labels[:, self.test.heads.index("click")]
        self.truth = log.chance[-log.n_test :]

    def _probed(self, events: EventBatch, probe: Any) -> Any:
        from feedmill.state import State

        state = State()
        state.register(self.log.everything)
        return state.fold(events, probe)

    def fitted(self, rank: dict[str, Any], fitting: dict[str, Any], calibration: CalibrationConfig) -> Part:
        """A trained ranker as it would be published."""
        from feedmill.core.workspace import component
        from feedmill.models import RANKERS
        from feedmill.train.calibration.part import fit_calibrated
        from feedmill.train.config import Fitting
        from feedmill.train.rank.ranker import fit_ranker

        chosen: Any = component(rank, RANKERS, "rank")

        def learn(batch: Any, samples: Any) -> Part:
            return fit_ranker(chosen, Fitting(**fitting), self.spec, self.arrays, batch, samples, self.seed)

        return fit_calibrated(learn, calibration, self.samples, self.batch, self.probed, self.state)

    def calibrated(self, part: Part, calibration: CalibrationConfig) -> Part:
        """The same ranker with another calibration, fitted on the same share of rows."""
        from feedmill.features.served.logged import logged_scores, requests
        from feedmill.train.calibration.part import n_to_learn_from, with_calibration

        held = requests(self.probed, n_to_learn_from(self.samples, calibration), len(self.samples.probe))
        raw = logged_scores(part, self.state, held)
        return with_calibration(part, calibration, self.samples, self.probed, raw, self.state)

    def said(self, part: Part, *, raw: bool = False) -> NDArray[np.float64]:
        """float64[n_test] chances of a click, as served or before any correction."""
        from feedmill.features.served.logged import logged_scores, served_scores

        scores = (logged_scores if raw else served_scores)(part, self.state, self.asked)
        return np.asarray(scores[:, list(part.config["heads"]).index("click")], np.float64)


RANK: dict[str, Any] = {"kind": "dnn", "embedding_dim": 8, "hidden_dims": [16], "tower_dim": 0, "dropout": 0.0}


def _down_sampling(n: int, n_seeds: int) -> Iterator[BenchRow]:
    """The groups alone decide here, and the ranker reads them: what is off is the sampling's doing."""
    from feedmill.samples import SamplesConfig
    from feedmill.train.calibration.fit import CalibrationConfig

    found: dict[tuple[float, str], list[tuple[float, float]]] = {}
    n_rows: dict[float, int] = {}
    for seed in range(n_seeds):
        log = drawn(n, 0.01, 0.0, seed)
        for share in SHARES:
            if share == 1.0 and seed:  # one run without sampling is enough to compare with, and takes the longest
                continue
            bench = Bench(log, SamplesConfig(keep_negatives=share, max_requests=n), GROUPS, seed)
            n_rows[share] = len(bench.samples)
            epochs = min(max(1, round(VISITS / len(bench.samples))), MOST_EPOCHS)
            fitting = {"epochs": epochs, "batch_size": 256 if share == 1.0 else 128, "learning_rate": 1e-3}
            fitting["anneal"] = True  # or the last steps decide by how much everything reads high
            part = bench.fitted(RANK, fitting, CalibrationConfig())
            truth = float(bench.truth.mean())
            for what in ("raw", "corrected"):
                p = bench.said(part, raw=what == "raw")
                found.setdefault((share, what), []).append((float(p.mean()) / truth, float(p.mean())))
                found.setdefault((share, f"{what} NE"), []).append((0.0, normalized_entropy(bench.clicked, p)))
            found.setdefault((share, "true"), []).append((1.0, truth))
    for (share, what), pairs in found.items():
        ratios, values = (np.array(c) for c in zip(*pairs, strict=True))
        name = f"w = {share:g}, {n_rows[share]:,} of {round(n * (1 - TEST_SHARE)):,} rows"
        unit = f"mean of {len(values)} logs, least and largest"
        if what.endswith("NE"):
            yield _row(name, f"normalised entropy, {what.removesuffix(' NE')}", values, unit)
        elif what == "true":
            yield _row(name, "true rate", values, unit)
        else:
            yield _row(name, f"{what} mean prediction", values, unit)
            yield _row(name, f"{what} / true rate", ratios, unit)


def _calibration(n: int, n_seeds: int) -> Iterator[BenchRow]:
    """A ranker that knows users and items by heart says what is too sure; calibrators are fitted on later rows."""
    from feedmill.samples import SamplesConfig
    from feedmill.train.calibration.fit import CalibrationConfig

    found: dict[tuple[str, str], list[float]] = {}
    rank = {**RANK, "embedding_dim": 16, "hidden_dims": [64, 32]}
    fitting = {"epochs": 4, "batch_size": 256, "learning_rate": 5e-3}
    for seed in range(n_seeds):
        bench = Bench(drawn(n, 0.05, 0.5, seed), SamplesConfig(), ("user.id", "item.id", *GROUPS), seed)
        kinds = {k: CalibrationConfig(kind=k, share=0.2, by="item.group") for k in ("platt", "isotonic", "bucket")}
        part = bench.fitted(rank, fitting, kinds["platt"])
        said = {"before": bench.said(part, raw=True)}
        said |= {kind: bench.said(bench.calibrated(part, config)) for kind, config in kinds.items()}
        for name, p in said.items():
            for metric, value in (
                ("expected calibration error", ece(bench.clicked, p, 20)),
                ("mean distance from the true chance", float(np.abs(p - bench.truth).mean())),
                ("predicted / actual", pcoc(bench.clicked, p)),
                ("normalised entropy", normalized_entropy(bench.clicked, p)),
            ):
                found.setdefault((name, metric), []).append(value)
    unit = f"mean of {n_seeds} logs, least and largest"
    for (name, metric), values in found.items():
        yield _row(f"calibration: {name}", metric, np.array(values), unit)


def _row(what: str, metric: str, values: NDArray[np.float64], unit: str) -> BenchRow:
    mean, least, largest = (float(v) for v in (values.mean(), values.min(), values.max()))
    return BenchRow(what=what, metric=metric, value=mean, low=least, high=largest, unit=unit)
