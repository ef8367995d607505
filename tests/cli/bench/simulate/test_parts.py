"""Speed, calibration, ablation, and the page of them all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audiences import small_world
from cli.conftest import Run
from feedmill.cli.bench.measure import of_parts
from feedmill.cli.bench.page import figures, read
from feedmill.cli.bench.simulate import PARTS, ablation, page, scale
from feedmill.cli.bench.simulate.calibration import of_people, of_videos, of_views
from feedmill.cli.bench.simulate.lives import Size
from feedmill.core.errors import DataError
from feedmill.metrics.rows import BenchRow, write
from feedmill.sim.ablation import WHOLE
from feedmill.sim.config import WorldConfig
from feedmill.sim.feeds.chance import ChanceConfig, ChanceFeed
from feedmill.sim.live import live
from sim.feeds.test_chain import COUNTED

PAGE = Path(__file__).parents[4] / "docs" / "benchmarks" / "simulate.md"


def test_parts_of_the_time_are_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "QUICK", (Size(30, 60, 2, 1), Size(60, 120, 2, 1)))
    rows = {(row.what, row.metric): row.value for row in scale.scale_rows(True)}
    one = "scale: 60 people"
    parts = sum(rows[one, f"a view, {part}"] for part in (*scale.PARTS, scale.REST))
    assert parts == pytest.approx(rows[one, "a view"])
    assert rows[one, "a view"] == pytest.approx(1e6 * rows[one, "wall"] / rows[one, "views"])
    assert rows[one, "same seed, same bytes"] == 1
    assert ("scale: 30 people", "same seed, same bytes") not in rows
    assert rows[one, "peak memory"] > 50
    assert rows["scale: responses alone", "responses/s"] > 1000


def test_real_figures_stand_beside_simulated_ones() -> None:
    config = WorldConfig(n_users=2000, n_videos=4000)
    found = {what: (real, ours) for what, _, real, ours in [*of_videos(config), *of_people(config), *of_views(20_000)]}
    assert len(found) > 40
    for what in ("ln of duration, mean", "seconds of a view, mean", "64-200 s: mean seconds", "people of class full"):
        real, ours = found[what]
        assert ours == pytest.approx(real, rel=0.1)


def test_watch_time_without_a_part_is_of_the_same_people() -> None:
    diaries = [
        live(w, ChanceFeed(ChanceConfig(), seed), 2, slate=5) for seed, w in ((1, small_world()), (2, small_world()))
    ]
    worlds = [{WHOLE: diaries[0], "no luck": diaries[1]}] * 2
    rows = {(row.what, row.metric): row for row in ablation.compared("ablation", worlds, 1)}
    late = [d.people.expected[d.people.day == 1].sum() for d in diaries]
    less = rows["ablation: no luck", "watch time"]
    assert less.value == pytest.approx(late[1] / late[0] - 1)
    assert less.low is not None
    assert less.low < less.value < (less.high or 0)
    assert (f"ablation: {WHOLE}", "watch time") not in rows
    assert 0 <= rows["ablation: no luck", "views of new videos"].value <= 1


@pytest.mark.slow
def test_the_chain_goes_on_without_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablation, "QUICK", Size(30, 60, 2, 1))
    rows = {(row.what, row.metric): row.value for row in ablation.ablation_rows(True, COUNTED)}
    assert np.isfinite(rows["ablation: no itemcf", "watch time"])
    again = {(row.what, row.metric): row.value for row in ablation.relearned_rows(True, COUNTED)}
    assert np.isfinite(again["relearned: no itemcf", "watch time"])


def test_a_part_that_there_is_not() -> None:
    with pytest.raises(DataError, match="coverage"):
        of_parts(PARTS, True, ["coverag"])
    assert set(PARTS) == {"scale", "order", "ablation", "relearned", "videos", "coverage", "calibration"}


ROWS = [
    BenchRow(what="order", metric="worlds", value=5, unit="1,000 people"),
    BenchRow(what="order: chain", metric="minutes a day", value=9.5, low=9.0, high=10.0),
    BenchRow(what="order: chain", metric="of the oracle's", value=0.824, low=0.81, high=0.84),
    BenchRow(what="order: chain", metric="more than itemcf", value=0.5, low=0.4, high=0.6),
    BenchRow(what="stages: rank", metric="lost", value=0.1),
    BenchRow(what="stages: channel topic", metric="alone", value=0.4),
    BenchRow(what="videos: all four", metric="never seen", value=float("nan")),
    BenchRow(what="coverage: slates by rank alone, frozen models, seconds per view", metric="true effect", value=-0.02),
    BenchRow(what="scale: responses alone", metric="responses/s", value=250_000, unit="one thread"),
]


def test_the_page_is_filled(tmp_path: Path) -> None:
    file, kept = tmp_path / "simulate.md", tmp_path / "rows.json"
    file.write_text(PAGE.read_text("utf-8"), "utf-8")
    write(ROWS, kept)
    page.write(file, read([kept]))
    text = file.read_text("utf-8")
    assert "- order: 5 worlds, 1,000 people" in text
    assert "| chain | 9.50 [9.00, 10.00] | 82.4 [81.0, 84.0] % |  | +50.0 [+40.0, +60.0] % (itemcf) |  |  |" in text
    assert "| rank |  | +10.0 % |" in text
    assert "| topic | 40.0 % |  |" in text
    assert "| slates by rank alone, frozen models | -2.00 % |" in text
    assert "responses/s: 250,000 one thread" in text
    assert "No figures." in text
    page.write(file, [])
    assert "82.4" not in file.read_text("utf-8")


def test_parts_are_measured_and_written_by_name(tmp_path: Path, run: Run) -> None:
    file, kept = tmp_path / "simulate.md", tmp_path / "rows.json"
    file.write_text(PAGE.read_text("utf-8"), "utf-8")
    out = run("bench", "simulate", "--quick", "--only", "calibration", "--json", str(kept), "--page", str(file))
    assert out.exit_code == 0, out.output
    assert "| seconds of a view, mean | 18.800 | " in file.read_text("utf-8")
    assert run("bench", "simulate", "--from", str(kept)).exit_code == 0
    wrong = run("bench", "simulate", "--only", "speed")
    assert wrong.exit_code != 0


def test_a_block_that_nobody_fills(tmp_path: Path) -> None:
    file = tmp_path / "simulate.md"
    file.write_text("<!-- figures: nonsense -->\n<!-- end -->\n")
    with pytest.raises(DataError, match="nonsense"):
        page.write(file, figures(ROWS))
