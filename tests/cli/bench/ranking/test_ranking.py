"""The parts of `feedmill bench ranking`, tiny, and the page made of them."""

from __future__ import annotations

import inspect
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import Result

from datasets.test_census import people, written
from feedmill.cli.bench import page as bench_page
from feedmill.cli.bench import ranking
from feedmill.cli.bench.ranking import PARTS, Part, chosen, ranking_rows
from feedmill.cli.bench.ranking import census as ranking_census
from feedmill.cli.bench.ranking import page as ranking_page
from feedmill.cli.bench.ranking import study as ranking_study
from feedmill.cli.bench.ranking.study import COSINES, MODELS, Size, labels, model_of, study_rows, weights_of
from feedmill.core.errors import DataError
from feedmill.metrics.rows import BenchRow, write

TINY = Size(n_seeds=2, n_steps=6, n_points=3)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "census_income_kdd_test").mkdir()
    written(folder / "census_income_kdd_test", people(600))
    return folder


@pytest.fixture(scope="module")
def study() -> list[BenchRow]:
    return study_rows(True, TINY, cosines=(0.5, 1.0))


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking_census, "SIZES", {"embedding_dim": 4, "hidden_dims": [8, 4], "tower_dim": 4})
    monkeypatch.setattr(ranking_census, "FITTING", {"batch_size": 64, "learning_rate": 1e-2, "epochs": 2})
    monkeypatch.setattr(ranking_census, "QUICK", {"epochs": 1})
    monkeypatch.setattr(ranking_census, "N_RESAMPLES", 5)
    monkeypatch.setattr(ranking_census, "N_THREADS", 1)


def bounded(rows: list[BenchRow]) -> None:
    """Every measured row has an interval around it, a seed and a split."""
    assert rows
    for row in rows:
        assert row.low is not None, row
        assert row.high is not None, row
        assert row.low <= row.value <= row.high, row
        assert row.seed >= 0
        assert row.split


@pytest.mark.slow
def test_the_study_has_curves_last_losses_and_their_spread(study: list[BenchRow]) -> None:
    found = [row for row in study if row.metric != "final loss, spread"]  # whose interval of two seeds may be beside it
    bounded(found)
    named = {(row.what, row.metric) for row in study}
    for cosine in (0.5, 1.0):
        assert (f"study: p={cosine}, labels", "correlation") in named
        for model in MODELS:
            of = {metric for what, metric in named if what == f"study: p={cosine}, {model}"}
            assert {f"loss at step {at}" for at in (2, 4, 6)} <= of
            assert (f"study: p={cosine}, {model}", "final loss, spread") in named


@pytest.mark.parametrize("cosine", COSINES)
def test_the_weights_have_the_cosine_that_is_said(cosine: float) -> None:
    w = weights_of(cosine, 3)
    assert np.linalg.norm(w, axis=0) == pytest.approx([1, 1], rel=1e-5)
    assert w[:, 0] @ w[:, 1] == pytest.approx(cosine, abs=1e-5)


def test_equal_weights_give_equal_labels_but_for_the_noise() -> None:
    x = np.random.default_rng(0).standard_normal((50, 100)).astype(np.float32)
    y = labels(x, weights_of(1.0, 0), np.zeros((50, 2), np.float32))
    assert y[:, 0] == pytest.approx(y[:, 1], abs=1e-4)
    z = float(x[0] @ weights_of(1.0, 0)[:, 0])
    waves = sum(math.sin(a * z + b) for a, b in zip(ranking_study.ALPHA, ranking_study.BETA, strict=True))
    assert y[0, 0] == pytest.approx(z + waves, abs=1e-4)


def test_the_models_of_the_study_have_as_many_weights() -> None:
    sizes = [model_of(name, 0).n_weights for name in MODELS]
    assert max(sizes) / min(sizes) < 1.02


