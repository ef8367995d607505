from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
import pytest

from feedmill.core.batches import CandidateBatch, Floats, Mask, Rows, UserColumns
from feedmill.core.protocols import Picks
from feedmill.core.request import FeedItem, FeedRequest, Trace
from feedmill.rerank import FusionConfig, fuse
from feedmill.retrieval import merge
from feedmill.serve.pipeline import Chain, Pipeline
from feedmill.state import State

USER = State().view("nobody", 0)
REQUEST = FeedRequest(request_id="r", user_id="u", n=3, deadline_ms=1e9)


class Names:
    def ids(self, rows: Rows) -> list[str]:
        return [f"i{row}" for row in rows.tolist()]

    def titles(self, rows: Rows) -> list[str]:
        return [f"Item {row}" for row in rows.tolist()]


class Brings:
    """A channel that brings the items it was made with."""

    def __init__(self, name: str, items: Sequence[int], scores: Sequence[float] | None = None) -> None:
        self.name, self.items = name, list(items)
        self.scores = scores or [float(len(self.items) - i) for i in range(len(self.items))]

    def fetch(self, request: FeedRequest, user: UserColumns, limit: int) -> CandidateBatch:
        return CandidateBatch.of(self.name, self.items[:limit], self.scores[:limit])


class Scores:
    """A scorer by item row."""

    def __init__(self, heads: tuple[str, ...], by_row: Callable[[Rows], Any]) -> None:
        self.heads, self.by_row = heads, by_row

    def score(self, request: FeedRequest, user: UserColumns, candidates: CandidateBatch) -> Floats:
        return np.asarray(self.by_row(candidates.item), np.float32).reshape(len(candidates), -1)


class Refuses:
    def __init__(self, reason: str, rows: Sequence[int], *, soft: bool = False) -> None:
        self.reason, self.rows, self.soft = reason, rows, soft

    def keep(self, request: FeedRequest, user: UserColumns, candidates: CandidateBatch) -> Mask:
        return ~np.isin(candidates.item, self.rows)


class Picking:
    """A rule that picks what it is told to."""

    def __init__(self, rows: Sequence[int], notes: Sequence[str] | None = None) -> None:
        self.rows, self.notes = rows, notes or [""] * len(rows)

    def apply(self, request: FeedRequest, candidates: CandidateBatch, k: int) -> Picks:
        return Picks(np.array(self.rows, np.int32), tuple(self.notes))


class Breaks:
    """Anything at all, broken."""

    name, reason, heads = "broken", "broken", ("click",)

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer

    def _any(self, *_: Any) -> Any:
        if self.answer is None:
            raise RuntimeError("it is broken")
        return self.answer

    fetch = keep = score = apply = _any


TOO_MANY = CandidateBatch.of("broken", range(1, 20), [0.0] * 19)
CHAIN = Chain(
    channels=((Brings("a", [1, 2, 3, 4]), 10), (Brings("b", [4, 5]), 10)),
    merge=merge,
    limit=100,
    filters=(),
    fallback=Brings("popularity", [9, 8, 7]),
    fallback_limit=10,
    prerank=None,
    keep=100,
    rank=Scores(("click",), lambda rows: rows / 10),
    fuse=lambda batch: fuse(batch, FusionConfig()),
    rules=(),
    version="v1",
)


def recommend(request: FeedRequest = REQUEST, **parts: Any) -> tuple[list[FeedItem], Trace]:
    return Pipeline(replace(CHAIN, **parts), Names()).recommend(request, USER)


def ids(items: list[FeedItem]) -> list[str]:
    return [i.item_id for i in items]


def test_the_best_of_all_channels_in_order_of_value() -> None:
    items, trace = recommend()
    assert ids(items) == ["i5", "i4", "i3"]
    assert [i.value for i in items] == pytest.approx([0.5, 0.4, 0.3])
    assert [i.position for i in items] == [0, 1, 2]
    assert items[1].title == "Item 4"
    assert items[1].channels == {"a": 1.0, "b": 2.0}
    assert items[1].scores == {"click": pytest.approx(0.4)}
    assert items[1].why == "a and b found it; ranked 2nd of 5 by value 0.4"
    assert trace.items == items
    assert (trace.version, trace.degraded) == ("v1", [])


def test_every_stage_says_what_came_in_and_went_out_and_nothing_is_unaccounted_for() -> None:
    _, trace = recommend(
        limit=3, filters=(Refuses("seen", [5]),), prerank=Scores(("prerank",), lambda rows: -rows), keep=2,
        request=replace_request(n=1),
    )  # fmt: skip
    counts = {s.stage: (s.n_in, s.n_out) for s in trace.stages}
    assert counts == {
        "retrieval.a": (0, 4), "retrieval.b": (0, 2), "merge": (6, 5), "filter.seen": (5, 4), "limit": (4, 3),
        "prerank": (3, 2), "rank": (2, 2), "fuse": (2, 2), "slate": (2, 1),
    }  # fmt: skip
    assert trace.fates == {
        "seen": ["i5"],
        "beyond the limit": ["i3"],
        "prerank: below the cut": ["i4"],
        "rank: below the slate": ["i1"],
    }
    assert all(s.ms >= 0 for s in trace.stages)
    assert sum(s.ms for s in trace.stages) <= trace.ms


