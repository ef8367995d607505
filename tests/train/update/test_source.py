"""A follower reads behind the end of the log, and every row is of its own moment."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from feedmill.core.events import EventBatch, Kind
from feedmill.log.memory import MemoryLog
from feedmill.samples import SamplesConfig, sample
from feedmill.state import Replay, State, StateConfig
from feedmill.train.update.source import Follower, since, state_before
from shown_worlds import impressions
from worlds import START_MS, click

CONFIG = SamplesConfig()


def log_of(events: EventBatch) -> MemoryLog:
    log = MemoryLog()
    log.append(events)
    return log


def test_what_it_gives_is_what_one_pass_over_the_log_gives() -> None:
    """In three reads, as the log grows: the same rows with the same answers as one fold of all of it."""
    events, _ = impressions(n=300, n_users=8, n_items=6)
    log = log_of(events[:150])
    follower = Follower(log, State(), CONFIG, 40, 120.0, ("click", "share"))
    found = []
    for end in (150, 280, len(events)):
        log.append(events[log.end : end])
        ready = follower.ready()
        assert ready is not None
        found.append(ready)
    state = State()
    state.register(events)
    samples, _ = sample(events, state, SamplesConfig(min_positives=1, window_s=120), 0)
    probed = state.fold(events, samples.probe)
    assert probed is not None
    first = int(np.searchsorted(samples.probe.at, 40))
    n = sum(len(s) for s, _ in found)
    np.testing.assert_array_equal(np.concatenate([p.item for _, p in found]), probed.item[first : first + n])
    counts = np.concatenate([p.item_counts for _, p in found])
    np.testing.assert_array_equal(counts, probed.item_counts[first : first + n])
    history = np.concatenate([p.users.history for _, p in found])
    np.testing.assert_array_equal(history, probed.users.history[first : first + n])
    clicks = np.concatenate([s.labels[:, s.heads.index("click")] for s, _ in found])
    np.testing.assert_array_equal(clicks, samples.labels[first : first + n, samples.heads.index("click")])
    assert n > 200


def test_it_waits_for_what_may_still_come() -> None:
    shown = [click(START_MS + 60_000 * k, "u1", f"i{k}", Kind.IMPRESSION) for k in range(4)]
    follower = Follower(log_of(EventBatch.rows(shown)), State(), CONFIG, 0, 100.0, ("click",))
    ready = follower.ready()
    assert ready is not None
    samples, _ = ready
    assert len(samples) == 2, "those of the last 100 seconds may yet be clicked"
    assert samples.heads == ("click",)
    assert not samples.labels.any()
    assert samples.mask.all()
    assert follower.offset == 2
    assert follower.ready() is None


def test_a_night_begins_at_an_offset() -> None:
    events, _ = impressions(n=200, n_users=8, n_items=6)
    state = State()
    state.fold(events)
    rows = since(120, CONFIG, 0, ("click", "share"))(Replay(events, State()), state)
    assert rows.probe.at.min() >= 120
    every = since(0, CONFIG, 0)(Replay(events, State()), state)
    assert len(rows) == int((every.probe.at[every.probe.request_of] >= 120).sum())
    assert {"click", "share"} <= set(rows.heads)


def test_a_stretch_in_quarantine_is_folded_and_not_learned_from() -> None:
    events, _ = impressions(n=200, n_users=8, n_items=6)
    plain, careful = (Follower(log_of(events), State(), CONFIG, 0, 60.0) for _ in range(2))
    every = plain.ready()
    low_ms, high_ms = events.numpy("time_ms")[[80, 150]].tolist()
    some = careful.ready(lambda time_ms: (time_ms < low_ms) | (time_ms >= high_ms))
    assert every is not None
    assert some is not None
    at, time_ms = every[0].probe.at, every[0].probe.time_ms
    np.testing.assert_array_equal(some[0].probe.at, at[(time_ms < low_ms) | (time_ms >= high_ms)])
    assert 0 < len(some[0].probe) < len(every[0].probe)
    np.testing.assert_array_equal(some[1].item_counts[-20:], every[1].item_counts[-20:])
    assert careful.offset == plain.offset


def test_it_goes_on_from_its_own_snapshot(tmp_path: Path) -> None:
    """As if it had folded everything; one that is too new, or none, is no use."""
    events, _ = impressions(n=200, n_users=8, n_items=6)
    log, config = log_of(events), StateConfig()
    plain = Follower(log, State(), CONFIG, 60, 30.0)
    early = Follower(log_of(events[:130]), State(), CONFIG, 0, 30.0)
    assert early.ready() is not None
    early.state.save(tmp_path / "own")
    state = state_before(tmp_path / "own", log, config, 150, tmp_path)
    assert state.offset == early.offset
    assert state_before(tmp_path / "own", log, config, early.offset - 1, tmp_path).offset == 0
    assert state_before(tmp_path / "none", log, config, 150, tmp_path).offset == 0
    through, again = plain.ready(), Follower(log, state, CONFIG, 150, 30.0).ready()
    assert through is not None
    assert again is not None
    n = len(again[0])
    np.testing.assert_array_equal(again[1].item_counts, through[1].item_counts[-n:])
    np.testing.assert_array_equal(again[1].users.history, through[1].users.history[-len(again[0].probe) :])
