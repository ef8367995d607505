"""The blocks of this bench on a page that others fill too."""

from __future__ import annotations

from pathlib import Path

import pytest

from feedmill.cli.bench.freshness import page
from feedmill.core.errors import DataError


def test_a_page_without_figures_says_so_and_other_blocks_stay(tmp_path: Path) -> None:
    file = tmp_path / "loop.md"
    file.write_text("<!-- figures: freshness table -->\n<!-- end -->\n<!-- figures: torture -->\nx\n<!-- end -->\n")
    page.write(file, [])
    assert "No figures." in file.read_text()
    assert "torture -->\nx\n" in file.read_text()
    file.write_text("<!-- figures: freshness nonsense -->\n<!-- end -->\n")
    with pytest.raises(DataError, match="nonsense"):
        page.write(file, [])
