"""The guard over a real joiner: a break is found as it happens, and a replay finds the same."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.clock import rng
from feedmill.core.errors import ArtifactError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.workspace import Workspace
from feedmill.log.sqlite import SqliteLog
from feedmill.samples.guard import GuardConfig, verdict_of
from feedmill.samples.guard.by_hand import Order, event
from feedmill.samples.guard.watch import BINS, Watch
from feedmill.samples.joiner import JoinConfig, Joiner
from feedmill.samples.joiner.run import run

MINUTE = 60_000
START = 1_600_000_020_000  # 12:27:00 UTC
N_MINUTES, A_MINUTE = 60, 200
BREAK, END = 30, 40  # minutes in which no click arrives
JOIN = JoinConfig(windows={"click": 600.0, "like": 1800.0, "watch": 1800.0}, skew_s=60.0)
GUARD = GuardConfig(baseline=12, healthy=3, season=0.0)
TOML = """
[samples.join]
windows = { click = 600, like = 1800, watch = 1800 }
skew_s = 60
part_events = 4096
[samples.guard]
baseline = 12
healthy = 3
season = 0
"""


def stream(seed: int = 0, broken: tuple[int, int] = (BREAK, END), n_minutes: int = N_MINUTES) -> EventBatch:
    """Feeds of five; 40 % of what they show is clicked, and half of that watched, after 5 s on average."""
    random = rng(seed, "stream")
    n = n_minutes * A_MINUTE
    shown_ms = START + (np.arange(n) // 5) * 5 * MINUTE // A_MINUTE
    clicked = np.flatnonzero(random.random(n) < 0.4)
    click_ms = shown_ms[clicked] + random.exponential(5000, len(clicked)).astype(np.int64)
    arrives = (click_ms < START + broken[0] * MINUTE) | (click_ms >= START + broken[1] * MINUTE)
    clicked, click_ms = clicked[arrives], click_ms[arrives]
    watched = np.flatnonzero(random.random(len(clicked)) < 0.5)
    row = np.concatenate([np.arange(n), clicked, clicked[watched]])
    time_ms = np.concatenate([shown_ms, click_ms, click_ms[watched] + 1000])
    kind = np.repeat([int(Kind.IMPRESSION), int(Kind.CLICK), int(Kind.WATCH)], [n, len(clicked), len(watched)])
    order = np.argsort(time_ms, kind="stable")
    row = row[order]
    return EventBatch.of(
        {
            "time_ms": time_ms[order],
            "kind": kind[order].astype(np.int8),
            "value": np.where(kind == Kind.WATCH, 12.0, 1.0)[order].astype(np.float32),
            "user_id": (row // 5 % 997).tolist(),
            "item_id": (row % 5).tolist(),
            "request_id": (row // 5).tolist(),
            "position": (row % 5).astype(np.int16),
        }
    )


def watched(events: EventBatch, cuts: list[int], state: str = "") -> Watch:
    """A watch that has seen the log, in pieces."""
    joiner, watch = Joiner(JOIN, GUARD.window_s), Watch(GUARD, Joiner(JOIN).groups, state)
    for low, high in zip([0, *cuts], [*cuts, len(events)], strict=True):
        watch.feed(events[low:high], low, joiner.feed(events[low:high], low).ticks)
    return watch


def minutes(time_ms: int) -> float:
    return (time_ms - START) / MINUTE


def test_clicks_that_stop_are_found_within_two_windows_though_samples_wait_for_ten_minutes() -> None:
    events = stream()
    upto = int(np.searchsorted(events.numpy("time_ms"), START + (BREAK + 2) * MINUTE + 2000))
    now = watched(events[:upto], [])
    assert now.guard.is_open
    watch = watched(events, [])
    (stretch,) = watch.guard.stretches
    assert BREAK - 3.1 < minutes(stretch.from_ms) <= BREAK - GUARD.margin_s / 60 + 1
    assert END + GUARD.healthy - 1 < minutes(stretch.to_ms) < END + 8
    assert any(reason.startswith("click: 0 where 0.4") for reason in stretch.reasons)
    assert any(reason.startswith("watched minutes") for reason in stretch.reasons), "watches hang on clicks here"


def test_a_window_counts_what_passed_in_it() -> None:
    """The last tick of a joiner against plain counting; the windows are of one minute each."""
    events = stream(broken=(0, 0), n_minutes=20)
    ticks = Joiner(JOIN).feed(events, 0).ticks
    assert np.all(np.diff(ticks[:, 1]) // MINUTE == 1)
    watch = watched(events, [])
    usual = watch.guard.usual()
    assert usual["click"] == pytest.approx(0.4, abs=0.03)
    assert usual["watch"] == pytest.approx(0.2, abs=0.03)
    assert usual["watched minutes"] == pytest.approx(0.2 * 12 / 60, abs=0.01)
    kind, low, high = events.numpy("kind"), int(ticks[-2, 0]), int(ticks[-1, 0])
    shown = (kind[low:high] == Kind.IMPRESSION).sum()
    assert ticks[-1, 3] - ticks[-2, 3] == shown
    held = msgspec.json.decode(watch.state())
    last = events[high:]
    assert held["shapes"]["position"] == [0.0] + [
        float(((last.numpy("kind") == 0) & (last.numpy("position") == p)).sum()) for p in range(BINS - 1)
    ]


@given(st.lists(st.integers(1, 10_000), max_size=4), st.integers(0, 3))
def test_however_the_log_is_cut_it_judges_the_same(cuts: list[int], seed: int) -> None:
    events = stream(seed, broken=(15, 19), n_minutes=25)
    cuts = sorted({min(c, len(events)) for c in cuts})
    whole = watched(events, [])
    assert whole.guard.stretches
    assert watched(events, cuts).state() == whole.state()


def test_said_by_hand_in_the_log_it_is_heeded_there() -> None:
    events = stream()
    at = int(np.searchsorted(events.numpy("time_ms"), START + 35 * MINUTE))
    said = [event(Order("resume", "ann", "a new button"), 0), event(Order("quarantine", "bob", "a test", 7, 9), 0)]
    watch = watched(EventBatch.concat([events[:at], *said, events[at:]]), [])
    found, by_hand = watch.guard.stretches[:2]
    assert 34 <= minutes(found.to_ms) <= 35
    assert (by_hand.from_ms, by_hand.to_ms, by_hand.who, by_hand.reasons) == (7, 9, "bob", ["a test"])
    assert watch.verdict().resumes == 1
    broken = event(Order("resume"), 0).take(np.array([0]))
    broken = EventBatch.of({"time_ms": 0, "kind": int(Kind.GUARD), "payload": ["not JSON"]})
    assert watched(EventBatch.concat([broken, events]), []).guard.stretches == watched(events, []).guard.stretches


def test_the_joiner_tells_learners_at_once_and_the_same_after_a_restart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    events = stream()
    at = Workspace.create(tmp_path / "shop", TOML)
    assert verdict_of(at) is None
    steps = [0, 7000, int(np.searchsorted(events.numpy("time_ms"), START + 33 * MINUTE)), 15_000, len(events)]
    with caplog.at_level(logging.WARNING, "feedmill.guard"):
        for low, high in itertools.pairwise(steps):
            log = SqliteLog(at.log)
            log.append(events[low:high])
            log.close()
            run(at)
            found = verdict_of(at)
            assert found is not None
            assert found == watched(events[:high], []).verdict()
            if high == steps[2]:
                assert found.is_open
                status = msgspec.json.decode((at.path / "status" / "guard.json").read_bytes())
                assert (status["part"], status["state"]) == ("guard", "open")
                assert "click: 0 where" in status["words"][0]
    assert any("stops learning" in r.getMessage() for r in caplog.records)
    assert any("learns again" in r.getMessage() for r in caplog.records)
    ended = verdict_of(at)
    assert ended is not None
    assert not ended.is_open
    run(at, again=True)
    assert verdict_of(at) == ended


@pytest.mark.parametrize("n", [0, 8192, 9000])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text('{"offset": 1}')])
def test_what_the_guard_wrote_is_made_again_by_the_joiner_and_refused_till_then(
    tmp_path: Path, n: int, damage: Callable[[Path], None]
) -> None:
    """Also when nothing is new: the log ends at a checkpoint, or is empty."""
    at = Workspace.create(tmp_path / "shop", TOML)
    log = SqliteLog(at.log)
    log.append(EventBatch.concat([stream()[: max(n - 1, 0)], event(Order("quarantine", "bob", "a test", 7, 9), 0)])[:n])
    assert log.end == n
    log.close()
    run(at)
    before = verdict_of(at)
    assert before is not None
    assert bool(before.stretches) == bool(n)
    damage(at.path / "samples" / "guard.json")
    with pytest.raises(ArtifactError, match="feedmill join"):
        verdict_of(at)
    run(at)
    assert verdict_of(at) == before


def test_an_alarm_is_not_raised_again_by_a_restart(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    at = Workspace.create(tmp_path / "shop", TOML)
    log = SqliteLog(at.log)
    log.append(stream())
    log.close()
    with caplog.at_level(logging.WARNING, "feedmill.guard"):
        run(at)
        n = len(caplog.records)
        assert n
        run(at)
    assert len(caplog.records) == n
