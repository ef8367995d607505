"""``feedmill join`` and ``feedmill report join`` on a log with impressions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.conftest import Run
from feedmill.core.errors import ConfigError, DataError
from feedmill.core.events import EventBatch, Kind
from feedmill.log.sqlite import SqliteLog
from samples.joiner.plain import event


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A feed every minute; every other one is clicked, the sixth after half an hour."""
    folder = tmp_path_factory.mktemp("shown")
    (folder / "feedmill.toml").write_text("[samples.join]\nwitnesses = 1\n")
    rows = []
    for k in range(120):
        rows.append(event(Kind.IMPRESSION, 60 * k, f"r{k}", "x"))
        if k % 2 == 0:
            rows.append(event(Kind.CLICK, 60 * k + (1800 if k % 6 == 0 else 5), f"r{k}", "x"))
    log = SqliteLog(folder / "log.sqlite")
    log.append(EventBatch.rows(rows))
    log.close()
    return folder


def test_samples_are_joined_and_counted(shown: Path, run: Run) -> None:
    done = run("join", "--dir", shown)
    assert done.exit_code == 0, done.output
    assert "120 impressions = 55 samples with all labels + 65 waiting" in " ".join(done.output.split())
    click = next(line.split() for line in done.output.splitlines() if line.strip().startswith("click"))
    # 900 s; seen, joined, grown, dup., late, orphan, organic, early; samples, positive, negative
    assert click == ["click", "900", "s", "60", "40", "0", "0", "20", "0", "0", "0", "100", "33", "67"]
    assert list((shown / "samples").glob("day=*/part-*.parquet"))
    once = {p: p.read_bytes() for p in (shown / "samples").rglob("*.parquet")}
    assert run("join", "--dir", shown, "--again").exit_code == 0
    assert {p: p.read_bytes() for p in (shown / "samples").rglob("*.parquet")} == once


def test_the_report_says_what_a_window_would_lose(shown: Path, run: Run) -> None:
    done = run("report", "join", "--dir", shown, "--json", shown / "report.json", "--out", shown / "page")
    assert done.exit_code == 0, done.output
    report = json.loads((shown / "report.json").read_text())
    (click,) = report["delays"]
    within = dict(zip(report["grid_s"], click["within"], strict=True))
    assert (within[1], within[5], within[1800]) == (0, pytest.approx(2 / 3), 1)
    assert report["uneven"] == []
    assert "33.33%" in done.output
    assert "all sums even" in done.output
    assert (shown / "page" / "arrivals.png").stat().st_size > 5000
    assert "15 min" in (shown / "page" / "index.html").read_text()


def test_what_cannot_be_is_said(shown: Path, tmp_path: Path, run: Run) -> None:
    wrong = run("join", "--dir", shown, "-s", "samples.join.windows.clik=5").exception
    assert isinstance(wrong, ConfigError)
    assert 'did you mean "click"' in str(wrong)
    (tmp_path / "feedmill.toml").write_text("")
    assert isinstance(run("report", "join", "--dir", tmp_path).exception, DataError)
    assert run("join", "--dir", tmp_path).exit_code == 0  # an empty log has no samples, and that is fine
    assert run("config", "--dir", shown, "--explain").output.count("samples.join.") == 7
