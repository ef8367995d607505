"""MovieLens as events: on small files of its formats, and on the real ones where they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import orjson
import pytest

from contracts import dataset as suite
from contracts.test_dataset import movielens_100k, movielens_latest
from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.protocols import Dataset
from feedmill.datasets.fetch import FILES, cache_folder
from feedmill.datasets.movielens import MovieLens100K, MovieLensLatest


def described(dataset: Dataset) -> dict[str, dict[str, object]]:
    items = dataset.items()
    return dict(zip(items.numpy("item_id"), map(orjson.loads, items.numpy("payload")), strict=True))


def test_a_rating_is_a_click_and_a_good_one_a_like_too(tmp_path: Path) -> None:
    (batch,) = movielens_100k(tmp_path).events()
    found = [batch.numpy(c).tolist() for c in ("time_ms", "user_id", "item_id", "kind", "value")]
    assert list(zip(*found, strict=True)) == [
        (881_250_900_000, "1", "10", Kind.CLICK, 1.0),
        (881_250_949_000, "1", "9", Kind.CLICK, 5.0),  # 9 before 10: by number, not as text
        (881_250_949_000, "1", "9", Kind.LIKE, 5.0),
        (881_250_949_000, "1", "10", Kind.CLICK, 3.0),
        (881_250_949_000, "2", "10", Kind.CLICK, 4.0),
        (881_250_949_000, "2", "10", Kind.LIKE, 4.0),
    ]


def test_films_have_titles_genres_and_years(tmp_path: Path) -> None:
    assert described(movielens_100k(tmp_path)) == {
        "9": {"title": "The Net (1995)", "topics": ["Sci-Fi", "Thriller"], "publish_ms": 788_918_400_000},
        "10": {"title": 'An "odd" one (1995)', "topics": ["Children's"], "publish_ms": 788_918_400_000},
        "267": {},
    }
    assert described(movielens_latest(tmp_path)) == {
        "1": {"title": "Toy Story (1995)", "topics": ["Adventure", "Comedy"], "publish_ms": 788_918_400_000},
        "3": {"title": "The City of Lost Children (La Cité des enfants perdus) (1995)", "publish_ms": 788_918_400_000},
    }


def test_users_have_an_age_in_decades(tmp_path: Path) -> None:
    users = movielens_100k(tmp_path).users()
    assert [orjson.loads(p) for p in users.numpy("payload")] == [
        {"gender": "M", "age": "20s", "occupation": "technician"},
        {"gender": "F", "age": "0s", "occupation": "other"},
    ]
    assert len(movielens_latest(tmp_path).users()) == 0


def test_the_licence_says_what_may_be_done(tmp_path: Path) -> None:
    for dataset in (movielens_100k(tmp_path), movielens_latest(tmp_path)):
        assert "GroupLens" in dataset.licence
        assert "commercial" in dataset.licence


@pytest.mark.parametrize("make", [MovieLens100K, MovieLensLatest])
def test_missing_and_damaged_files_say_so(make: Callable[[Path], Dataset], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file"):
        make(tmp_path)
    movielens_100k(tmp_path)
    movielens_latest(tmp_path)
    ratings = tmp_path / ("ratings.csv" if make is MovieLensLatest else "ml-100k.inter")
    header, first, *_ = ratings.read_text().splitlines()
    for text, said in (
        (header, "has no ratings"),
        ("a,b\n1,2", "cannot be read"),
        (f"{header}\n{first}x", "cannot be read"),
    ):
        ratings.write_text(text)
        with pytest.raises(DataError, match=said):
            make(tmp_path)


def test_ml_latest_has_to_be_downloaded() -> None:
    with pytest.raises(DataError, match="without a folder"):
        MovieLensLatest()


def _real(make: Callable[[], Dataset], tmp_path: Path, n_likes: int, n_clicks: int, n_items: int, n_users: int) -> None:
    for check in (suite.check_events_come_in_order_of_time, suite.check_every_event_is_valid):
        check(make, tmp_path)
    suite.described_every_item_is_known(make, tmp_path)
    suite.check_ingesting_twice_doubles_nothing(make, tmp_path)
    dataset = make()
    events = EventBatch.concat(dataset.events())
    kinds, n = np.unique(events.numpy("kind"), return_counts=True)
    assert dict(zip(kinds.tolist(), n.tolist(), strict=True)) == {Kind.CLICK: n_clicks, Kind.LIKE: n_likes}
    assert (len(dataset.items()), len(dataset.users())) == (n_items, n_users)


@pytest.mark.slow
@pytest.mark.data
def test_the_real_ml_latest_small(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "ml-latest-small"
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}")
    _real(lambda: MovieLensLatest(folder), tmp_path, 48_580, 100_836, 9_742, 0)


@pytest.mark.slow
@pytest.mark.data
def test_the_real_ml_100k(tmp_path: Path) -> None:
    folder = cache_folder() / "ml-100k"
    if not all((folder / name).is_file() for name in FILES):
        pytest.skip(f"MovieLens 100K has not been fetched to {folder}; `feedmill demo` does")
    _real(lambda: MovieLens100K(folder), tmp_path, 55_375, 100_000, 1_682, 943)
