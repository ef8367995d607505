"""Timings become figures that say how they were measured."""

from pathlib import Path

import msgspec
import pytest

from feedmill.cli.bench.measure import done, timed, timing


def test_timings_have_their_quantiles_and_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = timing("a thing", "p50", [0.001, 0.002, 0.003])
    assert row.value == pytest.approx(2.0)
    assert "n = 3" in row.unit
    done([row], tmp_path / "rows.json")
    assert "a thing" in capsys.readouterr().out
    stored = msgspec.json.decode((tmp_path / "rows.json").read_bytes())
    assert stored[0]["machine"]
    assert stored[0]["versions"]["numpy"]


def test_every_call_is_timed() -> None:
    calls: list[int] = []
    assert len(timed(4, calls.append)) == 4
    assert calls == [0, 1, 2, 3]
