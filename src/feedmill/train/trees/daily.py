"""Day after day: the regression learns online, the trees are grown again every so often (He et al. 2014, section 4)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from feedmill.core.batches import Floats
from feedmill.core.errors import DataError
from feedmill.train.trees.gbdt_lr import GbdtLr, GbdtLrConfig, TableRows


def refit(config: GbdtLrConfig, days: Sequence[TableRows], categorical: Sequence[int] = (), seed: int = 0) -> GbdtLr:
    """New trees from the last days, and a new regression on the newest of their rows.

    New trees have new leaves, so nothing that the old regression learnt can stay; it was fitted on the same days.
    """
    model, _ = GbdtLr.fit(config, TableRows.joined(days), categorical, seed)
    return model


def daily(
    config: GbdtLrConfig,
    days: Iterable[TableRows],
    *,
    window: int,
    refit_every: int,
    is_online: bool = True,
    categorical: Sequence[int] = (),
    seed: int = 0,
) -> Iterator[Floats]:
    """What the model says of each day before it learns from it, beginning after the first ``window`` days.

    Args:
        days: oldest first.
        window: days the trees are grown on.
        refit_every: days between two growths; 0 = the first trees stay.
        is_online: whether the regression learns from each row after it was predicted.

    Yields:
        float32[n, H] for each day from day ``window`` on.
    """
    if window < 1 or refit_every < 0:
        raise DataError(f"a window of {window} days, growth every {refit_every}", "at least 1, and at least 0")
    past: deque[TableRows] = deque(maxlen=window)
    model: GbdtLr | None = None
    age = 0
    for day in days:
        if model is not None:
            yield model.update(day) if is_online else model.predict(day.x)
        past.append(day)
        age += 1
        if (model is None and age == window) or (model is not None and refit_every and age >= refit_every):
            model, age = refit(config, list(past), categorical, seed), 0
