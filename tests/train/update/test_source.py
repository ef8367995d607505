"""What a night learns from: the joiner's impressions, each once; or the log's own rows where nobody joins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.workspace import Workspace
from feedmill.log.sqlite import SqliteLog
from feedmill.samples import SamplesConfig
from feedmill.samples.guard import verdict_of
from feedmill.samples.joiner.run import run, stored
from feedmill.state import Replay, State
from feedmill.train.update.source import rows_of_night, since
from shown_worlds import impressions
from worlds import tastes

CONFIG = SamplesConfig()
TOML = """
[samples.join]
windows = { click = 600, like = 1800 }
skew_s = 60
part_events = 1024
[samples.guard]
window_s = 60
"""


def told(replay: Replay) -> State:
    state = State()
    state.fold(replay.events)
    return state


def test_a_night_of_the_log_begins_at_an_offset() -> None:
    events, _ = impressions(n=200, n_users=8, n_items=6)
    replay = Replay(events, State())
    rows = since(120, replay, told(replay), CONFIG, 0, ("click", "share"))
    assert rows.probe.at.min() >= 120
    every = since(0, replay, told(replay), CONFIG, 0)
    assert len(rows) == int((every.probe.at[every.probe.request_of] >= 120).sum())
    assert {"click", "share"} <= set(rows.heads)
    absent = rows.heads.index("share")
    assert not rows.labels[:, absent].any()
    assert rows.mask[:, absent].all()


def shop(folder: Path, events: EventBatch) -> Workspace:
    at = Workspace.create(folder, TOML)
    log = SqliteLog(at.log)
    log.append(events)
    log.close()
    return at


def test_nights_of_the_joiner_give_every_impression_once_with_final_labels(tmp_path: Path) -> None:
    """As the log grows, each night begins where the one before ended; none knows a label that may yet change."""
    events, _ = impressions(n=900, n_users=8, n_items=6, rate=0.3, keyed=True)
    at, offset, found, high = shop(tmp_path / "shop", events[:0]), 0, [], 0
    for night_end in (500, 900, len(events)):
        log = SqliteLog(at.log)
        log.append(events[high:night_end])
        log.close()
        high = night_end
        run(at)
        replay = Replay.of_workspace(at)
        rows, upto = rows_of_night(at, replay, told(replay), verdict_of(at), offset, ("click",), 0)
        assert offset <= rows.probe.at.min() <= rows.probe.at.max() < upto <= replay.end
        found += list(zip(rows.probe.at.tolist(), rows.labels.tolist(), strict=True))
        offset = upto
    assert rows.mask.all()
    kind, request = events.numpy("kind"), events.table.column("request_id").to_numpy(zero_copy_only=False)
    shown = np.flatnonzero(kind == Kind.IMPRESSION)[: len(found)]
    assert len(found) > 700
    assert [place for place, _ in found] == shown.tolist()
    for head in ("click", "like"):
        labels = np.array([said[rows.heads.index(head)] for _, said in found])
        acted = np.isin(request[shown], request[kind == Kind[head.upper()]])
        np.testing.assert_array_equal(labels > 0, acted)
    with pytest.raises(DataError, match=f"0 requests since offset {offset:,} whose windows"):
        rows_of_night(at, replay, told(replay), verdict_of(at), offset, (), 0)


def test_what_the_guard_has_not_judged_is_left_to_the_next_night(tmp_path: Path) -> None:
    events, _ = impressions(n=900, n_users=8, n_items=6, keyed=True)
    at = shop(tmp_path / "shop", events)
    run(at)
    replay, verdict = Replay.of_workspace(at), verdict_of(at)
    assert verdict is not None
    assert 0 < verdict.offset <= stored(at)
    _, upto = rows_of_night(at, replay, told(replay), verdict, 0, (), 0)
    earlier = replace(verdict, offset=verdict.offset // 2)
    rows, sooner = rows_of_night(at, replay, told(replay), earlier, 0, (), 0)
    assert rows.probe.at.max() < sooner < verdict.offset // 2 < upto
    with pytest.raises(DataError, match="whose windows have closed"):
        rows_of_night(at, replay, told(replay), None, 0, (), 0)


@pytest.mark.parametrize("why", ["nobody joins", "there are no impressions", "negatives are drawn"])
def test_else_the_log_gives_its_rows(tmp_path: Path, why: str) -> None:
    events = tastes() if why == "there are no impressions" else impressions(n=300, keyed=True)[0]
    at = shop(tmp_path / "shop", events)
    if why == "negatives are drawn":
        at = Workspace.open(at.path, {"samples.negatives": "drawn"})
    if why != "nobody joins":
        run(at)
    replay = Replay.of_workspace(at)
    rows, upto = rows_of_night(at, replay, told(replay), verdict_of(at), 200, ("click",), 0)
    config = at.section("samples", SamplesConfig, drop=["join", "guard"])
    expected = since(200, replay, told(replay), config, 0, ("click",))
    assert upto == replay.end == len(events)
    np.testing.assert_array_equal(rows.labels, expected.labels)
    np.testing.assert_array_equal(rows.probe.item, expected.probe.item)
