"""The tasks and the rival of the text bench, on a handful of films; the figures themselves are made by the bench."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from feedmill.cli.bench import bm25
from feedmill.cli.bench.text import alike_by
from feedmill.cli.bench.text_tasks import Judged, Search, tags
from feedmill.core.batches import Floats, Rows
from feedmill.core.errors import DataError

MOVIES = """movieId,title,genres
10,"Net, The (1995)",Action|Crime
20,Heat (1995),Action
30,Nothing (2000),(no genres listed)
"""


class Overlap:
    """In place of bm25s: how many words a text shares with each doc."""

    def __init__(self, docs: Sequence[str], ngrams: int) -> None:
        self._docs = [set(d.split()) for d in docs]

    def scores(self, query: str) -> Floats:
        return np.array([len(d & set(query.split())) for d in self._docs], np.float32)

    def top(self, query: str, k: int) -> Rows:
        return np.argsort(-self.scores(query), kind="stable")[:k].astype(np.int32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "movies.csv").write_text(MOVIES, "utf-8")
    rows = [f"{user},{10 * (1 + (user + k) % 3)},Tag {k},0" for user in range(3) for k in range(20)]
    (tmp_path / "tags.csv").write_text("userId,movieId,tag,timestamp\n" + "\n".join(rows), "utf-8")
    return tmp_path


@pytest.mark.slow  # it imports torch
def test_tags_are_split_by_pairs_and_what_is_known_does_not_count(folder: Path) -> None:
    task = tags(folder)
    assert task.learn.items == ["", "The Net Action Crime", "Heat Action", "Nothing"]
    assert task.learn.fields is not None
    assert task.learn.fields.ids.tolist() == [[0, 0], [1, 2], [1, 0], [0, 0]]
    learned = {(task.learn.queries[q], int(i)) for q, i in zip(task.learn.query, task.learn.item, strict=True)}
    for search in (task.dev, task.test):
        for query, held, hidden in zip(search.queries, search.held, search.hidden, strict=True):
            assert not {(query, int(i)) for i in held} & learned
            assert {(query, int(i)) for i in hidden} <= learned
    n_held = sum(len(h) for search in (task.dev, task.test) for h in search.held)
    assert n_held + len({pair for pair in learned if pair[0].startswith("tag ")}) == 60
    assert tags(folder).split == task.split
    with pytest.raises(DataError, match=r"no file .*movies\.csv"):
        tags(folder / "elsewhere")


def test_a_search_is_ranked_by_score_then_row() -> None:
    search = Search(["", "a", "b", "c", "d"], ["q"], [np.array([2], np.int32)], [np.array([4], np.int32)])
    assert search.ranked(lambda _: np.array([9, 1, 2, 2, 9], np.float32), 2).tolist() == [[2, 3]]
    assert search.ranked(lambda _: np.array([9, 0, 2, 0, 9], np.float32), 3).tolist() == [[2, 0, 0]]


def test_scores_of_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("feedmill.cli.bench.text"), "Bm25", Overlap)
    pairs = Judged(["a b c d", "a"], ["a b", "a x y z"], np.array([True, False]))
    found = alike_by(pairs, 1)
    assert found["score"].tolist() == [2, 1]
    assert found["score / own"].tolist() == [0.5, 1]
    assert found["both ways / own"].tolist() == [1.5, 1.25]


def test_tokens_of_bm25() -> None:
    index = bm25.Bm25.__new__(bm25.Bm25)
    index._ngrams = 1
    assert index.tokens("The 电影, good!") == ["the", "电", "影", "good"]
    index._ngrams = 2
    assert index.tokens("好电影") == ["好", "电", "影", "好电", "电影"]


def test_bm25_by_the_library() -> None:
    pytest.importorskip("bm25s")
    index = bm25.Bm25(["", "the net", "heat", "the other net net"], 1)
    assert index.top("net", 2)[0] == 3
    assert index.scores("net").argmax() == 3
    assert not index.scores("unknown").any()
    assert len(index.top("unknown", 2)) == 0
