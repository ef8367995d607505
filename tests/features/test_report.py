"""The report says what a log was made to say."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.batches import ProbeBatch
from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch, Kind
from feedmill.features import FeaturesConfig
from feedmill.features import fit as fit_features
from feedmill.features.report import Line, compare, report
from feedmill.state import Probed, State
from worlds import START_MS

N = 400  # impressions, half before the change


def changed() -> EventBatch:
    """In the second half everybody has moved to another city and only the newer items are shown; hours stay alike."""
    g = np.random.default_rng(0)
    about = [json.dumps({"author_id": f"a{k % 3}", "quality": k, "same": "x"}) for k in range(20)]
    rows: list[dict[str, Any]] = [
        {"kind": Kind.ITEM, "item_id": f"i{k}", "payload": payload} for k, payload in enumerate(about)
    ]
    for half in (0, 1):
        for u in range(10):
            rows.append(
                {"kind": Kind.USER, "user_id": f"u{u}", "payload": json.dumps({"city": ["rome", "oslo"][half]})}
            )
        for i in range(N // 2):
            item, user = int(g.integers(0, 10)) + 10 * half, f"u{int(g.integers(0, 10))}"
            shown = {"kind": Kind.IMPRESSION, "user_id": user, "item_id": f"i{item}"}
            rows.append({**shown, "time_ms": START_MS + (half * N + i) * 3_600_000})
    return EventBatch.rows([{"time_ms": START_MS, **r} for r in rows])


def lines_of(n_earlier: int = N // 2, **parameters: Any) -> dict[str, Line]:
    events, state = changed(), State()
    state.register(events)
    at = np.flatnonzero(events.numpy("kind") == Kind.IMPRESSION)
    asked = ProbeBatch(
        user=state.users.rows(events.table.column("user_id"))[at],
        time_ms=events.numpy("time_ms")[at],
        at=at,
        item=state.items.rows(events.table.column("item_id"))[at],
        request_of=np.arange(len(at), dtype=np.int32),
    )
    probed = state.fold(events, asked)
    assert probed is not None
    config = FeaturesConfig(min_count=1, numeric_item_attributes=("quality",), **parameters)
    first = int(at[N // 2])
    earlier, head = State(), Probed.concat([probed])
    earlier.register(events)
    head_asked = ProbeBatch(
        *(getattr(asked, name)[: N // 2] for name in ("user", "time_ms", "at", "item", "request_of"))
    )
    answered = earlier.fold(events[:first], head_asked)
    assert answered is not None
    spec, arrays = fit_features.fit(config, earlier, answered)
    return {line.name: line for line in report(config, spec, arrays, state, head, n_earlier)}


def test_what_moved_is_first_and_what_stayed_is_noise() -> None:
    lines = lines_of()
    drifts = [line.drift for line in lines.values()]
    assert drifts == sorted(drifts, reverse=True)
    for name in ("city", "item", "attribute.quality"):
        assert lines[name].drift > 1, name
        assert lines[name].moved == pytest.approx(1)
    for name in ("hour", "user", "same"):
        assert lines[name].drift < 4 * lines[name].noise + 0.01, name


def test_coverage_is_counted() -> None:
    lines = lines_of()
    assert lines["same"].known == lines["same"].used == 1
    assert lines["city"].distinct == 2
    assert (lines["item"].known, lines["item"].used) == (1, 0.5), "items of the second half had no vector"
    assert lines["clicked_3"].known == lines["clicked_3"].used == lines["clicked_3"].drift == 0
    assert not lines["user.click.all"].in_model, "nobody clicked"
    quality = lines["attribute.quality"]
    assert quality.distinct == 20
    assert quality.quantiles[0] == 0
    assert quality.quantiles[-1] == 19
    assert 0.9 < quality.used < 1, "one item has quality 0"
    assert quality.known == 1


def test_two_parts_are_needed() -> None:
    for n in (0, N):
        with pytest.raises(DataError, match="some in both"):
            lines_of(n)


def test_the_index_by_hand() -> None:
    """p = (0.5, 0.5), q = (0.9, 0.1): 0.4 ln 1.8 - 0.4 ln 0.2."""
    drift, moved, noise = compare(np.array([50, 50, 0]), np.array([90, 10, 0]))
    assert drift == pytest.approx(0.4 * np.log(1.8) - 0.4 * np.log(0.2))
    assert moved == pytest.approx(0.4)
    assert noise == pytest.approx(1 / 100 + 1 / 100)


counts = st.lists(st.integers(0, 1000), min_size=2, max_size=12)


@given(st.tuples(counts, counts))
def test_the_index_is_finite_never_negative_and_zero_for_equals(pair: tuple[list[int], list[int]]) -> None:
    n = min(len(c) for c in pair)
    p, q = (np.array(c[:n]) for c in pair)
    drift, moved, noise = compare(p, q)
    assert np.isfinite(drift)
    assert drift >= -1e-9
    assert 0 <= moved <= 1
    assert noise >= -1 / max(1, p.sum()) - 1 / max(1, q.sum())
    assert compare(p, p)[0] == 0
    assert compare(p, q)[0] == pytest.approx(compare(q, p)[0])


def test_equal_parts_read_as_noise_says() -> None:
    g = np.random.default_rng(1)
    share = np.full(10, 0.1)
    found = [compare(g.multinomial(1000, share), g.multinomial(500, share)) for _ in range(300)]
    drift, _, noise = np.mean(found, axis=0)
    assert drift == pytest.approx(noise, rel=0.15)
