from __future__ import annotations

import numpy as np
import pytest

from feedmill.core.events import EventBatch, Kind
from feedmill.features import FeaturesConfig, assemble
from feedmill.features import fit as fit_features
from feedmill.features.served.prepared import Prepared
from feedmill.samples import SamplesConfig, sample
from feedmill.state import State, StateConfig
from worlds import DAY_MS, START_MS, click, tastes

SHOWN = [click(START_MS + k, f"u{k % 9 + 1}", f"i{k % 7 + 1}", Kind.IMPRESSION) for k in range(60)]
STATES = {"plain": StateConfig(), "pairs": StateConfig(user_topics=256)}


@pytest.mark.parametrize("kind", list(STATES))
def test_every_number_and_id_is_that_of_assemble(kind: str) -> None:
    """Of known and new users and items, over every source that the log gives rise to; bit for bit."""
    events = EventBatch.concat([tastes(), EventBatch.rows(SHOWN)])
    state = State(STATES[kind])
    state.register(events)
    samples, _ = sample(events, state, SamplesConfig(n_negatives=3, negatives="drawn"), seed=0)
    probed = state.fold(events, samples.probe)
    assert probed is not None
    config = FeaturesConfig(numeric_attributes=("group",), example_age=True, activity=True, searches=2)
    spec, arrays = fit_features.fit(config, state, probed)
    assert {n.source.partition(".")[0] for n in spec.numerics} >= {"user", "item", "author", "topic", "cross", "rate"}
    state.fold(EventBatch.rows([click(START_MS + 40 * DAY_MS, "somebody new", "something new")]))
    prepared = Prepared(spec, arrays, state)
    items = np.array([*range(1, 30), state.items.row("something new")], np.int32)
    for user in ("u1", "u8", "somebody new", "nobody"):
        asked = state.probe(state.view(user, START_MS + 41 * DAY_MS), items)
        expected = assemble(spec, arrays, state, asked)
        np.testing.assert_array_equal(prepared.ids(asked, "user"), expected.user_ids)
        np.testing.assert_array_equal(prepared.ids(asked, "item"), expected.item_ids)
        np.testing.assert_array_equal(prepared.numbers(asked, "user"), expected.user_numeric)
        np.testing.assert_array_equal(prepared.numbers(asked, "item"), expected.item_numeric)
    whole = Prepared(spec, arrays, state)
    np.testing.assert_array_equal(whole.numbers(probed, "item"), assemble(spec, arrays, state, probed).item_numeric)