@pytest.mark.slow
def test_census_has_both_labels_seconds_and_the_bound(data: Path, narrow: None) -> None:
    rows = ranking_census.census_rows(True, data, ["mmoe", "shared_bottom"])
    bounded(rows)
    metrics = {row.what: {r.metric for r in rows if r.what == row.what} for row in rows}
    assert metrics["census: mmoe"] == {"AUC income", "AUC never_married", "rows/s"}
    bound = next(row for row in rows if row.what == "census: mmoe, matrix products alone")
    assert bound.ratio is not None
    assert "multiply-adds" in bound.unit
    assert len({row.split for row in rows}) == 1


def test_a_peer_that_is_not_there_is_named(data: Path, narrow: None, monkeypatch: pytest.MonkeyPatch) -> None:
    script = data / "peer.py"
    script.write_text("import sys\nsys.stderr.write(\"No module named 'torch_rechub'\")\nsys.exit(3)\n")
    monkeypatch.setattr(ranking_census, "SCRIPT", script)
    monkeypatch.setenv("FEEDMILL_PEERS", sys.executable)
    (row,) = ranking_census.census_rows(True, data, ["torch-rechub MMoE"])
    assert math.isnan(row.value)
    assert "not installed: No module named 'torch_rechub'" in row.unit


def test_peers_get_the_same_rows_and_never_the_labels_of_the_test(data: Path, narrow: None, tmp_path: Path) -> None:
    contest = ranking_census.prepared(ranking_census.census(data / "census_income_kdd_test"), True)
    ranking_census.hand_over(tmp_path, contest, 7)
    told = json.loads((tmp_path / "task.json").read_text("utf-8"))
    assert (told["seed"], told["n_heads"], told["n_numeric"], told["n_threads"]) == (7, 2, 7, 1)
    with np.load(tmp_path / "task.npz") as arrays:
        assert "test_labels" not in arrays
        assert arrays["test_codes"].tolist() == contest.table.codes[contest.rows["test"]].tolist()
        for field, size in enumerate(told["sizes"]):
            assert arrays["train_codes"][:, field].max() < size
    assert 0 <= contest.table.numbers.min() <= contest.table.numbers.max() <= 1


def test_a_difference_counts_what_ours_has_more(data: Path, narrow: None) -> None:
    contest = ranking_census.prepared(ranking_census.census(data / "census_income_kdd_test"), True)
    right, wrong = ranking_census.Runs([contest.labels]), ranking_census.Runs([1 - contest.labels])
    for row in ranking_census.difference_rows("right - wrong", right, wrong, contest):
        assert (row.value, row.low, row.high) == (1.0, 1.0, 1.0)


def test_only_takes_parts_and_what_is_within_them() -> None:
    assert list(chosen([])) == list(PARTS)
    assert chosen(["census"]) == {"census": []}
    assert chosen(["mmoe", "p=0.9"]) == {"study": ["p=0.9"], "census": ["mmoe"]}
    with pytest.raises(DataError, match="censsus") as raised:
        chosen(["censsus"])
    assert raised.value.fix == 'did you mean "census"?'


def test_a_part_that_is_not_there_is_a_row_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PARTS, "trees", Part("feedmill.cli.bench.nothing_there", "rows", "nothing"))
    monkeypatch.setattr(ranking, "PARTS", {name: PARTS[name] for name in ("census", "trees")})
    rows = {row.what: row for row in ranking_rows(True, tmp_path)}
    assert "feedmill.cli.bench.nothing_there" in rows["trees: not measured"].unit
    assert "census-income.test.gz" in rows["census: not measured"].unit


def figures(study: list[BenchRow]) -> list[BenchRow]:
    def row(what: str, metric: str, value: float, **more: Any) -> BenchRow:
        bounds = {"low": value - 0.01, "high": value + 0.01}
        return BenchRow(what=what, metric=metric, value=value, split="abc", **bounds, **more)

    return [
        *study,
        row("census: mmoe", "AUC income", 0.94),
        row("census: mmoe", "AUC never_married", 0.99),
        row("census: mmoe", "rows/s", 40.0, peer="torch-rechub MMoE", ratio=3.0),
        row("census: mmoe - torch-rechub MMoE", "AUC income", 0.002),
        row("census: mmoe - torch-rechub MMoE", "AUC never_married", -0.001),
        row("census: mmoe, matrix products alone", "rows/s", 50.0, unit="k rows/s; what we reach", ratio=0.8),
        BenchRow(what="census: torch-rechub PLE", metric="AUC income", value=math.nan, unit="not installed: x"),
        row("trees: adult, GBDT+LR", "NE", 0.61),
        ranking.absent("serving", "not installed: x"),
    ]


