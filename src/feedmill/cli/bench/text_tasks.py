"""What text retrieval is measured on: Chinese questions that ask the same, and tags that find films."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Rows
from feedmill.core.clock import rng
from feedmill.core.errors import DataError
from feedmill.datasets.lcqmc import TextPairs, connected, lcqmc, split_pairs
from feedmill.datasets.titles import split_year, spoken
from feedmill.metrics.ranking import order

if TYPE_CHECKING:
    from feedmill.train.retrieval.text import Texts

SEED = 0
TEST, DEV = 0.2, 0.1  # of (tag, film) pairs
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """Queries with what they should find.

    Attributes:
        items: texts by row; row 0 is nothing.
        queries: distinct texts.
        held: of each query the rows to find.
        hidden: of each query the rows that do not count: known from training, or the query's own text.
    """

    items: Sequence[str]
    queries: Sequence[str]
    held: Sequence[Rows]
    hidden: Sequence[Rows]

    def ranked(self, score: Callable[[str], Floats], k: int) -> Rows:
        """int32[Q, k] the best items by ``score`` float32[N] of each query, padded with 0; 0 and less is not found."""
        out = np.zeros((len(self.queries), k), np.int32)
        for row, (query, hidden) in enumerate(zip(self.queries, self.hidden, strict=True)):
            scores = np.array(score(query), np.float32)
            scores[0] = scores[hidden] = -np.inf
            some = np.flatnonzero(scores >= np.partition(scores, -k)[-k]).astype(np.int32)
            some = some[scores[some] > 0]
            best = some[order(scores[some], some)][:k]
            out[row, : len(best)] = best
        return out


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Pairs of texts and whether they mean the same: lists of n, bool[n]."""

    first: list[str]
    second: list[str]
    label: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class TextTask:
    """One data set, split.

    Attributes:
        learn: the training pairs.
        dev, test: searches over the same items in every part, or over items of the part's own (``has_items`` False).
        dev_pairs, test_pairs: judged pairs, where there are such.
    """

    name: str
    split: str
    learn: Texts
    dev: Search
    test: Search
    dev_pairs: Judged | None = None
    test_pairs: Judged | None = None
    has_items: bool = True


def questions(share: float = 1.0, folder: Path | None = None) -> TextTask:
    """LCQMC. A question is searched among all second questions of its part; its own text does not count.

    Args:
        share: of the pairs of each part.
        folder: None = fetched.

    Raises:
        DataError: it cannot be fetched, or is not the file expected.
    """
    from feedmill.train.retrieval.text import Texts

    pairs = lcqmc(folder)
    parts, split = split_pairs(pairs, SEED)
    parts = {name: rows[: max(1, round(share * len(rows)))] for name, rows in parts.items()}
    rows, same = parts["train"], pairs.label[parts["train"]]
    queries, first = np.unique(pairs.first[rows], return_inverse=True)
    items, second = np.unique(pairs.second[rows], return_inverse=True)
    meaning = connected(len(pairs.texts), pairs.first[rows[same]], pairs.second[rows[same]])
    learn = Texts(
        [pairs.texts[i] for i in queries], ["", *(pairs.texts[i] for i in items)],
        first[same], second[same] + 1,
        group=meaning[pairs.first[rows[same]]], unlike=np.stack([first[~same], second[~same] + 1]),
    )  # fmt: skip
    searches = {name: _same(pairs, parts[name]) for name in ("dev", "test")}
    judged = {name: _judged(pairs, parts[name]) for name in ("dev", "test")}
    return TextTask(
        "LCQMC", f"own split by connected texts, {split}", learn, searches["dev"], searches["test"],
        judged["dev"], judged["test"], has_items=False,
    )  # fmt: skip


