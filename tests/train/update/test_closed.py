"""What has closed since the last step: every label once, as it is final, with everything as of when it was shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from feedmill.core.batches import Mask, Times
from feedmill.core.events import EventBatch
from feedmill.core.workspace import Workspace
from feedmill.log.sqlite import SqliteLog
from feedmill.samples import SamplesConfig, sample
from feedmill.samples.guard import quarantined
from feedmill.samples.guard.windows import Stretch
from feedmill.samples.joiner.run import run, stored
from feedmill.state import State
from feedmill.train.update import closed as module
from feedmill.train.update.closed import Closed, closed, state_at
from shown_worlds import impressions

TOML = """
[samples.join]
windows = { click = 600, like = 1800, watch = 600, finish = 600 }
skew_s = 60
part_events = 1024
"""
HEADS = frozenset({"click", "like"})
EVENTS, _ = impressions(n=1500, n_users=8, n_items=6, rate=0.3, keyed=True)


def always(time_ms: Times) -> Mask:
    return np.ones(len(time_ms), np.bool_)


class Shop:
    """A workspace whose log grows and is joined."""

    def __init__(self, folder: Path, events: EventBatch = EVENTS) -> None:
        self.at, self.events, self.high = Workspace.create(folder, TOML), events, 0

    def grow(self, high: int) -> None:
        log = SqliteLog(self.at.log)
        log.append(self.events[self.high : high])
        log.close()
        self.high = high
        run(self.at)

    def closed(self, since: int, first: int = 0, may: Callable[[Times], Mask] = always) -> list[Closed]:
        log = SqliteLog(self.at.log)
        try:
            return list(closed(self.at, log, since, stored(self.at), first, may, HEADS))
        finally:
            log.close()


def labels(found: list[Closed], head: str) -> dict[int, float]:
    """Time of each impression whose label was given -> the label; impressions of this log have times of their own."""
    out: dict[int, float] = {}
    for step in found:
        at = step.samples.heads.index(head)
        rows = np.flatnonzero(step.samples.mask[:, at])
        times = step.samples.probe.time_ms[step.samples.probe.request_of[rows]].tolist()
        assert not set(times) & set(out), "a label was given twice"
        out |= dict(zip(times, step.samples.labels[rows, at].tolist(), strict=True))
    return out


def test_however_often_it_is_asked_every_label_comes_once(tmp_path: Path) -> None:
    often, once, found = Shop(tmp_path / "often"), Shop(tmp_path / "once"), list[Closed]()
    for high in (200, 210, 900, 1400, 2000, len(EVENTS)):
        often.grow(high)
        found += often.closed(found[-1].upto if found else 0)
        assert found[-1].upto <= high
        assert not often.closed(found[-1].upto), "nothing new"
    once.grow(len(EVENTS))
    whole = once.closed(0)
    assert len(whole) < len(found)
    for head in HEADS:
        assert labels(found, head) == labels(whole, head)
    assert len(labels(whole, "click")) > len(labels(whole, "like")) > 1400, "a click need not wait for likes"
    assert found[-1].upto == whole[-1].upto


def test_everything_is_as_of_when_it_was_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answers of one fold of the whole log, though rows come late, in pieces, and from a snapshot."""
    monkeypatch.setattr(module, "BEFORE", 50)
    shop, found = Shop(tmp_path / "shop"), list[Closed]()
    for high in (900, 1400, len(EVENTS)):
        shop.grow(high)
        found += shop.closed(found[-1].upto if found else 0)
    assert any(shop.at.learner.iterdir())
    state = State()
    state.register(EVENTS)
    samples, _ = sample(EVENTS, state, SamplesConfig(min_positives=1), 0)
    probed = state.fold(EVENTS, samples.probe)
    assert probed is not None
    of = {time_ms: row for row, time_ms in enumerate(samples.probe.time_ms.tolist())}
    n = 0
    for step in found:
        rows = [of[time_ms] for time_ms in step.samples.probe.time_ms.tolist()]  # one item is a request here
        assert rows == sorted(rows)
        np.testing.assert_array_equal(step.probed.item, probed.item[rows])
        np.testing.assert_array_equal(step.probed.item_counts, probed.item_counts[rows])
        np.testing.assert_array_equal(step.probed.users.history, probed.users.history[rows])
        np.testing.assert_array_equal(step.probed.users.counts, probed.users.counts[rows])
        n += len(rows)
    assert n > 1500, "some come twice, for their clicks and then for their likes"


def test_what_the_full_version_has_learned_and_what_is_in_quarantine_is_left_out(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    shop.grow(len(EVENTS))
    every = labels(shop.closed(0), "like")
    times = sorted(every)
    first_ms = int(EVENTS.numpy("time_ms")[1000])
    assert set(labels(shop.closed(0, first=1000), "like")) == {t for t in times if t >= first_ms}
    stretch = Stretch(times[100], times[200])
    some = labels(shop.closed(0, may=lambda t: ~quarantined([stretch], t)), "like")
    assert set(some) == {*times[:100], *times[200:]}


def test_a_snapshot_that_is_too_new_is_no_use(tmp_path: Path) -> None:
    """As after learning was undone; then, and where there is none, the log is folded from its start."""
    shop = Shop(tmp_path / "shop")
    shop.grow(len(EVENTS))
    log = SqliteLog(shop.at.log)
    plain = State()
    plain.fold(EVENTS[:700])
    for offset in (1000, 700, 700):
        state = state_at(shop.at, log, offset)
        assert state.offset == offset
        assert [int(p.name) for p in shop.at.learner.iterdir()] == [offset]
    log.close()
    user, items = plain.view("u3", plain.newest_ms), np.arange(1, 7, dtype=np.int32)
    np.testing.assert_array_equal(state.probe(user, items).item_counts, plain.probe(user, items).item_counts)
