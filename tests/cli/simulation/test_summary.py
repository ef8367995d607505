"""What is kept of a simulation comes back as it was."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from cli.simulated import simulation
from feedmill.cli.simulation.summary import FILE, Bounds, figure, read, write
from feedmill.core.errors import DataError


def test_it_comes_back(tmp_path: Path) -> None:
    x = simulation()
    write(x, tmp_path)
    assert read(tmp_path) == x
    assert json.loads((tmp_path / FILE).read_text())["policies"][0]["name"] == "chance"


def test_what_is_not_known_is_none() -> None:
    assert figure(math.nan) is None
    assert figure(math.inf) is None
    assert Bounds.of(0.5, math.nan, math.nan) == Bounds(0.5)
    assert [str(Bounds()), Bounds().percent(), Bounds(0.5).percent()] == ["-", "-", "50.0%"]
    assert str(Bounds(1.0, 0.5, 2.0)) == "1 ±0.75"
    assert Bounds(0.5, 0.48, 0.52).percent() == "50.0% ±2.0"
    assert Bounds(-0.1, -0.2, 0.0).change() == "-10.0% ±10.0"
    assert Bounds(-0.1, -0.2, 0.0).interval() == "-10.0% [-20.0%, +0.0%]"


def test_no_simulation_and_no_json_are_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"feedmill simulate --dir {tmp_path}"):
        read(tmp_path)
    (tmp_path / FILE).write_text('{"seed": "x"}')
    with pytest.raises(DataError, match="what feedmill simulate writes"):
        read(tmp_path)
