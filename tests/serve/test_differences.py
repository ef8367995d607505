"""Served beside made again, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from feedmill.core.request import FeedItem, ServedFeatures, Trace
from feedmill.features.served.named import Named
from feedmill.serve.differences import Differences, Row, how_far, sorted_lines


def numbers(*rows: list[float]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.array(rows, np.float32)


@pytest.mark.parametrize(
    ("was", "made", "far"),
    [
        ([[1.0]], numbers([1.0]), [0.0]),
        ([[1.0], [2.0]], numbers([1.0], [2.5]), [0.0, 0.2]),
        ([[1.0]], numbers([-1.0]), [2.0]),
        ([[0.0]], numbers([0.0]), [0.0]),
        ([[0.0]], numbers([1e-9]), [1.0]),  # to nothing everything is far
        ([[1e-9, 100.0]], numbers([0.0, 100.0]), [1e-11]),  # of a vector the largest is the measure
        ([[None]], numbers([np.nan]), [0.0]),
        ([[None]], numbers([0.0]), [1.0]),
        ([[0.0]], numbers([np.nan]), [1.0]),
        ([[7, 8]], np.array([[7, 8]], np.int32), [0.0]),
        ([[10_000_000]], np.array([[10_000_001]], np.int32), [1.0]),  # ids are equal or not
        ([[1.0]], None, [1.0]),  # a feature that is no longer read
        ([[]], numbers([1.0]), [1.0]),  # one that was not read
        ([[1.0, 2.0]], numbers([1.0]), [1.0]),
        ([], np.zeros((0, 1), np.float32), []),
    ],
)
def test_how_far(was: list[Row], made: np.ndarray | None, far: list[float]) -> None:  # type: ignore[type-arg]
    np.testing.assert_allclose(how_far(was, made), far, rtol=1e-6)


def trace(request_id: str, authors: list[int], likes: list[float], age: float) -> Trace:
    items = [
        FeedItem(item_id=f"i{a}", title="", position=k, value=0, channels={}, scores={"like": x}, why="")
        for k, (a, x) in enumerate(zip(authors, likes, strict=True))
    ]
    features = ServedFeatures(user={"age": [age]}, items={"author": [[a] for a in authors]})
    return Trace(request_id=request_id, user_id="u", time_ms=0, items=items, features=features)


def test_rows_that_differ_are_counted_once_and_exampled() -> None:
    traces = [trace("r1", [1, 2], [0.5, 0.25], 0.5), trace("r2", [3], [0.125], 0.75)]
    made = Named({"age": numbers([0.5], [0.7])}, {"author": np.array([[1], [9], [3]], np.int32)})
    found = Differences()
    found.add(traces, made, numbers([0.5], [0.26], [0.125]), ["like"])
    assert (found.n_requests, found.n_rows) == (2, 3)
    assert found.n_differing == 2, "the second item of r1, by two features; and all of r2, by its user"
    lines = {x.feature: x for x in sorted_lines(found.features | found.scores)}
    assert [(x.rows, x.differing) for x in lines.values()] == [(2, 1), (3, 1), (3, 1)]
    assert list(lines) == ["age", "author", "like"], "the largest share first, then the largest difference"
    author, like, age = (lines[n].example for n in ("author", "like", "age"))
    assert author is not None
    assert (author.request_id, author.item_id, author.served, author.recomputed) == ("r1", "i2", [2], [9])
    assert like is not None
    assert like.served == [0.25]
    assert age is not None
    assert (age.request_id, age.item_id) == ("r2", "")
    assert lines["like"].largest == pytest.approx(0.01 / 0.26, rel=1e-5)


def test_halves_may_be_neighbours() -> None:
    made = Named({"age": numbers([0.5])}, {"author": np.array([[1]], np.int32), "item_first": numbers([1.0, 2.0])})
    one = trace("r", [1], [0.5], 0.5)
    assert one.features is not None
    one.features.items["item_first"] = [[1.0, 2.002]]  # 2 and the half above it
    strict, loose = Differences(), Differences()
    strict.add([one], made, numbers([0.5]), ["like"])
    loose.add([one], made, numbers([0.5]), ["like"], ["item_first"])
    assert (strict.n_differing, loose.n_differing) == (1, 0)
