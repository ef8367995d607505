"""What a retrieval model is shown of its users."""

from __future__ import annotations

import numpy as np
import pytest

from feedmill.core.batches import ProbeBatch
from feedmill.core.events import EventBatch
from feedmill.features import FeaturesConfig, assemble
from feedmill.features import fit as fit_features
from feedmill.samples import InterestConfig, interactions
from feedmill.samples.positives import PositivesConfig, positives
from feedmill.state import State
from feedmill.train.retrieval.examples import Before, Others
from worlds import click

ITEMS = [f"i{n}" for n in range(6)]


@pytest.fixture
def log() -> EventBatch:
    """a likes i0 to i5, b likes i1 to i3, one after the other."""
    rows = [click(n, "a", item) for n, item in enumerate(ITEMS)]
    return EventBatch.rows(rows + [click(10 + n, "b", item) for n, item in enumerate(ITEMS[1:4])])


CONFIG = FeaturesConfig(only=("user.clicked", "item.id"), histories={"clicked": [5]}, numbers="none", min_count=1)


def test_before_knows_what_came_before(log: EventBatch) -> None:
    state = State()
    state.register(log)
    chosen = positives(log, state, PositivesConfig())
    probed = state.fold(log, chosen.probe)
    assert probed is not None
    spec, arrays = fit_features.fit(CONFIG, state, probed)
    shown = Before(chosen, assemble(spec, arrays, state, probed)).batch(np.array([0, 3, 6]))
    assert state.items.ids(shown.item) == ["i0", "i3", "i1"]
    known = [sorted(x for x in row if x) for row in shown.user_ids.tolist()]
    slots = arrays["slots.item"][state.items.rows(ITEMS)]
    assert known == [[], sorted(slots[:3].tolist()), []], "nothing before the first choice, nothing of another user"


def test_others_are_torn_in_two_anew_each_time(log: EventBatch) -> None:
    state = State()
    state.register(log)
    probed = state.fold(log, positives(log, state, PositivesConfig()).probe)
    assert probed is not None
    spec, arrays = fit_features.fit(CONFIG, state, probed)
    pairs = interactions(log, state, InterestConfig())
    users = state.users.rows(["a", "b"])
    nothing = np.zeros(0, np.int32)
    at = ProbeBatch(users, np.full(2, state.newest_ms), np.zeros(2, np.int64), nothing, nothing)
    now = state.fold(EventBatch.empty(), at)
    assert now is not None
    others = Others(pairs, users, spec, arrays, assemble(spec, arrays, state, now), seed=0)
    slots = arrays["slots.item"]
    seen = set()
    for _ in range(30):
        shown = others.batch(np.array([0, 1]))
        for u, n in ((0, 6), (1, 3)):
            label = slots[shown.item[shown.of == u]].tolist()
            known = [x for x in shown.user_ids[u].tolist() if x]
            mine = slots[pairs.item[pairs.user == users[u]]].tolist()
            assert sorted(label + known) == sorted(mine), "every item is on one side"
            assert len(known) == round(n / 2)
            assert label
            seen.add((u, tuple(sorted(label))))
        weights = [shown.reward[shown.of == u].sum() for u in (0, 1)]
        assert weights[0] == pytest.approx(weights[1]), "users count alike, however many items they have"
        assert shown.reward.mean() == pytest.approx(1)
    assert len(seen) > 10
