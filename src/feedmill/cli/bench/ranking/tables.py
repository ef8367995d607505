"""Adult and Census-Income as trees and a linear model read them, and a world that changes from day to day."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from feedmill.cli.bench.retrieval.tasks import data_folder
from feedmill.core.batches import Floats, Rows
from feedmill.core.clock import rng
from feedmill.core.errors import DataError

N_BINS = 32  # of a number, where a linear model reads it
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class TreeTask:
    """One label of one table.

    Attributes:
        x: float32[n, N + F], numbers, then codes.
        n_numbers: N.
        labels: float32[n].
        train, validation, test: rows.
        split: a hash of the test rows, and what the parts are.
    """

    name: str
    x: Floats
    n_numbers: int
    labels: Floats
    train: Indices
    validation: Indices
    test: Indices
    split: str

    @property
    def categorical(self) -> list[int]:
        """The columns that hold codes."""
        return list(range(self.n_numbers, self.x.shape[1]))

    def shuffled(self, seed: int) -> Indices:
        """The training rows in the order that a seed gives them: the tables have no time."""
        return rng(seed, self.name, "order").permutation(self.train)

    def one_hot(self) -> tuple[Rows, int]:
        """int32[n, 1 + N + F] active coordinates, and how many there are: a bias, numbers in quantile bins, codes."""
        columns, at = [np.zeros(len(self.x), np.int32)], 1
        for j in range(self.x.shape[1]):
            values = self.x[:, j]
            if j < self.n_numbers:
                inner = np.linspace(0, 1, N_BINS + 1)[1:-1]
                edges = np.unique(np.quantile(values[self.train], inner))
                code, n = np.searchsorted(edges, values, side="right"), len(edges) + 1
            else:
                code, n = values.astype(np.int64), int(values.max()) + 1
            columns.append((code + at).astype(np.int32))
            at += n
        return np.stack(columns, axis=1), at


def tree_tasks(data: Path | None, n_rows: int = 0) -> Iterator[TreeTask | tuple[str, str]]:
    """The three tasks; in place of one whose data is not to be had, its name and why.

    Args:
        n_rows: of training at most, the first of a random order; 0 = all.
    """
    for make in (_adult, _census):
        try:
            for task in make(data):
                yield _smaller(task, n_rows) if n_rows else task
        except DataError as e:
            yield make.__name__.removeprefix("_"), e.given


def _adult(data: Path | None) -> Iterator[TreeTask]:
    from feedmill.datasets.adult import adult

    table = adult()
    rest = rng(0, "adult", "validation").permutation(np.flatnonzero(~table.is_test))
    cut = len(rest) // 10
    parts = rest[cut:], rest[:cut], np.flatnonzero(table.is_test)
    how = "UCI's own test file, validation 10 % of the rest"
    yield _task("Adult, income", table.numbers, table.codes, table.labels[:, 0], parts, how)


def _census(data: Path | None) -> Iterator[TreeTask]:
    from feedmill.datasets.census import census

    folder = data_folder(data)
    table = census(folder / "census_income_kdd_test" if (folder / "census_income_kdd_test").is_dir() else folder)
    parts = table.rows("train"), table.rows("validation"), table.rows("test")
    for h, head in enumerate(table.heads):
        yield _task(f"Census, {head}", table.numbers, table.codes, table.labels[:, h], parts, "80/10/10 by hash")


def _task(
    name: str, numbers: Floats, codes: Rows, labels: Floats, parts: tuple[Indices, Indices, Indices], how: str
) -> TreeTask:
    digest = hashlib.sha256(np.ascontiguousarray(parts[2], np.int64).tobytes()).hexdigest()[:12]
    x = np.hstack([numbers, codes.astype(np.float32)])
    return TreeTask(name, x, numbers.shape[1], labels, *parts, f"{how}, test {digest}")


def _smaller(task: TreeTask, n: int) -> TreeTask:
    train = np.sort(task.shuffled(0)[:n])
    return TreeTask(
        task.name, task.x, task.n_numbers, task.labels, train, task.validation, task.test,
        f"{task.split}, {len(train):,} training rows",
    )  # fmt: skip


def turning_days(n_days: int, n_rows: int, seed: int, turn: float = 0.1) -> list[tuple[Floats, Floats]]:
    """(float32[n, 5], labels float32[n, 1]) of days on which what people like turns from one column to another.

    The logit is 3 cos(a) s(x0) + 3 sin(a) s(x1) + 2 cos(2a) s(x2) s(x3) - 1, with s = ±1 above and below one half and
    the angle a = turn x day.
    """
    random = rng(seed, "turning days")
    days = []
    for d in range(n_days):
        x = random.random((n_rows, 5)).astype(np.float32)
        s = np.sign(x - 0.5)
        a = turn * d
        logit = 3 * np.cos(a) * s[:, 0] + 3 * np.sin(a) * s[:, 1] + 2 * np.cos(2 * a) * s[:, 2] * s[:, 3] - 1
        days.append((x, (random.random(n_rows) < 1 / (1 + np.exp(-logit))).astype(np.float32)[:, None]))
    return days
