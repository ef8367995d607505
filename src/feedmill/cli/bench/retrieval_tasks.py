"""The splits that `feedmill bench retrieval` measures on, each with a validation part of its training log."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch
from feedmill.core.protocols import Dataset
from feedmill.serve.full_ranking import Task, random_part, task

SEED = 2024
SHARE = 0.1
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
