"""What every re-rank rule must do. ``make`` gives a rule over the catalogue of ``state``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from feedmill.core.batches import CandidateBatch, Floats, Mask
from feedmill.core.clock import rng
from feedmill.core.events import EventBatch, Kind
from feedmill.core.protocols import Picks, RerankRule
from feedmill.core.request import FeedRequest
from feedmill.state import State

N_ITEMS = 41
REQUEST = FeedRequest(request_id="r", user_id="u1", seed=5)
Make = Callable[[], RerankRule]


@cache
def state() -> State:
    """Items i1 to i40 of five authors a0 to a4 and six topics t0 to t5; some have no author, some no topics. Five are
    advertisements, four belong to the house (its operations), with a bid each."""
    state = State()
    payloads = []
    for row in range(1, N_ITEMS):
        author = {} if row % 7 == 0 else {"author_id": f"a{row % 5}"}
        topics = [f"t{row % 6}", f"t{row * row % 5}"][: row % 4]
        slot = {4: "ad"}.get(row % 9) or {3: "operations"}.get(row % 11)
        marks = {"slot": slot, "bid": row * 7 % 10} if slot else {}
        payloads.append(msgspec.json.encode({"topics": topics, **author, **marks}).decode())
    ids = [f"i{row}" for row in range(1, N_ITEMS)]
    state.fold(EventBatch.of({"kind": int(Kind.ITEM), "item_id": ids, "payload": payloads}))
    return state


def vectors() -> Floats:
    """Vectors of all items but the newest; one is zero, two are twins."""
    out = rng(3, "vectors").standard_normal((N_ITEMS - 4, 6)).astype(np.float32)
    out[5], out[9] = 0, out[8]
    return out


def candidates(items: Sequence[int], values: Sequence[float]) -> CandidateBatch:
    """In order of value, best first."""
    batch = CandidateBatch.of("any", items, np.zeros(len(items), np.float32))
    return batch.with_value(np.sort(np.array(values, np.float32))[::-1])


def some(n: int, seed: int = 0) -> CandidateBatch:
    draw = rng(seed, "candidates")
    return candidates((1 + draw.permutation(N_ITEMS - 1)[:n]).tolist(), draw.random(n).tolist())


def picks_of(rule: RerankRule, batch: CandidateBatch, k: int) -> Picks:
    """Picks, checked against all that is always promised."""
    picks, k = rule.apply(REQUEST, batch, k), max(0, min(k, len(batch)))
    assert len(picks.rows) == len(picks.notes) <= k
    left = np.setdiff1d(np.arange(len(batch)), picks.rows)
    assert len(picks.rows) == k or members(rule, batch)[left].all(), "fills every slot it can"
    assert np.issubdtype(picks.rows.dtype, np.integer)
    assert len(np.unique(picks.rows)) == len(picks.rows), "a candidate came twice"
    assert ((picks.rows >= 0) & (picks.rows < len(batch))).all()
    assert all(isinstance(note, str) for note in picks.notes)
    return picks


def members(rule: RerankRule, batch: CandidateBatch) -> Mask:
    """Which candidates the rule may leave out: none, unless it says so."""
    if not hasattr(rule, "members"):
        return np.zeros(len(batch), np.bool_)
    mask: Mask = rule.members(batch)
    assert mask.dtype == np.bool_
    assert len(mask) == len(batch)
    return mask


def check_slots_are_filled(make: Make) -> None:
    rule = make()
    for n, k in ((0, 5), (1, 5), (4, 10), (40, 10), (40, 40), (40, 1), (40, 0), (3, 3)):
        picks_of(rule, some(n), k)


def check_what_is_moved_is_explained(make: Make) -> None:
    picks = picks_of(make(), some(40), 40)
    moved = picks.rows != np.arange(len(picks.rows))
    assert moved.any(), "the suite's candidates give every rule something to do"
    assert all(note for note, m in zip(picks.notes, moved, strict=True) if m)


def check_deterministic(make: Make) -> None:
    rule = make()
    first, again, anew = (picks_of(r, some(40), 15) for r in (rule, rule, make()))
    assert first.rows.tolist() == again.rows.tolist() == anew.rows.tolist()
    assert first.notes == again.notes == anew.notes


def check_candidates_are_left_alone(make: Make) -> None:
    batch, untouched = some(20), some(20)
    picks_of(make(), batch, 10)
    np.testing.assert_array_equal(batch.item, untouched.item)
    np.testing.assert_array_equal(batch.value, untouched.value)


def check_equal_values(make: Make) -> None:
    for value in (0.0, 1.0, -3.0, float(np.finfo(np.float32).min)):
        picks_of(make(), candidates(range(1, 31), [value] * 30), 10)


def check_values_that_sank(make: Make) -> None:
    """A candidate whose score is missing has the lowest value there is; NaN should not come, and does no harm."""
    lowest = float(np.finfo(np.float32).min)
    picks_of(make(), candidates(range(1, 31), [0.5] * 20 + [lowest] * 10), 15)
    batch = some(12)
    broken = replace(batch, value=np.where(np.arange(12) > 8, np.nan, batch.value).astype(np.float32))
    picks_of(make(), broken, 12)


def check_any_candidates(make: Make) -> None:
    rule = make()

    @settings(max_examples=25)
    @given(
        st.lists(st.integers(1, N_ITEMS - 1), unique=True, max_size=30),
        st.lists(st.floats(-1e6, 1e6, width=32), min_size=30, max_size=30),
        st.integers(0, 35),
    )
    def run(items: list[int], values: list[float], k: int) -> None:
        picks_of(rule, candidates(items, values[: len(items)]), k)

    run()


def check_in_a_chain(make: Make) -> None:
    """What one rule lets through the next one takes."""
    first = make().apply(REQUEST, some(40), 20)
    second = make().apply(REQUEST, some(40).take(first.rows), 10)
    assert len(set(first.rows[second.rows].tolist())) == len(second.notes) == 10


def check_nothing_is_lost(make: Make) -> None:
    """Asked for as many as there are, a rule is a permutation of what came in, but for what it may leave out."""
    rule = make()

    @settings(max_examples=25)
    @given(st.lists(st.integers(1, N_ITEMS - 1), unique=True, max_size=N_ITEMS), st.integers(0, 2**32))
    def run(items: list[int], seed: int) -> None:
        batch = candidates(items, rng(seed, "values").random(len(items)).tolist())
        rows = picks_of(rule, batch, len(batch)).rows
        assert set(np.flatnonzero(~members(rule, batch)).tolist()) <= set(rows.tolist())

    run()
