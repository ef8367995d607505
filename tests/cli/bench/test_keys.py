"""``feedmill bench keys``: what it prints is a check's time, and that is microseconds."""

from __future__ import annotations

from pathlib import Path

import pytest

from feedmill.cli.bench.keys import keys_rows


def test_a_check_takes_microseconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = {row.what: row for row in keys_rows(quick=True)}
    assert len(rows) == 5
    assert all(row.unit.startswith("µs") for row in rows.values())
    assert 0 < rows["key: right"].value < 1_000, "a slow hash would be tens of thousands"
    assert list(tmp_path.iterdir()) == [], "nothing stays"
