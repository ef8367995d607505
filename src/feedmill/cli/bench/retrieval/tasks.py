"""The splits that `feedmill bench retrieval` measures on, each with a validation part of its training log."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from feedmill.core.clock import rng
from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch
from feedmill.core.protocols import Dataset
from feedmill.serve.full_ranking import Task, random_part, task

SEED = 2024
SHARE = 0.1
BLOCK, BLOCK_SEED = 0.2, 1
BESIDE = Path(__file__).parents[5] / "shared" / "data"  # of a checkout that has the data folder beside it


def data_folder(given: Path | None = None) -> Path:
    """Where the data are: as given, else FEEDMILL_DATA, else ../shared/data beside the checkout."""
    return given or Path(os.environ.get("FEEDMILL_DATA") or BESIDE)


def gowalla(data: Path, validation: bool = False) -> Task:
    """The LightGCN split: the published test pairs; for validation a random 10 % of each user's training items.

    Raises:
        DataError: the files are missing or damaged.
    """
    from feedmill.datasets.gowalla import Gowalla

    known = Gowalla(data / "gowalla_lightgcn" if (data / "gowalla_lightgcn").is_dir() else data)
    events = whole(known)
    if validation:
        return of_random("gowalla, 10 % of train", events)
    name = "gowalla, LightGCN's split" if known.is_published else f"gowalla at {data}, not the published split"
    user, item = (x.astype("U").tolist() for x in known.test())
    return task(name, events, (user, item))


def gowalla_blocks(data: Path) -> Task:
    """The validation that the rows of Gowalla were chosen on: of each user's items a run of a fifth, by number.

    The published test is no random part of the log: what does best on a random part does worse there. Places are
    numbered by first appearance, so a run of numbers in one user's line is mostly what somebody visited in one go:
    holding it out is as near to holding out a stretch of time as a log without times allows. Places that would be
    left with fewer than 3 visits stay.
    """
    from feedmill.datasets.gowalla import Gowalla

    known = Gowalla(data / "gowalla_lightgcn" if (data / "gowalla_lightgcn").is_dir() else data)
    user, item = known.train()
    order = np.lexsort((item, user))
    user, item = user[order], item[order]
    held = runs_of(user, BLOCK, BLOCK_SEED)
    held &= np.bincount(item[~held], minlength=item.max() + 1)[item] >= 3
    pairs = user[held].astype("U").tolist(), item[held].astype("U").tolist()
    return task("gowalla, a run of each user's items", without(whole(known), pairs), pairs)


def runs_of(user: NDArray[np.int64], share: float, seed: int) -> NDArray[np.bool_]:
    """bool[n]: of each user's entries, which stand together, a run of a share of them from a seeded start, going
    round."""
    n_items = np.bincount(user)
    start = np.cumsum(n_items) - n_items
    length = np.maximum(np.rint(n_items * share), 1).astype(np.int64)
    draw = rng(seed, "block")
    first = np.array([draw.integers(0, n) if n else 0 for n in n_items.tolist()], np.int64)
    place = np.arange(len(user)) - start[user]
    inside: NDArray[np.bool_] = (place - first[user]) % n_items[user] < length[user]
    return inside


def without(events: EventBatch, pairs: tuple[list[str], list[str]]) -> EventBatch:
    """The events of no such (user, item)."""
    gone = set(zip(*pairs, strict=True))
    named = zip(events.table.column("user_id").to_pylist(), events.table.column("item_id").to_pylist(), strict=True)
    return events.take(np.flatnonzero([pair not in gone for pair in named]))


def movielens_100k(data: Path, validation: bool = False) -> Task:
    """A random 10 % of each user's ratings, whatever their stars, as RecBole splits by default."""
    from feedmill.datasets.movielens import MovieLens100K

    folder = data / "ml-100k"
    return _halves("ml-100k", MovieLens100K(folder if folder.is_dir() else None), validation)


def movielens_latest(data: Path, validation: bool = False) -> Task:
    """The same of ml-latest-small.

    Raises:
        DataError: the files are missing.
    """
    from feedmill.datasets.movielens import MovieLensLatest

    return _halves("ml-latest-small", MovieLensLatest(data / "ml-latest-small"), validation)


TASKS: dict[str, Callable[[Path, bool], Task]] = {
    "gowalla": gowalla,
    "ml-100k": movielens_100k,
    "ml-latest-small": movielens_latest,
}


def whole(dataset: Dataset) -> EventBatch:
    """Users, items and events of a dataset, in memory."""
    return EventBatch.concat([dataset.users(), dataset.items(), *dataset.events()])


def of_random(name: str, events: EventBatch, share: float = SHARE, seed: int = SEED) -> Task:
    """A task of a random share of each user's items."""
    rest, held = random_part(events, share, seed)
    return task(name, rest, held)


def _halves(name: str, dataset: Dataset, validation: bool) -> Task:
    """Test: a tenth of each user's items. Validation: a ninth of what is left, drawn the same way."""
    events = whole(dataset)
    if not validation:
        return of_random(f"{name}, 10 % of each user's items", events)
    rest, _ = random_part(events, SHARE, SEED)
    return of_random(f"{name}, 10 % of train", rest, 1 / 9, SEED + 1)


def named(name: str) -> Callable[[Path, bool], Task]:
    """A task by name.

    Raises:
        DataError: there is none of that name.
    """
    if name not in TASKS:
        raise DataError(f'no task "{name}"', f"one of {list(TASKS)}")
    return TASKS[name]
