"""The bench of re-rank rules: what it compares, not how fast it is."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from feedmill.cli.bench.page import BLOCK, figures
from feedmill.cli.bench.rerank import RULE_BLOCKS, equal_rows, kernel_rows, rule_rows, write
from feedmill.cli.bench.rerank_ways import WAYS, Drawn, batches, drawn, world
from feedmill.core.errors import DataError


@pytest.fixture(scope="module")
def sets() -> list[Drawn]:
    return drawn(world(12), batches(4, 40))


@pytest.mark.parametrize("name", list(WAYS))
@pytest.mark.parametrize("k", [1, 9, 10, 25, 40])
def test_ours_the_peer_and_the_definition_are_one_algorithm(sets: list[Drawn], name: str, k: int) -> None:
    """Also for slates far longer than the window of 10, where rotations have taken many picks out."""
    for r in sets:
        ours, peer, naive = (way(r, k) for way in WAYS[name])
        assert ours[0].tolist() == peer[0].tolist() == naive[0].tolist()
        np.testing.assert_allclose(ours[1], naive[1], atol=1e-6)
        np.testing.assert_allclose(peer[1], naive[1], atol=1e-6)


def test_figures_fill_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("feedmill.cli.bench.rerank"), "N_REQUESTS", 2)
    rows = [*equal_rows(1), *kernel_rows(3), *rule_rows(3)]
    by = {(r.what, r.metric): r for r in rows}
    assert by["equal: dpp, 300 to 30, 64 dimensions", "same picks"].value == 1
    assert by["equal: mmr, 300 to 30, 64 dimensions", "gain, largest difference"].value < 1e-6
    assert (by["kernel: dpp, 300 to 30, 64 dimensions", "p50"].ratio or 0) > 1
    assert by["kernel: dpp, 300 to 30, 16 dimensions", "p50"].ratio is None
    assert {r.what for r in rows if r.what.startswith("rule")} == {f"rule: {name}, 300 to 30" for name in RULE_BLOCKS}
    page = tmp_path / "rerank.md"
    page.write_text("".join(f"<!-- figures: {x} -->\n<!-- end -->\n" for x in ("setup", "table kernel", "table slots")))
    write(page, figures(rows))
    text = page.read_text()
    assert "| mmr, 300 to 30, 64 dimensions |" in text
    assert "times as fast" in text
    assert "No figures." in text
    page.write_text("<!-- figures: plot x -->\n<!-- end -->\n")
    with pytest.raises(DataError, match="plot"):
        write(page, figures(rows))


def test_the_page_in_the_repository_has_only_blocks_that_are_filled() -> None:
    page = Path(__file__).parents[3] / "docs/benchmarks/rerank.md"
    blocks = [block for _, block, _ in BLOCK.findall(page.read_text("utf-8"))]
    assert blocks == ["setup", "table equal", "table kernel", "table rule"]
