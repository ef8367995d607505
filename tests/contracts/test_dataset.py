"""Every dataset against the suite, on small files of its format; a new one is added to ``MAKE``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from contracts import dataset as suite
from feedmill.core.clock import FixedClock
from feedmill.core.protocols import Dataset
from feedmill.datasets import DATASETS
from feedmill.datasets.gowalla import Gowalla
from feedmill.datasets.mapping import MappedDataset
from feedmill.datasets.movielens import MovieLens100K, MovieLensLatest
from feedmill.datasets.tables import EventsTable, ItemsTable, LogMapping, UsersTable


def movielens_100k(folder: Path) -> Dataset:
    (folder / "ml-100k.inter").write_text(
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
        "2\t10\t4\t881250949\n1\t10\t3\t881250949\n1\t9\t5\t881250949\n1\t10\t1\t881250900\n"
    )
    (folder / "ml-100k.item").write_text(
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        '9\tNet, The\t1995\tSci-Fi Thriller\n10\tAn "odd" one (1995)\tV\tChildren\'s\n267\tunkonwn\tunkonwn\tunknown\n'
    )
    (folder / "ml-100k.user").write_text(
        "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
        "1\t24\tM\ttechnician\t85711\n2\t7\tF\tother\t94043\n"
    )
    return MovieLens100K(folder)


def movielens_latest(folder: Path) -> Dataset:
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,1,4.0,964982703\n2,3,3.5,964981247\n")
    (folder / "movies.csv").write_text(
        "movieId,title,genres\n1,Toy Story (1995),Adventure|Comedy\n"
        '3,"City of Lost Children, The (Cité des enfants perdus, La) (1995) ",(no genres listed)\n'
    )
    return MovieLensLatest(folder)


def gowalla(folder: Path) -> Dataset:
    (folder / "train.txt").write_text("0 0 1 2\n1 1 3\n2 0 4\n")
    (folder / "test.txt").write_text("0 3\n1 0 2\n")
    return Gowalla(folder)


def mapped(folder: Path) -> Dataset:
    (folder / "log.csv").write_text(
        "uid,vid,ts,act,sec\nu,a,1700000000,play,3\nu,b,1600000000,play,x\nv,b,1600000001,like,\n"
    )
    (folder / "videos.jsonl").write_text('{"vid":"a","tags":["x"]}\n{"vid":"c","tags":"y|z"}\n')
    (folder / "people.csv").write_text("uid,lang\nu,en\nv,de\n")
    events = EventsTable(
        user="uid", item="vid", time="ts", time_unit="s", kind="act", kinds={"play": "watch"}, value="sec"
    )
    items = ItemsTable(file="videos.jsonl", item="vid", topics="tags")
    users = UsersTable(file="people.csv", user="uid", attributes=("lang",))
    return MappedDataset(
        folder / "log.csv", LogMapping(events=events, items=items, users=users), FixedClock(suite.NOW_MS)
    )


MAKE: dict[str, Callable[[Path], Dataset]] = {
    "gowalla": gowalla,
    "mapped": mapped,
    "ml-100k": movielens_100k,
    "ml-latest": movielens_latest,
}
DESCRIBED = ("gowalla", "ml-100k", "ml-latest")
CHECKS = [name for name in vars(suite) if name.startswith("check_") and name != "check_batch"]
DESCRIBED_CHECKS = [name for name in vars(suite) if name.startswith("described_")]


def test_every_registered_dataset_is_checked() -> None:
    assert set(MAKE) == {"mapped", *DATASETS}  # a user's own log has a path and a mapping, not a name
    assert all(callable(DATASETS[kind]) for kind in DATASETS)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("kind", MAKE)
def test_dataset(kind: str, check: str, tmp_path: Path) -> None:
    getattr(suite, check)(lambda: MAKE[kind](tmp_path), tmp_path)


@pytest.mark.parametrize("check", DESCRIBED_CHECKS)
@pytest.mark.parametrize("kind", DESCRIBED)
def test_described_dataset(kind: str, check: str, tmp_path: Path) -> None:
    getattr(suite, check)(lambda: MAKE[kind](tmp_path), tmp_path)