def replace_request(**changes: Any) -> FeedRequest:
    return FeedRequest(**{"request_id": "r", "user_id": "u", "deadline_ms": 1e9} | changes)


def test_the_merge_is_cut_to_its_limit() -> None:
    items, trace = recommend(limit=2)
    assert ids(items) == ["i4", "i1"]
    assert trace.fates == {"beyond the limit": ["i2", "i5", "i3"]}


def test_fewer_than_asked_for_is_what_there_is() -> None:
    assert len(recommend(replace_request(n=500))[0]) == 5


def test_positions_go_on_where_the_page_before_ended() -> None:
    items, _ = recommend(replace_request(n=2, exclude=("x", "y", "z")))
    assert [i.position for i in items] == [3, 4]


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"channels": ((Breaks(), 10), (Brings("b", [4, 5, 3]), 10))}, "retrieval.broken: failed"),
        ({"channels": ((Breaks(TOO_MANY), 5), (Brings("b", [4, 5, 3]), 5))}, "retrieval.broken: failed"),
        ({"filters": (Breaks(),)}, "filter.broken: failed"),
        ({"filters": (Breaks(np.ones(2, bool)),)}, "filter.broken: failed"),
        ({"prerank": Breaks()}, "prerank: failed"),
        ({"prerank": Breaks(np.zeros((2, 1), np.float32))}, "prerank: failed"),
        ({"rank": Breaks()}, "rank: failed"),
        ({"rank": Breaks(np.zeros((5, 3), np.float32))}, "rank: failed"),
        ({"fuse": Breaks()._any}, "fuse: failed"),
        ({"rules": (("broken", Breaks()),)}, "rerank.broken: failed"),
        ({"rules": (("broken", Picking([0, 0, 1])),)}, "rerank.broken: failed"),
        ({"rules": (("broken", Picking([0, 99])),)}, "rerank.broken: failed"),
        ({"rules": (("broken", Picking([0, 1, 2, 3])),)}, "rerank.broken: failed"),
    ],
)  # fmt: skip
def test_a_part_that_breaks_is_left_out_and_the_answer_says_so(
    parts: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    items, trace = recommend(**parts)
    assert len(set(ids(items))) == 3
    assert trace.degraded == [said]
    (broken,) = [s for s in trace.stages if s.error]
    assert said.startswith(broken.stage)
    assert broken.stage in caplog.text


def test_without_a_ranker_pre_rank_decides_and_without_that_the_places_in_the_channels() -> None:
    prerank = Scores(("prerank",), lambda rows: -rows)
    assert ids(recommend(rank=Breaks(), prerank=prerank)[0]) == ["i1", "i2", "i3"]
    # item 4 is first of one channel and last of the other; then come the firsts and seconds of one channel
    assert ids(recommend(rank=None)[0]) == ["i4", "i1", "i2"]


def test_scores_that_are_not_finite_sink() -> None:
    def odd(rows: Rows) -> Any:
        return np.select([rows == 5, rows == 4, rows == 3], [np.nan, np.inf, -np.inf], rows / 10)

    items, trace = recommend(rank=Scores(("click",), odd), request=replace_request(n=5))
    assert ids(items)[:2] == ["i2", "i1"]
    assert "click" not in items[-1].scores
    assert trace.degraded == []


def test_equal_values_are_ordered_by_item() -> None:
    assert ids(recommend(rank=Scores(("click",), lambda rows: 0 * rows))[0]) == ["i1", "i2", "i3"]


def test_when_nothing_is_left_popular_items_the_user_has_not_seen() -> None:
    items, trace = recommend(filters=(Refuses("seen", [1, 2, 3, 4, 5, 9], soft=True),))
    assert ids(items) == ["i8", "i7"]
    assert trace.degraded == ["fallback"]
    assert items[0].channels == {"popularity": 2.0}


def test_when_even_those_are_seen_they_are_shown_again_but_never_what_was_taken_down() -> None:
    filters = (Refuses("seen", range(10), soft=True), Refuses("unavailable", [8]))
    items, trace = recommend(filters=filters)
    assert ids(items) == ["i9", "i7"]
    assert trace.degraded == ["fallback"]


def test_when_nothing_at_all_may_be_shown_the_feed_is_empty() -> None:
    items, trace = recommend(filters=(Refuses("unavailable", range(10)),), rules=(("mmr", Picking([0])),))
    assert items == []
    assert trace.degraded == ["fallback"]


def test_a_deadline_of_nothing_still_gets_popular_items_through_the_filters() -> None:
    items, trace = recommend(
        replace_request(n=3, deadline_ms=0), prerank=Scores(("prerank",), lambda rows: rows),
        filters=(Refuses("seen", [9], soft=True),), rules=(("mmr", Picking([0])),),
    )  # fmt: skip
    assert ids(items) == ["i8", "i7"]
    assert trace.degraded == [
        "retrieval.a: deadline", "retrieval.b: deadline", "fallback", "prerank: deadline", "rank: deadline",
        "rerank.mmr: deadline",
    ]  # fmt: skip


def test_stages_after_the_deadline_are_skipped_by_name() -> None:
    class Slow(Brings):
        def fetch(self, request: FeedRequest, user: UserColumns, limit: int) -> CandidateBatch:
            start = perf_counter()
            while (perf_counter() - start) * 1e3 < request.deadline_ms:
                pass
            return super().fetch(request, user, limit)

    items, trace = recommend(replace_request(n=2, deadline_ms=5), channels=((Slow("slow", [3, 1]), 10),))
    assert ids(items) == ["i3", "i1"]
    assert trace.degraded == ["rank: deadline"]


def test_rules_follow_each_other_and_say_what_they_did() -> None:
    first = Picking([1, 0, 2, 3, 4], ["it moved up for variety", "", "", "", ""])
    second = Picking([0, 2, 1])
    items, _ = recommend(rules=(("mmr", first), ("window", second)))
    assert ids(items) == ["i4", "i3", "i5"]
    assert items[0].why.endswith("ranked 2nd of 5 by value 0.4; it moved up for variety")
    assert items[2].why.endswith("mmr moved it down from 1 to 2; window moved it down from 2 to 3")


def test_a_rule_before_the_last_leaves_the_next_a_choice() -> None:
    asked: list[int] = []

    class Asking(Picking):
        def apply(self, request: FeedRequest, candidates: CandidateBatch, k: int) -> Picks:
            asked.append(k)
            return Picks(np.arange(k, dtype=np.int32), ("",) * k)

    many = ((Brings("many", range(1, 401)), 400),)
    recommend(
        channels=many, limit=400, keep=400, rules=(("a", Asking([])), ("b", Asking([]))), request=replace_request(n=50)
    )
    assert asked == [200, 50]


def test_evaluation_reads_the_candidates_after_each_stage() -> None:
    run = Pipeline(replace(CHAIN, filters=(Refuses("seen", [4]),)), Names()).run(REQUEST, USER)
    assert list(run.after) == ["merge", "filter", "prerank", "rank", "fuse", "slate"]
    assert set(run.after["merge"].item.tolist()) == {1, 2, 3, 4, 5}
    assert run.after["fuse"].item.tolist() == [5, 3, 2, 1]
    assert run.candidates is run.after["slate"]


def test_a_channel_whose_best_is_all_seen_brings_what_comes_after() -> None:
    """Without asking for more, an active user's popular channel would be empty."""
    seen = Refuses("seen", [1, 2, 3])
    channels = ((Brings("a", [1, 2, 3, 4, 5]), 2),)
    assert ids(recommend(channels=channels, filters=(seen,), fallback=None)[0]) == []
    items, _ = recommend(channels=channels, filters=(seen,), n_hidden=lambda request, user: 3)
    assert sorted(ids(items)) == ["i4", "i5"]


ADS = Brings("ads", [31, 32, 33, 34])  # the highest rows, so that a scorer can put them last


def low(rows: Rows) -> Any:
    """Advertisements score worst, the others by row."""
    return np.where(rows > 30, -rows, rows / 100)


def test_a_reserve_passes_the_merges_limit_and_pre_ranks_cut_whatever_the_score() -> None:
    parts: dict[str, Any] = {
        "channels": ((Brings("a", range(1, 31)), 30), (ADS, 4)),
        "limit": 10,
        "prerank": Scores(("prerank",), low),
        "keep": 5,
        "rank": None,
    }
    chain = replace(CHAIN, **parts)
    without = Pipeline(chain, Names()).run(replace_request(n=3), USER)
    assert not np.isin(without.after["prerank"].item, ADS.items).any()
    run = Pipeline(replace(chain, reserve={"ads": 2, "nobody": 9}), Names()).run(replace_request(n=3), USER)
    assert len(run.after["filter"]) == 10
    assert {31, 32} <= set(run.after["filter"].item.tolist())
    assert run.after["prerank"].item.tolist() == [6, 5, 4, 31, 32], "in the order of the scores"
    assert sum(entry.dropped.get("prerank: below the cut", 0) for entry in run.trace.stages) == 5
    fallen = {int(row) for rows in run.fates.values() for row in np.concatenate(rows)}
    assert fallen | {6, 5, 4} >= set(run.after["merge"].item.tolist())


def test_a_reserve_is_of_what_the_filters_left_and_no_larger_than_the_cut() -> None:
    parts: dict[str, Any] = {"channels": ((Brings("a", range(1, 31)), 30), (ADS, 4)), "limit": 3, "rank": None}
    pipeline = Pipeline(replace(CHAIN, reserve={"ads": 2}, filters=(Refuses("seen", [31]),), **parts), Names())
    kept = set(pipeline.run(REQUEST, USER).after["filter"].item.tolist())
    assert {32, 33} < kept
    assert len(kept) == 3
    everything = Pipeline(replace(CHAIN, reserve={"ads": 4, "a": 30}, **parts), Names()).run(REQUEST, USER)
    assert len(everything.after["filter"]) == 3


def test_what_is_reserved_goes_on_behind_what_a_rule_picked_until_the_last_rule() -> None:
    class First(Picking):
        """As many as were asked for."""

        def apply(self, request: FeedRequest, candidates: CandidateBatch, k: int) -> Picks:
            return Picks(np.arange(k, dtype=np.int32), ("",) * k)

    many = ((Brings("a", range(1, 101)), 100), (Brings("ads", [131, 132]), 2))
    score = Scores(("click",), lambda rows: np.where(rows > 100, 0, rows / 200))
    chain = replace(CHAIN, channels=many, limit=200, keep=200, rank=score, rules=(("a", First([])), ("b", First([]))))
    without = Pipeline(chain, Names()).run(REQUEST, USER)
    assert len(without.after["rerank.a"]) == 60
    run = Pipeline(replace(chain, reserve={"ads": 1}), Names()).run(REQUEST, USER)
    assert run.after["rerank.a"].item.tolist() == [*range(100, 40, -1), 131]
    assert run.candidates.item.tolist() == [100, 99, 98]
    assert run.fates["rerank.a"][0].tolist() == [*range(40, 0, -1), 132]


class Placing(Picking):
    """Items 7, 9 and those from 31 on are what it places."""

    def members(self, candidates: CandidateBatch) -> Mask:
        return np.isin(candidates.item, [7, 9]) | (candidates.item > 30)


def test_advertisements_alone_make_no_feed() -> None:
    placing, seen = (("slots", Placing([0, 1])),), Refuses("seen", [1, 2], soft=True)
    channels, rank = ((Brings("a", [1, 2]), 9), (ADS, 1)), Scores(("click",), lambda rows: rows)
    items, trace = recommend(replace_request(n=2), channels=channels, filters=(seen,), rules=placing, rank=rank)
    assert trace.degraded == ["fallback"]
    assert ids(items) == ["i31", "i9"], "what is popular, and the advertisement that was there"
    assert recommend(channels=((Brings("a", [1]), 9), (ADS, 9)), rules=placing)[1].degraded == []


def test_a_rule_that_lets_items_fall_holds_without_time_and_they_stay_fallen() -> None:
    """Items 7 and 9 of the fallback are members; only one of them is placed, though a reserve would keep both."""
    placing = ("slots", Placing([1, 0]))
    items, trace = recommend(
        replace_request(n=3, deadline_ms=0), rules=(("mmr", Picking([0])), placing), reserve={"popularity": 3}
    )
    assert ids(items) == ["i8", "i9"]
    assert trace.fates["rerank.slots"] == ["i7"]
    assert "rerank.mmr: deadline" in trace.degraded
    assert not any("slots" in said for said in trace.degraded)


def test_a_rule_says_what_it_cost() -> None:
    class Costly(Picking):
        def apply(self, request: FeedRequest, candidates: CandidateBatch, k: int) -> Picks:
            return super().apply(request, candidates, k)._replace(cost=1.5)

    def costs(*rules: Any, **parts: Any) -> list[float]:
        rules = tuple((f"r{i}", rule) for i, rule in enumerate(rules))
        _, trace = recommend(rules=rules, **parts)
        return [entry.cost for entry in trace.stages if entry.stage.startswith("rerank")]

    # Values 0.5, 0.4, 0.3, 0.2, 0.1, and three slots.
    assert costs(Picking([0, 1, 2])) == pytest.approx([0])
    assert costs(Picking([2, 1, 4])) == pytest.approx([1.2 - 0.8])
    assert costs(Picking([4, 0, 1, 2, 3]), Picking([0, 1, 2])) == pytest.approx([1.2 - 1.0, 0]), "the first n slots"
    assert costs(Costly([2, 1, 4])) == [1.5]
    sunk = Scores(("click",), lambda rows: np.where(rows > 3, np.nan, rows / 10))
    assert costs(Picking([3, 4, 0]), rank=sunk) == pytest.approx([0.6 - 0.3]), "without a value it is worth nothing"
