"""``feedmill report business``: a table, figures and a page out of a workspace's log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.conftest import Run
from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.workspace import Workspace
from feedmill.log.whole import open_log
from metrics.rollup.test_units import act, item, seen


def workspace(folder: Path, events: list[dict[str, object]], zone: str = "Asia/Shanghai") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "feedmill.toml").write_text(f'[samples.join]\ntimezone = "{zone}"\n')
    log = open_log(Workspace.open(folder))
    log.append(EventBatch.rows(events))
    log.close()
    return folder


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    events = [item("i1", author_id="u1", duration_s=20, topics=["t"])]
    for day in range(20):
        for user in ("u1", "u2") if day % 2 else ("u1",):
            events += [seen(user, day), act(user, day), act(user, day, Kind.WATCH, value=6 + day)]
    return workspace(tmp_path_factory.mktemp("month"), events)


def test_the_table_leads_with_the_north_star_and_names_what_has_no_data(month: Path, run: Run) -> None:
    done = run("report", "business", "--dir", month)
    assert done.exit_code == 0, done.output
    for words in ("days of Asia/Shanghai", "is not over", "dau", "click_rate", "100.00%", "no data:", "like_rate"):
        assert words in done.output
    assert done.output.index("north star") < done.output.index("consumption")


def test_figures_have_windows_and_days(month: Path, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    assert run("report", "business", "--dir", month, "--json", file).exit_code == 0
    found = json.loads(file.read_text())
    assert found["timezone"] == "Asia/Shanghai"
    of = {m["name"]: m for m in found["measures"]}
    assert [w["days"] for w in of["dau"]["windows"]] == [1, 7, 28]
    assert of["dau"]["windows"][0]["value"] == 1  # day 18: the last, 19, is not over
    assert [value for _, value in of["dau"]["daily"]] == [1.0, 2.0] * 10
    assert of["like_rate"]["windows"][1] == {"days": 7, "value": None, "before": None, "change": None}


def test_a_second_report_reads_only_what_is_new(month: Path, run: Run) -> None:
    first = run("report", "business", "--dir", month).output
    segments = sorted((month / "rollups").glob("*/*"))
    assert segments
    assert run("report", "business", "--dir", month).output == first
    assert sorted((month / "rollups").glob("*/*")) == segments


def test_the_page_has_a_picture_for_each_group_with_data(month: Path, run: Run, tmp_path: Path) -> None:
    done = run("report", "business", "--dir", month, "--out", tmp_path / "page")
    assert done.exit_code == 0, done.output
    drawn = {p.name for p in (tmp_path / "page").iterdir()}
    assert drawn == {"index.html", "north_star.png", "consumption.png", "diversity.png"}
    page = (tmp_path / "page" / "index.html").read_text()
    assert "time_per_user" in page
    assert all(f'src="{name}"' in page for name in drawn - {"index.html"})


def test_an_empty_log_says_that_there_is_no_data(run: Run, tmp_path: Path) -> None:
    done = run("report", "business", "--dir", workspace(tmp_path / "empty", []))
    assert isinstance(done.exception, DataError)
    assert "no data" in str(done.exception)