PAGE = "\n".join(
    f"<!-- figures: {name} -->\n<!-- end -->"
    for name in ("setup", "study", "census", "differences", "table trees", "table serving", "table personal")
)


@pytest.mark.slow
def test_the_page_is_filled_and_filling_it_again_changes_nothing(study: list[BenchRow], tmp_path: Path) -> None:
    page, file = tmp_path / "ranking.md", tmp_path / "figures.json"
    page.write_text(PAGE)
    write(figures(study), file)
    found = bench_page.read([file])
    ranking_page.write(page, found)
    text = page.read_text()
    aucs = "0.9400 [0.9300, 0.9500] | 0.9900 [0.9800, 1.0000]"
    assert f"| mmoe | {aucs} | 40.0 [40.0, 40.0] | torch-rechub MMoE 3.00 |" in text
    assert "Not measured: torch-rechub PLE (not installed: x)." in text
    assert "| mmoe - torch-rechub MMoE | +0.0020" in text
    assert "what we reach: 0.80." in text
    assert "| adult, GBDT+LR | NE | 0.6100 [0.6000, 0.6200] |" in text
    assert "not measured: not installed: x." in text
    assert "| mmoe, loss |" in text
    assert "census `abc`" in text
    ranking_page.write(page, found)
    assert page.read_text() == text
    page.write_text("<!-- figures: tabel trees -->\n<!-- end -->\n")
    with pytest.raises(DataError, match="tabel"):
        ranking_page.write(page, found)


@pytest.mark.slow
def test_plots_are_drawn_where_there_is_a_library_for_it(study: list[BenchRow], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    page = tmp_path / "ranking.md"
    page.write_text("<!-- figures: plot study -->\n<!-- end -->\n<!-- figures: plot census -->\n<!-- end -->\n")
    ranking_page.write(page, bench_page.figures(figures(study)))
    assert (tmp_path / "ranking-study.svg").read_text().startswith("<?xml")
    assert (tmp_path / "ranking-census.svg").read_text().startswith("<?xml")


@pytest.mark.slow
def test_the_command_writes_json_and_refuses_wrong_arguments(
    run: Callable[..., Result], tmp_path: Path, study: list[BenchRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking_study, "study_rows", lambda quick, cosines: study)
    done = run("bench", "ranking", "--quick", "--only", "p=0.5", "--json", tmp_path / "out.json")
    assert done.exit_code == 0, done.output
    stored = json.loads((tmp_path / "out.json").read_text("utf-8"))
    assert len(stored) == len(study)
    assert {"machine", "versions", "seed", "split", "low", "high"} <= set(stored[0])
    wrong = run("bench", "ranking", "--only", "mmeo")
    assert isinstance(wrong.exception, DataError)
    assert run("bench", "ranking", "--quickly").exit_code == 2
    missing = run("bench", "ranking", "--from", tmp_path / "none.json", "--page", tmp_path / "page.md")
    assert isinstance(missing.exception, DataError)


@pytest.mark.slow
def test_more_steps_lower_the_loss() -> None:
    rows = study_rows(True, Size(1, 300, 3), cosines=(1.0,))
    for model in MODELS:
        curve = [row.value for row in rows if row.what.endswith(model) and row.metric.startswith("loss at step")]
        assert curve[-1] < 0.8 * curve[0]


@pytest.mark.parametrize("part", PARTS)
def test_every_part_is_there_and_takes_what_it_is_given(part: str) -> None:
    asked = inspect.signature(ranking.function(part)).parameters
    assert next(iter(asked)) == "quick"
    assert not PARTS[part].reads_data or "data" in asked
