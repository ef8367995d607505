"""What the joiner wrote is what a log gives, row by row."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feedmill.core.events import EventBatch, Kind
from feedmill.samples import SamplesConfig
from feedmill.samples.joiner import JoinConfig, Joiner
from feedmill.samples.joiner.forget import blanked
from feedmill.state import Replay, State
from feedmill.train.update.joined import joined
from feedmill.train.update.source import since
from worlds import START_MS, click

CONFIG = SamplesConfig()


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


def complete(events: EventBatch) -> pa.Table:
    return Joiner(JoinConfig()).feed(events, 0).samples.filter(pc.field("is_complete"))


def test_the_joiners_samples_are_the_logs_rows() -> None:
    events, state = log(), State()
    state.fold(events)
    got = joined(complete(events), events, 0, state, CONFIG)
    expected = since(0, Replay(events, State()), state, SamplesConfig(window_s=3600.0), 0)
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
    table = complete(events)
    at = table.schema.get_field_index("like")
    blank = pa.nulls(len(table), table.schema.field(at).type)
    got = joined(table.set_column(at, table.schema.field(at), blank), events, 0, state, CONFIG)
    assert not got.mask[:, got.heads.index("like")].any()


def test_each_label_is_known_once_and_when_it_is_final() -> None:
    """By hand: a click is final after a minute, a like after two, in whichever pieces the rows come; a row that has
    both at once settles both."""
    events, state = log(), State()
    state.fold(events)
    windows = {"click": 60.0, "like": 120.0}
    rows = Joiner(JoinConfig(windows=windows)).feed(events, 0).samples
    n = int(pc.sum(rows["is_complete"]).as_py())
    assert rows.num_rows == 2 * n, "each impression closes twice"
    for cuts in ([], [n // 2], [1, 3, n, n + 7]):
        known = {"click": [0] * len(events), "like": [0] * len(events)}
        for low, high in itertools.pairwise([0, *cuts, rows.num_rows]):
            piece = rows.slice(low, high - low)
            got = joined(piece, events, 0, state, CONFIG, windows=windows)
            assert len(got) == pc.count_distinct(piece["offset"]).as_py()
            offsets = sorted(set(piece["offset"].to_pylist()))  # requests stand in the log as their rows do here
            for head, seen in known.items():
                for row, offset in enumerate(offsets):
                    seen[offset] += bool(got.mask[row, got.heads.index(head)])
        closed = set(rows.filter(pc.field("is_complete"))["offset"].to_pylist())
        assert all(seen == [int(offset in closed) for offset in range(len(events))] for seen in known.values())
    click = joined(rows.filter(pc.equal(rows["window_s"], 60.0)), events, 0, state, CONFIG, windows=windows)
    assert click.mask[:, click.heads.index("click")].all()
    assert not click.mask[:, click.heads.index("like")].any()


def test_a_watch_is_a_click_so_the_click_waits_for_it() -> None:
    events, state, windows = log(), State(), {"click": 60.0, "watch": 120.0}
    state.fold(events)
    rows = Joiner(JoinConfig(windows=windows)).feed(events, 0).samples
    soon = joined(rows.filter(pc.equal(rows["window_s"], 60.0)), events, 0, state, CONFIG, windows=windows)
    late = joined(rows.filter(pc.equal(rows["window_s"], 120.0)), events, 0, state, CONFIG, windows=windows)
    assert not soon.mask.any()
    assert late.mask[:, late.heads.index("click")].all()


def test_windows_of_what_no_head_is_about_teach_nothing() -> None:
    events, state = log(), State()
    state.fold(events)
    rows = Joiner(JoinConfig(windows={"dislike": 60.0})).feed(events, 0).samples
    got = joined(rows, events, 0, state, CONFIG)
    assert len(got) == rows.num_rows > 0
    assert got.heads == ()
    assert got.labels.shape == got.mask.shape == (len(got), 0)


def test_who_has_been_forgotten_teaches_nothing() -> None:
    events, state = log(), State()
    state.fold(events)
    table, n = blanked(complete(events), ["u3"])
    assert n > 0
    every, some = (joined(t, events, 0, state, CONFIG) for t in (complete(events), table))
    assert len(some) == len(every) - n
    assert (some.probe.user > 0).all()


def test_negatives_are_left_out_as_training_leaves_them_out() -> None:
    """Those without any feedback, with the chance that is configured; what somebody acted on stays."""
    events, state = log(), State()
    state.fold(events)
    every, some = (joined(complete(events), events, 0, state, config)
                   for config in (CONFIG, SamplesConfig(keep_negatives=0.25)))  # fmt: skip
    assert some.keep_negatives == 0.25
    assert some.labels.sum() == every.labels.sum()
    assert len(some) < 0.6 * len(every)
