"""What every scorer must do. ``make`` gives a scorer, a user it can score for, and the item rows it knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from feedmill.core.batches import CandidateBatch, Floats, UserColumns
from feedmill.core.clock import rng
from feedmill.core.protocols import Scorer
from feedmill.core.request import FeedRequest

REQUEST = FeedRequest(request_id="r", user_id="u", time_ms=1_700_000_000_000)


class Made(NamedTuple):
    """``unknown`` is a user nobody has seen; ``items`` are at least three rows the scorer knows."""

    scorer: Scorer
    user: UserColumns
    unknown: UserColumns
    items: Sequence[int]


Make = Callable[[], Made]


def scores(scorer: Scorer, user: UserColumns, items: Sequence[int]) -> Floats:
    """An answer, checked against all that is always promised."""
    batch = CandidateBatch.of("any", list(items), np.zeros(len(items), np.float32))
    answer = scorer.score(REQUEST, user, batch)
    assert answer.dtype == np.float32
    assert answer.shape == (len(items), len(scorer.heads))
    assert not np.isinf(answer).any(), "finite, or NaN for missing"
    return answer


def check_heads_have_distinct_names(make: Make) -> None:
    heads = make().scorer.heads
    assert len(set(heads)) == len(heads) > 0


def check_known_items_have_scores(make: Make) -> None:
    made = make()
    assert np.isfinite(scores(made.scorer, made.user, made.items)).all()


def check_no_candidates(make: Make) -> None:
    made = make()
    scores(made.scorer, made.user, [])


def check_order_is_kept(make: Make) -> None:
    made = make()
    order = rng(5, "order").permutation(len(made.items))
    straight = scores(made.scorer, made.user, made.items)
    mixed = scores(made.scorer, made.user, [made.items[i] for i in order])
    np.testing.assert_allclose(mixed, straight[order], rtol=1e-4, atol=1e-5)


def check_company_does_not_matter(make: Make) -> None:
    made = make()
    straight = scores(made.scorer, made.user, made.items)
    alone = scores(made.scorer, made.user, made.items[1:2])
    np.testing.assert_allclose(alone, straight[1:2], rtol=1e-4, atol=1e-5)


def check_same_answer_twice(make: Make) -> None:
    made = make()
    first, again = (scores(made.scorer, made.user, made.items) for _ in range(2))
    np.testing.assert_array_equal(first, again)


def check_unknown_user_is_scored(make: Make) -> None:
    made = make()
    assert np.isfinite(scores(made.scorer, made.unknown, made.items)).all()


CHECKS = [check for name, check in sorted(globals().items()) if name.startswith("check_")]
