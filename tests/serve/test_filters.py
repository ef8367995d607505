from __future__ import annotations

import pytest

from contracts.filter import NOW_MS, REQUEST, everything, state
from feedmill.core.protocols import Filter
from feedmill.serve.filters import (
    Excluded,
    NoParameters,
    Seen,
    ShownRecently,
    ShownRecentlyConfig,
    Unavailable,
)
from feedmill.state import State

NONE = NoParameters()


def dropped(made: Filter, of: State, user_id: str = "u1") -> set[str]:
    batch = everything(of)
    kept = made.keep(REQUEST, of.view(user_id, NOW_MS), batch)
    return set(of.items.ids(batch.item[~kept]))


def test_seen_is_what_the_user_acted_on_and_not_what_was_merely_shown() -> None:
    of = state()
    assert dropped(Seen(NONE, of), of) == {"i1", "i2"}
    assert dropped(Seen(NONE, of), of, "nobody") == set()


def test_unavailable_is_what_was_taken_down() -> None:
    of = state()
    assert dropped(Unavailable(NONE, of), of) == {"i5"}


def test_excluded_is_what_the_request_says_and_ids_nobody_knows_do_no_harm() -> None:
    of = state()
    assert dropped(Excluded(NONE, of), of) == {"i3", "i7"}


@pytest.mark.parametrize(
    ("times", "hours", "expected"),
    [(3, 24.0, {"i8", "i9"}), (5, 24.0, set()), (3, 2.5 / 3600, set()), (2, 2.5 / 3600, {"i8", "i9"})],
)
def test_shown_recently_counts_impressions_in_its_hours(times: int, hours: float, expected: set[str]) -> None:
    of = state()
    assert dropped(ShownRecently(ShownRecentlyConfig(times=times, hours=hours), of), of) == expected


def test_only_what_may_be_shown_again_is_soft() -> None:
    assert [f.soft for f in (Seen, ShownRecently, Unavailable, Excluded)] == [True, True, False, False]
