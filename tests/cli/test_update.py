"""``feedmill update``: a night, and the minutes in between, on a workspace."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from cli.conftest import Run
from feedmill.core.errors import ArtifactError, ConfigError, DataError
from feedmill.core.workspace import Workspace
from feedmill.log.whole import open_log
from feedmill.publish import current, load
from feedmill.publish.delta import newest
from feedmill.samples.guard import verdict_of
from feedmill.samples.joiner import parts
from shown_worlds import SMALL_RANKER, impressions

TOML = f"""
[retrieval.channels.popular]
{SMALL_RANKER}[update.nightly]
hold_share = 0.3
"""


def grow(folder: Path, low: int, high: int | None, run: Run) -> None:
    """Events come, and are joined."""
    log = open_log(Workspace.open(folder))
    try:
        log.append(impressions(4000, rate=0.3, keyed=True)[0][low:high])
    finally:
        log.close()
    assert run("join", "--dir", folder).exit_code == 0


@pytest.mark.slow
def test_a_day_of_a_workspace(tmp_path: Path, run: Run) -> None:
    """Trained, learned on by the minute, then by night: the deltas go on where they stopped, a version supersedes them,
    and what was learned for good is learned by nobody again."""
    (tmp_path / "feedmill.toml").write_text(TOML)
    grow(tmp_path, 0, 4000, run)
    assert run("train", "--dir", tmp_path).exit_code == 0
    root = tmp_path / "artifacts"
    base = current(root)
    assert base is not None
    assert "nothing new whose window closed" in run("update", "--incremental", "--dir", tmp_path).output
    grow(tmp_path, 4000, 5000, run)
    first = run("update", "--incremental", "--dir", tmp_path)
    assert first.exit_code == 0, first.output
    assert "nothing new whose window closed" in run("update", "--incremental", "--dir", tmp_path).output
    grow(tmp_path, 5000, None, run)
    assert run("update", "--incremental", "--dir", tmp_path).exit_code == 0
    delta = newest(root, base)
    assert delta is not None
    assert delta.seq == 2
    assert delta.about["offset"] > 5000
    assert delta.about["n_labels"] == n_labels(tmp_path, 4000, delta.about["offset"])
    assert delta.n_rows > 0
    strict = run("update", "--full", "--dir", tmp_path, "--set", 'publish.gate.at_most={"ne.*" = 0.5}')
    assert isinstance(strict.exception, ArtifactError)
    assert "ne.click" in str(strict.exception)
    assert current(root) == base, "what the gate refuses is not served"
    night = run("update", "--full", "--dir", tmp_path)
    assert night.exit_code == 0, night.output
    version = current(root)
    assert version != base
    about = load(root).about
    assert about["base"] == base
    assert (about["from_offset"], about["negatives"]) == (4000, f"{about['n_samples']:,} rows since offset 4,000")
    new = complete(tmp_path, 4000)
    assert about["upto_offset"] == max(new) + 1 < about["offset"]
    n_held = round(0.3 * len(new))
    assert about["n_samples"] == len(complete(tmp_path, 0)) - n_held, "trees are grown anew, the newest are held out"
    assert about["metrics"]["ne"].keys() == about["metrics_of_base"]["ne"].keys() == {"click"}
    assert np.isfinite(about["metrics"]["ne"]["click"])
    assert newest(root, str(version)) is None, "it begins without deltas"
    assert run("update", "--incremental", "--dir", tmp_path).exit_code == 0
    delta = newest(root, str(version))
    assert delta is not None
    known = n_labels(tmp_path, about["upto_offset"], delta.about["offset"])
    assert delta.about["n_labels"] == known > 0, "of what waits for its shares, clicks and likes are known already"
    assert isinstance(run("update", "--full", "--dir", tmp_path).exception, DataError)


def complete(folder: Path, start: int) -> list[int]:
    """Offsets of impressions from ``start`` on that all windows have closed of and the guard has judged."""
    at = Workspace.open(folder)
    verdict = verdict_of(at)
    assert verdict is not None
    rows = pa.concat_tables(parts.closed(folder / "samples", 0, verdict.offset)).to_pylist()
    return [row["offset"] for row in rows if row["is_complete"] and row["offset"] >= start]


def n_labels(folder: Path, start: int, stop: int) -> int:
    """Labels that are final by offset ``stop``: a click's and a finish's after 15 minutes, a like's after 30."""
    rows = pa.concat_tables(parts.closed(folder / "samples", 0, stop)).to_pylist()
    new = [row["window_s"] for row in rows if row["offset"] >= start]
    return 2 * new.count(900.0) + new.count(1800.0)


def test_what_it_cannot_do(tmp_path: Path, run: Run) -> None:
    (tmp_path / "feedmill.toml").write_text(TOML)
    neither = run("update", "--dir", tmp_path)
    assert isinstance(neither.exception, ConfigError)
    assert "--full or --incremental" in str(neither.exception)
    for way in ("--full", "--incremental"):
        assert isinstance(run("update", way, "--dir", tmp_path).exception, ArtifactError)


@pytest.mark.slow
def test_where_nobody_joins_the_minutes_wait_and_the_night_learns_from_the_log(tmp_path: Path, run: Run) -> None:
    (tmp_path / "feedmill.toml").write_text(TOML)
    log = open_log(Workspace.open(tmp_path))
    events = impressions(4000, rate=0.3)[0]
    log.append(events[:4000])
    assert run("train", "--dir", tmp_path).exit_code == 0
    log.append(events[4000:])
    log.close()
    said = run("update", "--incremental", "--dir", tmp_path).output
    assert "nothing has been joined and judged yet: feedmill join" in said
    night = run("update", "--full", "--dir", tmp_path)
    assert night.exit_code == 0, night.output
    about = load(tmp_path / "artifacts").about
    assert about["from_offset"] == 4000
    assert about["upto_offset"] == about["offset"] == len(events)
