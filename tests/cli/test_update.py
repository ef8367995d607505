"""``feedmill update``: a night, and the minutes in between, on a workspace."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cli.conftest import Run
from feedmill.core.errors import ArtifactError, ConfigError
from feedmill.core.workspace import Workspace
from feedmill.log.whole import open_log
from feedmill.publish import current, load
from feedmill.publish.delta import newest
from shown_worlds import SMALL_RANKER, impressions

TOML = f"""
[retrieval.channels.popular]
{SMALL_RANKER}[update.nightly]
hold_share = 0.3
"""


def append(folder: Path, low: int, high: int | None) -> None:
    log = open_log(Workspace.open(folder))
    try:
        log.append(impressions(4000, rate=0.3)[0][low:high])
    finally:
        log.close()


@pytest.mark.slow
def test_a_day_of_a_workspace(tmp_path: Path, run: Run) -> None:
    """Trained, learned on by the minute, then by night: the deltas go on where they stopped, and a version supersedes
    them."""
    (tmp_path / "feedmill.toml").write_text(TOML)
    append(tmp_path, 0, 4000)
    assert run("train", "--dir", tmp_path).exit_code == 0
    root = tmp_path / "artifacts"
    base = current(root)
    assert base is not None
    assert "nothing that has been waited for" in run("update", "--incremental", "--dir", tmp_path).output
    append(tmp_path, 4000, 5000)
    first = run("update", "--incremental", "--dir", tmp_path)
    assert first.exit_code == 0, first.output
    append(tmp_path, 5000, None)
    assert run("update", "--incremental", "--dir", tmp_path).exit_code == 0
    delta = newest(root, base)
    assert delta is not None
    assert delta.seq == 2
    assert delta.about["offset"] > 5000
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
    assert about["from_offset"] == 4000
    assert about["metrics"]["ne"].keys() == about["metrics_of_base"]["ne"].keys() == {"click"}
    assert np.isfinite(about["metrics"]["ne"]["click"])
    assert newest(root, str(version)) is None, "it begins without deltas"


def test_what_it_cannot_do(tmp_path: Path, run: Run) -> None:
    (tmp_path / "feedmill.toml").write_text(TOML)
    neither = run("update", "--dir", tmp_path)
    assert isinstance(neither.exception, ConfigError)
    assert "--full or --incremental" in str(neither.exception)
    for way in ("--full", "--incremental"):
        assert isinstance(run("update", way, "--dir", tmp_path).exception, ArtifactError)
