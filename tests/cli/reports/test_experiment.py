"""``feedmill report experiment`` and ``holdout``: tables, a page with pictures, JSON, words for what there is not."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from matplotlib import image
from matplotlib.colors import to_rgb

from cli.conftest import Run
from cli.lived import CONFIG, lived
from feedmill.cli import show
from feedmill.cli.charts import canvas, experiment
from feedmill.core.errors import DataError, NotFoundError
from feedmill.experiments.analysis.report import Report


@pytest.fixture(autouse=True)
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canvas, "DPI", 40)  # letters take the time


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lived")
    lived(folder)
    return folder


@pytest.fixture(scope="module")
def report(workspace: Path, run: Run) -> Report:
    file = workspace / "report.json"
    out = run("report", "experiment", "longer", "-d", workspace, "--json", file)
    assert out.exit_code == 0, out.output
    assert "treated against control: better: seconds watched per user" in out.output
    assert re.search(r"time_per_user \* .*\+\d+\.\d% \[\+.*better", out.output)
    assert "no CLICK events" in out.output
    return msgspec.json.decode(file.read_bytes(), type=Report)


def test_a_page_has_the_table_and_three_pictures(report: Report, tmp_path: Path) -> None:
    assert experiment.page(report, tmp_path) == 3
    html = (tmp_path / "index.html").read_text()
    pictures = re.findall(r'<img src="([^"]+)"', html)
    assert pictures == ["effects.png", "days.png", "users.png"]
    assert all((tmp_path / name).stat().st_size > 1000 for name in pictures)
    assert "<td>time_per_user *</td>" in html
    assert "That is as planned." in html


def test_a_report_without_figures_is_a_page_without_pictures(report: Report, tmp_path: Path) -> None:
    empty = msgspec.structs.replace(report, rows=[], series={})
    assert experiment.page(empty, tmp_path) == 0
    assert "Experiment longer" in (tmp_path / "index.html").read_text()


def test_several_arms_and_a_flagged_split_are_said(report: Report, tmp_path: Path) -> None:
    ratio = msgspec.structs.replace(report.sample_ratio, is_flagged=True, p=1e-9)
    two = msgspec.structs.replace(report, sample_ratio=ratio, verdicts={"treated": "better", "other": "worse"})
    experiment.page(two, tmp_path)
    html = (tmp_path / "index.html").read_text()
    assert "<th>arm</th>" in html
    assert "split not as planned, p = 1e-09" in html


def test_a_narrow_screen_cuts_no_number_short(workspace: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(show.out, "width", 80)
    out = run("report", "experiment", "longer", "-d", workspace)
    assert out.exit_code == 0, out.output
    assert "…" not in out.output


def test_the_first_day_has_its_intervals(report: Report, tmp_path: Path) -> None:
    first = msgspec.structs.replace(
        report, series={"time_per_user: treated": report.series["time_per_user: treated"][-1:]}
    )
    experiment.by_day(first, tmp_path)
    colours = image.imread(tmp_path / "days.png")[..., :3]
    band = np.abs(colours - to_rgb(canvas.PALE)).max(axis=-1) < 0.01
    assert band.mean() > 0.02


def test_out_writes_the_page(workspace: Path, run: Run, tmp_path: Path) -> None:
    out = run("report", "experiment", "longer", "-d", workspace, "--planned-users", 1000, "--out", tmp_path / "page")
    assert out.exit_code == 0, out.output
    assert "3 pictures" in out.output
    assert "1,000 users is where" in out.output


def test_the_catalogue_of_each_arm_is_told(workspace: Path, run: Run, tmp_path: Path) -> None:
    out = run("report", "experiment", "longer", "-d", workspace, "--json", tmp_path / "report.json")
    assert out.exit_code == 0, out.output
    found = msgspec.json.decode((tmp_path / "report.json").read_bytes())["catalogue"]
    assert set(found) == {"control", "treated"}
    for arm, of in found.items():
        assert of["impressions"] >= of["items"] > 0
        assert 0 < of["coverage"] <= 1
        assert 0 <= of["gini"] < 1
        assert f"{arm} showed {of['items']:,} items" in " ".join(out.output.split())


def test_the_holdout_has_launches_and_their_sum(workspace: Path, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "holdout.json"
    out = run("report", "holdout", "-d", workspace, "-m", "time_per_user", "-m", "click_rate", "--json", file)
    assert out.exit_code == 0, out.output
    assert "sum of the launches' experiments: +" in out.output
    assert "no data for click_rate" in out.output
    (found,) = json.loads(file.read_text())
    assert found["launches"][0]["name"] == "longer"
    assert found["effect"]["control"] == "in"


def test_what_there_is_not_is_said_in_words(workspace: Path, run: Run, tmp_path: Path) -> None:
    out = run("report", "experiment", "shorter", "-d", workspace)
    assert isinstance(out.exception, NotFoundError)
    assert "longer" in str(out.exception)
    (tmp_path / "feedmill.toml").write_text(CONFIG)
    assert isinstance(run("report", "holdout", "-d", tmp_path).exception, DataError)
    no = run("report", "experiment", "longer", "-d", workspace, "--out", workspace / "feedmill.toml" / "page")
    assert isinstance(no.exception, DataError)
