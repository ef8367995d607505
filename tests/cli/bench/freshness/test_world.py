"""The drifting log is what it says."""

from __future__ import annotations

import numpy as np

from feedmill.cli.bench.freshness.world import PER_REQUEST, Drift, World
from feedmill.core.events import Kind

SMALL = Drift(n_users=40, n_items=30, n_requests=100)


def test_clicks_come_as_often_as_they_should() -> None:
    world = World(Drift(n_requests=4000), seed=0)
    for _ in range(2):
        day = world.next_day()
        kind = day.events.numpy("kind")
        assert (kind == Kind.IMPRESSION).sum() == len(day.chance) == 4000 * PER_REQUEST
        n, said = (kind == Kind.CLICK).sum(), day.chance.sum()
        assert abs(n - said) < 4 * np.sqrt((day.chance * (1 - day.chance)).sum())


def test_chances_stand_in_the_order_of_impressions() -> None:
    """What is likelier than not is clicked more often than not."""
    day = World(Drift(n_requests=4000), seed=1).next_day()
    kind, request, item = (day.events.table.column(c).to_pylist() for c in ("kind", "request_id", "item_id"))
    clicked = {(r, i) for k, r, i in zip(kind, request, item, strict=True) if k == Kind.CLICK}
    shown = [(r, i) in clicked for k, r, i in zip(kind, request, item, strict=True) if k == Kind.IMPRESSION]
    high = np.array(shown)[day.chance > 0.5]
    assert len(high) > 100
    assert abs(high.mean() - day.chance[day.chance > 0.5].mean()) < 0.05


def test_it_drifts_as_much_as_it_says_and_never_stands_still() -> None:
    world = World(Drift(n_users=3000, keep=0.8), seed=0)
    world.next_day()
    before = world._taste.copy()
    world.next_day()
    after = world._taste[: len(before)]
    assert abs(np.corrcoef(before.ravel(), after.ravel())[0, 1] - 0.8) < 0.02
    assert abs(after.std() / before.std() - 1) < 0.02
    assert len(world._taste) == 3000 + 90
    assert len(world._live) == 300
    assert world._live.max() == 314


def test_the_same_seed_gives_the_same_log() -> None:
    one, other, third = (World(SMALL, seed) for seed in (3, 3, 4))
    for _ in range(2):
        a, b, c = one.next_day().events.table, other.next_day().events.table, third.next_day().events.table
        assert a.equals(b)
        assert not a.equals(c)