def tags(folder: Path, share: float = 1.0) -> TextTask:
    """ml-latest-small: a tag should find the films it was given to, by their titles and genres.

    Raises:
        DataError: no tags.csv and movies.csv there.
    """
    from feedmill.features.side import SideFields
    from feedmill.samples.queries import plain, run_of_own_words
    from feedmill.train.retrieval.text import Texts

    for name in ("movies.csv", "tags.csv"):
        if not (folder / name).is_file():
            raise DataError(f"no file {folder / name}", "the folder of ml-latest-small", "set FEEDMILL_DATA")
    films, given = (pl.read_csv(folder / name, infer_schema=False) for name in ("movies.csv", "tags.csv"))
    genres = [[g for g in text.split("|") if "(" not in g] for text in films["genres"].to_list()]
    titles = [spoken(split_year(title)[0]) for title in films["title"].to_list()]
    items = ["", *(f"{title} {' '.join(g)}".strip() for title, g in zip(titles, genres, strict=True))]
    row = {film: i + 1 for i, film in enumerate(films["movieId"].to_list())}
    tagged = zip(map(plain, given["tag"].to_list()), given["movieId"].to_list(), strict=True)
    pairs = sorted({(tag, row[film]) for tag, film in tagged if tag and film in row})
    draw = rng(SEED, "tags", "split").random(len(pairs))
    parts = {"test": draw < TEST, "dev": (draw >= TEST) & (draw < TEST + DEV), "train": draw >= TEST + DEV}
    chosen = {name: [pairs[i] for i in np.flatnonzero(mask)] for name, mask in parts.items()}
    own, own_items = run_of_own_words(items, 1, SEED)
    train = chosen["train"][: max(1, round(share * len(chosen["train"])))]
    number: dict[str, int] = {}
    query = np.array([number.setdefault(q, len(number)) for q in [q for q, _ in train] + own], np.int64)
    item = np.concatenate([np.array([i for _, i in train], np.int64), own_items.astype(np.int64)])
    digest = hashlib.sha256(repr(chosen["test"]).encode()).hexdigest()[:12]
    return TextTask(
        "MovieLens tags", f"20 % of (tag, film) pairs, {digest}",
        Texts(list(number), items, query, item, fields=SideFields.of([_codes(genres)])),
        _found(items, chosen["dev"], train), _found(items, chosen["test"], train),
    )  # fmt: skip


def _same(pairs: TextPairs, rows: Indices) -> Search:
    """First questions, and the second questions that were judged to ask the same."""
    distinct = np.unique(pairs.second[rows])
    place = {int(text): i + 1 for i, text in enumerate(distinct)}
    held: dict[int, list[int]] = {}
    for first, second in zip(*(x[rows[pairs.label[rows]]].tolist() for x in (pairs.first, pairs.second)), strict=True):
        if first != second:
            held.setdefault(first, []).append(place[second])
    return Search(
        ["", *(pairs.texts[i] for i in distinct)],
        [pairs.texts[first] for first in held],
        [np.unique(np.array(x, np.int32)) for x in held.values()],
        [np.array([place[first]] if first in place else [], np.int32) for first in held],
    )


def _judged(pairs: TextPairs, rows: Indices) -> Judged:
    first, second = ([pairs.texts[i] for i in x[rows]] for x in (pairs.first, pairs.second))
    return Judged(first, second, pairs.label[rows])


def _found(items: list[str], wanted: list[tuple[str, int]], known: list[tuple[str, int]]) -> Search:
    held: dict[str, list[int]] = {}
    hidden: dict[str, list[int]] = {}
    for where, given in ((held, wanted), (hidden, known)):
        for query, item in given:
            where.setdefault(query, []).append(item)
    hide = [np.array(hidden.get(query, []), np.int32) for query in held]
    return Search(items, list(held), [np.array(x, np.int32) for x in held.values()], hide)


def _codes(words: list[list[str]]) -> Rows:
    """int32[N + 1, W] of lists of words, row 0 empty."""
    number: dict[str, int] = {}
    out = np.zeros((len(words) + 1, max(map(len, words), default=1) or 1), np.int32)
    for row, some in enumerate(words):
        out[row + 1, : len(some)] = [number.setdefault(w, len(number) + 1) for w in some]
    return out
