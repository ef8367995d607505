"""What every filter must do. ``make`` gives a filter on a state; the suite asks it about that state's items."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from feedmill.core.batches import CandidateBatch, Mask, UserColumns
from feedmill.core.clock import rng
from feedmill.core.events import EventBatch, Kind
from feedmill.core.protocols import Filter
from feedmill.core.request import FeedRequest
from feedmill.state import State

Make = Callable[[State], Filter]
NOW_MS = 1_700_000_100_000
REQUEST = FeedRequest(request_id="r", user_id="u1", time_ms=NOW_MS, exclude=("i3", "i7", "never heard of"))


def state() -> State:
    """Items i0 to i19; i5 is taken down, i6 is for adults; u1 has clicked i1 and i2 and been shown i8 and i9, four
    times each."""
    described = {"kind": int(Kind.ITEM), "item_id": [f"i{i}" for i in range(20)], "payload": "{}"}
    rows = [{"kind": Kind.ITEM, "item_id": "i5", "payload": '{"deleted": true}'}]
    rows += [{"kind": Kind.ITEM, "item_id": "i6", "payload": '{"min_age": 18}'}]
    rows += [{"kind": Kind.CLICK, "user_id": "u1", "item_id": i, "time_ms": NOW_MS - 9_000} for i in ("i1", "i2")]
    rows += [
        {"kind": Kind.IMPRESSION, "user_id": "u1", "item_id": i, "time_ms": NOW_MS - t}
        for t in (4_000, 3_000, 2_000, 1_000)
        for i in ("i8", "i9")  # in turn, as feeds show them: repeats in a row are one entry of a history
    ]
    made = State()
    made.fold(EventBatch.concat([EventBatch.of(described), EventBatch.rows(rows)]))
    return made


def everything(of: State) -> CandidateBatch:
    items = np.arange(1, len(of.items), dtype=np.int32)
    return CandidateBatch.of("all", items, np.ones(len(items), np.float32))


def mask(make: Make, of: State, user: UserColumns, candidates: CandidateBatch) -> Mask:
    """An answer, checked against all that is always promised."""
    kept = make(of).keep(REQUEST, user, candidates)
    assert kept.dtype == np.bool_
    assert kept.shape == (len(candidates),)
    return kept


def check_reason_is_a_word(make: Make) -> None:
    assert make(state()).reason.isidentifier()


def check_mask(make: Make) -> None:
    of = state()
    mask(make, of, of.view("u1", NOW_MS), everything(of))


def check_no_candidates(make: Make) -> None:
    of = state()
    assert len(mask(make, of, of.view("u1", NOW_MS), CandidateBatch.of("all", [], []))) == 0


def check_order_does_not_matter(make: Make) -> None:
    of = state()
    batch, user = everything(of), of.view("u1", NOW_MS)
    order = rng(3, "order").permutation(len(batch))
    np.testing.assert_array_equal(mask(make, of, user, batch)[order], mask(make, of, user, batch.take(order)))


def check_company_does_not_matter(make: Make) -> None:
    """A candidate's fate does not depend on who else is a candidate."""
    of = state()
    batch, user = everything(of), of.view("u1", NOW_MS)
    some = np.arange(0, len(batch), 3)
    np.testing.assert_array_equal(mask(make, of, user, batch)[some], mask(make, of, user, batch.take(some)))


def check_unknown_user(make: Make) -> None:
    of = state()
    mask(make, of, of.view("nobody", NOW_MS), everything(of))


def check_nothing_is_changed(make: Make) -> None:
    of = state()
    batch = everything(of)
    before = batch.item.copy()
    mask(make, of, of.view("u1", NOW_MS), batch)
    np.testing.assert_array_equal(batch.item, before)


def check_it_drops_something(make: Make) -> None:
    """A filter that keeps all of the suite's items is not tested by it."""
    of = state()
    kept = mask(make, of, of.view("u1", NOW_MS), everything(of))
    assert 0 < np.count_nonzero(kept) < len(kept)


CHECKS = [check for name, check in sorted(globals().items()) if name.startswith("check_")]
