"""``feedmill report watch-time``: a page and its pictures, of a workspace or a file."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from cli.conftest import Run
from feedmill.cli.charts import canvas
from feedmill.cli.charts.watched import of_file, of_workspace
from feedmill.cli.reports.watch_time import summary
from feedmill.core.clock import rng
from feedmill.core.errors import ConfigError, DataError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.workspace import Workspace
from feedmill.log.whole import open_log
from shown_worlds import impressions
from worlds import START_MS, tastes

PICTURES = {"labels.png", "wce-curves.png", "wce-gradient.png", "targets.png", "ordinal.png"}


@pytest.fixture(autouse=True)
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canvas, "DPI", 40)  # letters take the time


def csv(folder: Path, seconds: np.ndarray, duration: np.ndarray) -> Path:
    file = folder / "views.csv"
    rows = [f"1,{k},{d * 1e3:.0f},{t * 1e3:.0f}" for k, (t, d) in enumerate(zip(seconds, duration, strict=True))]
    file.write_text("\n".join(["user_id,video_id,duration_ms,playing_time", *rows]) + "\n")
    return file


@pytest.fixture
def views(tmp_path: Path) -> Path:
    random = rng(0, "views")
    return csv(tmp_path, random.exponential(20, 600), random.uniform(5, 60, 600))


def workspace(folder: Path, events: EventBatch) -> Workspace:
    sections = "[retrieval.channels.popular]\n[samples.interest]\nis_binary = true\n"
    (folder / "feedmill.toml").write_text(sections)
    log = open_log(Workspace.open(folder))
    try:
        log.append(events)
    finally:
        log.close()
    return Workspace.open(folder)


def figures(folder: Path) -> Path:
    rows = [{"what": "known: mse", "metric": "XAUC", "value": 0.6, "low": 0.5, "high": 0.7}]
    rows += [{"what": "known: mse", "metric": "ms per 1,000 rows", "value": 0.6, "low": 0.5, "high": 0.7}]
    rows += [
        {"what": "known: mse", "metric": f"PCOC fifth {k}", "value": 1.0, "low": 0.9, "high": 1.1} for k in range(1, 6)
    ]
    (folder / "figures.json").write_text(json.dumps(rows))
    return folder / "figures.json"


def test_the_page_names_every_picture_and_the_bytes_are_the_same_again(tmp_path: Path, views: Path, run: Run) -> None:
    pytest.importorskip("matplotlib")
    out, again = tmp_path / "deep" / "out", tmp_path / "again"
    for folder in (out, again):
        done = run("report", "watch-time", "--data", views, "--from", figures(tmp_path), "--out", folder)
        assert done.exit_code == 0, done.output
    text = (out / "index.html").read_text("utf-8")
    shown = set(re.findall(r'<img src="([^"]+)" alt="[^"]{20,}"', text))
    drawn = {f.name for f in out.iterdir()} - {"index.html"}
    assert shown == drawn == PICTURES | {"calibration-known.png", "xauc-cost-known.png"}
    assert len(re.findall("<figcaption>.{60,}", text)) == len(shown)
    assert "600 rows of views.csv" in text
    for file in out.iterdir():
        assert file.read_bytes() == (again / file.name).read_bytes(), file.name
    assert all((out / name).read_bytes().startswith(b"\x89PNG") for name in drawn)


def test_a_workspace_s_page_has_no_comparison_without_figures(tmp_path: Path, run: Run) -> None:
    pytest.importorskip("matplotlib")
    workspace(tmp_path, impressions(600, rate=0.3)[0])
    done = run("report", "watch-time", "--dir", tmp_path, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert {f.name for f in (tmp_path / "out").iterdir()} == PICTURES | {"index.html"}


def test_rows_of_a_workspace_are_its_impressions_with_known_watch_times(tmp_path: Path) -> None:
    events, _ = impressions(400, n_users=5000, rate=0.3)
    watched = of_workspace(workspace(tmp_path, events))
    at = events.numpy("kind") == Kind.WATCH
    assert len(watched.seconds) == 400  # what nothing came of was watched 0 s
    assert watched.seconds.sum() == pytest.approx(events.numpy("value")[at].sum())
    assert (watched.seconds > 0).sum() == at.sum()
    ratio = watched.seconds / watched.duration
    assert np.unique(ratio.round(4)).tolist() == [0, 0.2, 1]


def test_rows_of_a_log_without_impressions_are_its_watch_events(tmp_path: Path) -> None:
    item = {"time_ms": START_MS, "kind": int(Kind.ITEM), "item_id": "a", "payload": '{"duration_s": 8.0}'}
    rows = [{"time_ms": START_MS + k, "kind": int(Kind.WATCH), "user_id": "u", "item_id": i, "value": v}
            for k, (i, v) in enumerate((("a", 4.0), ("b", 9e6), ("a", -1.0)))]  # fmt: skip
    watched = of_workspace(workspace(tmp_path, EventBatch.rows([item, *rows])))
    assert watched.seconds.tolist() == [4, 3600]
    assert watched.duration[0] == 8
    assert np.isnan(watched.duration[1])


def test_rows_of_a_file_that_are_none_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text("playing_time,duration_ms\n1000,2000\n-5,2000\n,2000\n3000,0\n")
    watched = of_file(file)
    assert watched.seconds.tolist() == [1, 3]
    assert watched.duration[0] == 2
    assert np.isnan(watched.duration[1])
    assert watched.of == "2 rows of x.csv (2 more have no watch time)"


def test_the_table_has_a_line_for_each_fifth_of_durations(tmp_path: Path) -> None:
    duration = np.repeat(np.arange(10.0, 60.0, 10.0), 20)
    lines = summary(of_file(csv(tmp_path, duration / 2, duration)))
    assert [row[1] for row in lines.rows] == ["100", "20", "20", "20", "20", "20"]
    assert [row[2] for row in lines.rows] == ["15.0", "5.0", "10.0", "15.0", "20.0", "25.0"]
    assert {row[-1] for row in lines.rows} == {"0%"}


def test_without_matplotlib_it_says_what_to_install(
    tmp_path: Path, views: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    refused = run("report", "watch-time", "--data", views, "--out", tmp_path / "out")
    assert isinstance(refused.exception, ConfigError)
    assert "feedmill[report]" in str(refused.exception)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "bench --json"),
        ("nonsense", "bench --json"),
        ('[{"what": "census: mmoe", "metric": "AUC", "value": 1}]', "watch-time"),
    ],
)
def test_figures_of_something_else_are_refused(
    tmp_path: Path, views: Path, run: Run, text: str | None, said: str
) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / "wrong.json"
    if text is not None:
        file.write_text(text)
    refused = run("report", "watch-time", "--data", views, "--from", file, "--out", tmp_path / "out")
    assert isinstance(refused.exception, DataError)
    assert said in str(refused.exception)
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_drawn_is_refused_in_words(tmp_path: Path, run: Run) -> None:
    with pytest.raises(DataError, match="playing_time"):
        of_file(tmp_path / "none.csv")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="playing_time"):
        of_file(tmp_path / "other.csv")
    with pytest.raises(DataError, match="none of kind watch"):
        of_workspace(workspace(tmp_path, tastes()))
    pytest.importorskip("matplotlib")
    same = csv(tmp_path, np.full(9, 4.0), np.full(9, 8.0))
    refused = run("report", "watch-time", "--data", same, "--out", tmp_path / "out")
    assert isinstance(refused.exception, DataError)
    assert "1 distinct" in str(refused.exception)
    views = csv(tmp_path, np.arange(9.0), np.full(9, 8.0))
    refused = run("report", "watch-time", "--data", views, "--out", views)
    assert isinstance(refused.exception, DataError)
    assert "--out" in str(refused.exception)
