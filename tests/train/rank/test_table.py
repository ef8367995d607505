"""A ranker on a table: fused ids, learning, the best epoch, and what cannot be learned from."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from feedmill.core.clock import rng
from feedmill.core.errors import ConfigError, DataError
from feedmill.metrics.classification import auc
from feedmill.train.config import Fitting
from feedmill.train.loop import threads
from feedmill.train.rank.table import Table, TableFit

FITTING = Fitting(epochs=10, batch_size=32, learning_rate=0.02)
SMALL = {"embedding_dim": 4, "hidden_dims": [16], "tower_dim": 8}
KINDS = {"dnn": {}, "shared_bottom": {}, "omoe": {}, "mmoe": {}, "ple": {"n_levels": 1}}


def table(n: int = 400) -> Table:
    """The first label is told by the first field, the second by the number."""
    random = rng(0, "small table")
    codes = random.integers(0, (4, 3), (n, 2)).astype(np.int32)
    numbers = random.random((n, 1)).astype(np.float32)
    labels = np.stack([codes[:, 0] >= 2, numbers[:, 0] > 0.5], axis=1).astype(np.float32)
    return Table(codes, (4, 3), numbers, labels)


def test_codes_of_all_fields_share_one_table_and_0_stays_0() -> None:
    codes, numbers = np.array([[0, 2], [3, 0], [1, 1]], np.int32), np.zeros((3, 1), np.float32)
    small = Table(codes, (4, 3), numbers, np.eye(3, 2, dtype=np.float32))
    assert small.fused().tolist() == [[0, 5], [3, 0], [1, 4]]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_learns_both_labels(kind: str) -> None:
    whole, rows = table(), np.arange(400)
    with threads(1):
        fit = TableFit(kind, {**SMALL, **KINDS[kind]}, whole, 0)
        found = fit.train(rows[:300], FITTING, rows[300:])
        probs = fit.predict(rows[300:])
    assert len(found) == len(fit.epoch_s) == FITTING.epochs
    assert probs.shape == (100, 2)
    assert ((probs >= 0) & (probs <= 1)).all()
    for head in (0, 1):
        assert auc(whole.labels[300:, head], probs[:, head]) > 0.9


def test_the_best_epoch_of_validation_is_kept() -> None:
    whole, rows = table(), np.arange(400)
    wild = replace(FITTING, learning_rate=0.3, epochs=6)
    with threads(1):
        fit = TableFit("shared_bottom", SMALL, whole, 1)
        found = fit.train(rows[:300], wild, rows[300:])
        probs = fit.predict(rows[300:])
    kept = np.mean([auc(whole.labels[300:, head], probs[:, head]) for head in (0, 1)])
    assert kept == pytest.approx(max(found))


def test_training_stops_when_validation_gets_no_better() -> None:
    whole, rows = table(), np.arange(400)
    with threads(1):
        fit = TableFit("lr", {"embedding_dim": 4}, whole, 0)
        found = fit.train(rows[:300], replace(FITTING, epochs=60), rows[300:], patience=2)
    assert len(found) == int(np.argmax(found)) + 3 < 60


def test_the_same_seed_gives_the_same_model() -> None:
    whole, rows = table(100), np.arange(100)

    def scores(seed: int) -> list[list[float]]:
        with threads(1):
            fit = TableFit("mmoe", SMALL, whole, seed)
            fit.train(rows, Fitting(epochs=1, batch_size=32))
        return fit.predict(rows).tolist()

    assert scores(3) == scores(3)
    assert scores(3) != scores(4)


def test_validation_rows_are_not_learned_from() -> None:
    whole, rows = table(), np.arange(400)
    other = Table(whole.codes, whole.sizes, whole.numbers, np.where(np.arange(400)[:, None] < 300, whole.labels, 1.0))
    with threads(1):
        fits = [TableFit("lr", {"embedding_dim": 4}, of, 0) for of in (whole, other)]
        for fit in fits:
            fit.train(rows[:300], FITTING)
    assert fits[0].predict(rows).tolist() == fits[1].predict(rows).tolist()


def test_one_class_in_validation_is_no_reason_to_stop() -> None:
    whole = table(60)
    flat = Table(whole.codes, whole.sizes, whole.numbers, np.zeros((60, 2), np.float32))
    with threads(1):
        fit = TableFit("lr", {"embedding_dim": 4}, flat, 0)
        fit.train(np.arange(50), FITTING, np.arange(50, 60))
    assert fit.predict(np.arange(60)).max() < 0.5


def test_tables_that_cannot_be_learned_from_are_refused() -> None:
    whole = table(10)
    with pytest.raises(DataError, match="outside its field"):
        Table(whole.codes + 3, whole.sizes, whole.numbers, whole.labels)
    with pytest.raises(DataError, match="cannot be learned from"):
        Table(whole.codes, whole.sizes, whole.numbers * np.nan, whole.labels)
    with pytest.raises(DataError, match="cannot be learned from"):
        Table(whole.codes, whole.sizes, whole.numbers, whole.labels + 0.5)
    with pytest.raises(DataError, match="10 rows of codes, 9 of numbers"):
        Table(whole.codes, whole.sizes, whole.numbers[1:], whole.labels)
    with pytest.raises(ConfigError, match="n_expert"):
        TableFit("mmoe", {"n_expert": 3}, whole, 0)
