"""What the joiner wrote is what a log gives, row by row."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feedmill.core.events import EventBatch, Kind
from feedmill.samples import SamplesConfig
from feedmill.samples.joiner import JoinConfig, Joiner
from feedmill.state import Replay, State
from feedmill.train.update.joined import joined
from feedmill.train.update.source import since
from worlds import START_MS, click


def log() -> EventBatch:
    """Requests of two items; every third first item is clicked after a minute, every fifth liked after two."""
    rows = []
    for k in range(60):
        now, user = START_MS + 10_000_000 * k, f"u{k % 7}"
        rows += [click(now, user, f"i{(k + j) % 9}", Kind.IMPRESSION, request_id=f"r{k}", position=j) for j in (0, 1)]
        if k % 3 == 0:
            rows.append(click(now + 60_000, user, f"i{k % 9}", request_id=f"r{k}"))
        if k % 5 == 0:
            rows.append(click(now + 120_000, user, f"i{k % 9}", Kind.LIKE, request_id=f"r{k}"))
    return EventBatch.rows(rows)


def test_the_joiners_samples_are_the_logs_rows() -> None:
    events, state = log(), State()
    state.fold(events)
    table = Joiner(JoinConfig()).feed(events, 0).samples
    table = table.filter(pc.field("is_complete"))
    got = joined(table)(Replay(events, State()), state)
    expected = since(0, SamplesConfig(window_s=3600.0), 0)(Replay(events, State()), state)
    n, first = len(got), len(got.probe)
    assert n > 90
    np.testing.assert_array_equal(got.probe.at, expected.probe.at[:first])
    np.testing.assert_array_equal(got.probe.user, expected.probe.user[:first])
    np.testing.assert_array_equal(got.probe.time_ms, expected.probe.time_ms[:first])
    np.testing.assert_array_equal(got.probe.item, expected.probe.item[:n])
    np.testing.assert_array_equal(got.probe.request_of, expected.probe.request_of[:n])
    for head in ("click", "like"):
        own, other = got.heads.index(head), expected.heads.index(head)
        np.testing.assert_array_equal(got.labels[:, own], expected.labels[:n, other], err_msg=head)
        assert got.mask[:, own].all()


def test_a_label_that_is_not_final_is_not_known() -> None:
    events, state = log(), State()
    state.fold(events)
    table = Joiner(JoinConfig()).feed(events, 0).samples.filter(pc.field("is_complete"))
    at = table.schema.get_field_index("like")
    blank = pa.nulls(len(table), table.schema.field(at).type)
    got = joined(table.set_column(at, table.schema.field(at), blank))(Replay(events, State()), state)
    assert not got.mask[:, got.heads.index("like")].any()
