from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from feedmill.metrics.rows import BenchRow, machine, versions, write


def test_a_row_carries_where_it_was_measured(tmp_path: Path) -> None:
    row = BenchRow(what="feed", metric="p50", value=7.5, unit="ms", machine=machine(), versions=versions())
    write([row], tmp_path / "rows.json")
    (read,) = json.loads((tmp_path / "rows.json").read_text("utf-8"))
    assert (read["what"], read["value"], read["low"]) == ("feed", 7.5, None)
    assert "cores" in read["machine"]
    assert read["versions"]["numpy"]


def test_numbers_of_numpy_are_numbers(tmp_path: Path) -> None:
    write([BenchRow(what="x", metric="AUC", value=np.float64(0.5), ratio=np.float32(2))], tmp_path / "rows.json")
    (read,) = json.loads((tmp_path / "rows.json").read_text("utf-8"))
    assert (read["value"], read["ratio"]) == (0.5, 2.0)
