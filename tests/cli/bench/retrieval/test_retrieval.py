"""The table of channels, on a small MovieLens that the test writes, and the page made of it."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest

from feedmill.cli.bench import page as bench_page
from feedmill.cli.bench import peers
from feedmill.cli.bench.retrieval import chosen, merged, retrieval_rows
from feedmill.cli.bench.retrieval import page as retrieval_page
from feedmill.cli.bench.retrieval.fit import fit_run
from feedmill.cli.bench.retrieval.runs import Run
from feedmill.cli.bench.retrieval.tasks import TASKS, movielens_latest
from feedmill.core.clock import rng
from feedmill.core.errors import DataError
from feedmill.metrics.rows import BenchRow, write
from feedmill.serve.full_ranking import Answers, Task, ask, measure, random_part, task
from worlds import tastes


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "ml-latest-small").mkdir()
    random, lines = rng(0, "small movielens"), ["userId,movieId,rating,timestamp"]
    for user in range(1, 31):
        own = np.arange(1 + user % 2, 41, 2)
        lines += [f"{user},{i},{4 + i % 2}.0,{10**9 + n}" for n, i in enumerate(random.choice(own, 12, replace=False))]
    (folder / "ml-latest-small" / "ratings.csv").write_text("\n".join(lines) + "\n")
    films = [f"{i},Film {i} (2000),Drama" for i in range(1, 42)]
    (folder / "ml-latest-small" / "movies.csv").write_text("movieId,title,genres\n" + "\n".join(films) + "\n")
    return folder


def test_every_channel_has_quality_with_an_interval_and_seconds(data: Path) -> None:
    rows = retrieval_rows(False, data, ["ml-latest-small", "itemcf-defaults", "popular"])
    named = {(row.what, row.metric): row for row in rows}
    recall = named["ml-latest-small: itemcf-defaults", "Recall@20"]
    assert recall.value > 0.9  # 20 items of each taste, and 20 places
    assert recall.low is not None
    assert recall.low <= recall.value
    assert named["ml-latest-small: popular", "Recall@20"].value < recall.value
    assert named["ml-latest-small: itemcf-defaults", "fit"].value > 0
    assert len({row.split for row in rows}) == 1


def test_validation_shares_nothing_with_the_test(data: Path) -> None:
    test, validation = movielens_latest(data), movielens_latest(data, validation=True)

    def pairs(of: Task) -> set[tuple[str, str]]:
        names = [(of.state.users.id(int(u)), of.state.items.ids(h)) for u, h in zip(of.user, of.held, strict=True)]
        return {(user, item) for user, items in names for item in items}

    assert pairs(test)
    assert pairs(validation)
    assert not pairs(test) & pairs(validation)
    assert len(validation.events) < len(test.events)


def test_only_takes_splits_channels_and_peers_and_brings_what_a_merge_needs() -> None:
    assert chosen("ml-100k", ["gowalla"]) is None
    ours, others = chosen("ml-100k", ["itemcf-defaults"]) or ({}, ())
    assert list(ours) == ["itemcf-defaults"]
    assert list(others) == []
    ours, others = chosen("ml-100k", ["ml-100k"]) or ({}, ())
    assert "popular" in ours
    assert list(others) == list(peers.PEERS)
    with pytest.raises(DataError, match="itemfc"):
        chosen("ml-100k", ["itemfc"])


def small() -> Task:
    rest, held = random_part(tastes(30, 30, 10), 0.2, 0)
    return task("tastes", rest, held)


def test_a_merge_adds_scaled_scores() -> None:
    one = Answers(np.array([[1, 2, 0]], np.int32), np.array([[3.0, 1.0, 0.0]], np.float32))
    two = Answers(np.array([[2, 3, 0]], np.int32), np.array([[50.0, 50.0, 0.0]], np.float32))
    both = merged({"one": one, "two": two}, Run(kind="merge", chosen="x"))
    assert both.item.tolist() == [[1, 2, 3]]  # .75, .25 + .5 and .5: of equals the lower rank, then the lower row
    assert both.score[0] == pytest.approx([0.75, 0.75, 0.5])
    tilted = merged({"one": one, "two": two}, Run(kind="merge", chosen="x", weights={"two": 3.0}))
    assert tilted.item.tolist() == [[2, 3, 1]]


@pytest.mark.slow
def test_a_channel_of_vectors_is_trained_on_the_training_log_alone() -> None:
    of = small()
    run = Run(
        kind="vector", chosen="x", sections={"train": {"n_threads": 1, "mf": {"kind": "matrix", "embedding_dim": 8}}}
    )
    ready = fit_run("mf", run, of, 0)
    assert measure(ask(ready.channel, ready.task).item, of).recall.mean > 0.5


def test_a_peer_that_is_not_there_or_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEEDMILL_PEERS", sys.executable)
    script = tmp_path / "peer.py"
    monkeypatch.setattr(peers, "SCRIPT", script)
    script.write_text(f"import sys\nsys.stderr.write('nowhere_installed')\nsys.exit({peers.NOT_INSTALLED})\n")
    found = peers.run_peer("implicit cosine", small(), 20)
    assert isinstance(found, str)
    assert "nowhere_installed" in found
    script.write_text("raise ValueError('too many items')\n")
    assert peers.run_peer("implicit cosine", small(), 20) == "failed: ValueError: too many items"
    script.write_text("import threading\nthreading.Event().wait()\n")
    assert peers.run_peer("implicit cosine", small(), 20, limit_s=0.5) == "not done in 0 s"


def test_the_reference_of_the_peers_is_the_brute_force() -> None:
    pytest.importorskip("scipy")
    of = small()
    found = peers.run_peer("EASE in NumPy", of, 20)
    assert not isinstance(found, str), found
    assert measure(found.item, of).recall.mean > 0.9
    for row, user in zip(found.item, of.user, strict=True):
        assert not set(row[row > 0].tolist()) & set(of.seen(int(user)).tolist())


def rows() -> list[BenchRow]:
    def row(what: str, metric: str, value: float, unit: str = "", bounds: float | None = 0.01) -> BenchRow:
        low, high = (None, None) if bounds is None else (value - bounds, value + bounds)
        return BenchRow(what=what, metric=metric, value=value, low=low, high=high, unit=unit, split="abc")

    return [
        row("ml-100k: popular", "Recall@20", 0.1),
        row("ml-100k: itemcf", "Recall@20", 0.3),
        row("ml-100k: itemcf", "NDCG@20", 0.2),
        row("ml-100k: itemcf", "fit", 1.25, "s", None),
        row("ml-100k: implicit ALS", "Recall@20", math.nan, "not installed: implicit", None),
        row("ml-100k: both - itemcf", "Recall@20", 0.01),
        row("gowalla: itemcf", "Recall@20", 0.18),
    ]


PAGE = """# Retrieval
Words stay.
<!-- figures: setup -->
<!-- end -->
<!-- figures: table ml-100k -->
old
<!-- end -->
<!-- figures: gains ml-100k -->
<!-- end -->
"""


def test_the_page_is_filled_and_filling_it_again_changes_nothing(tmp_path: Path) -> None:
    page, figures = tmp_path / "retrieval.md", tmp_path / "figures.json"
    page.write_text(PAGE)
    write(rows(), figures)
    found = bench_page.read([figures])
    retrieval_page.write(page, found)
    text = page.read_text()
    assert "Words stay." in text
    assert "old" not in text
    assert "| itemcf | .3000 [.2900, .3100] | .2000 [.1900, .2100] | 1.2 s |  |" in text
    assert text.index("| itemcf") < text.index("| popular")  # best first
    assert "Not measured: implicit ALS (not installed: implicit)." in text
    assert "| both - itemcf | +0.0100 [+0.0000, +0.0200] |" in text
    assert "ml-100k `abc`" in text
    retrieval_page.write(page, found)
    assert page.read_text() == text


def test_later_files_replace_single_figures(tmp_path: Path) -> None:
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    write(rows(), one)
    write([BenchRow(what="gowalla: itemcf", metric="Recall@20", value=0.5)], two)
    found = {(r["what"], r["metric"]): r["value"] for r in bench_page.read([one, two])}
    assert found["gowalla: itemcf", "Recall@20"] == 0.5
    assert found["ml-100k: itemcf", "Recall@20"] == 0.3


def test_a_page_or_figures_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no page"):
        retrieval_page.write(tmp_path / "none.md", [])
    page = tmp_path / "page.md"
    page.write_text("<!-- figures: tabel ml-100k -->\n<!-- end -->\n")
    with pytest.raises(DataError, match="tabel"):
        retrieval_page.write(page, [])
    with pytest.raises(DataError, match="--json"):
        bench_page.read([page])


def test_a_plot_is_drawn_where_there_is_a_library_for_it(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    page = tmp_path / "retrieval.md"
    page.write_text("<!-- figures: plot ml-100k -->\n<!-- end -->\n")
    retrieval_page.write(page, bench_page.figures(rows()))
    assert "![" in page.read_text()
    assert (tmp_path / "retrieval-ml-100k.svg").read_text().startswith("<?xml")


def test_splits_have_names_that_are_their_own() -> None:
    assert not set(TASKS) & set(peers.PEERS)
