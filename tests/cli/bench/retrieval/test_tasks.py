from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from feedmill.cli.bench.retrieval.tasks import data_folder, gowalla, gowalla_blocks, runs_of
from feedmill.core.clock import rng
from feedmill.core.errors import DataError
from feedmill.serve.full_ranking import Task


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    random = rng(0, "small gowalla")
    lines = [(u, random.permutation(40)[:25].tolist()) for u in range(30)]
    for name, part in (("train", slice(0, 20)), ("test", slice(20, 25))):
        text = "".join(f"{u} {' '.join(map(str, sorted(items[part])))}\n" for u, items in lines)
        (folder / f"{name}.txt").write_text(text)
    return folder


def pairs(of: Task) -> set[tuple[str, str]]:
    rows = zip(of.user.tolist(), of.held, strict=True)
    return {(of.state.users.id(u), item) for u, held in rows for item in of.state.items.ids(held)}


def test_the_test_is_the_files_and_validation_is_of_the_training_file(data: Path) -> None:
    test, parts = gowalla(data), (gowalla(data, validation=True), gowalla_blocks(data))
    assert len(pairs(test)) == 30 * 5
    assert "not the published split" in test.name
    for part in parts:
        assert not pairs(part) & pairs(test)
        assert len(part.interactions) + len(pairs(part)) == len(test.interactions)
    assert len(pairs(parts[0])) == 30 * 2


def test_a_run_is_consecutive_and_goes_round() -> None:
    user = np.repeat([0, 1, 3], [10, 3, 1])
    inside = runs_of(user, 0.3, 0)
    assert inside[:10].sum() == 3
    assert inside[10:13].sum() == 1
    assert inside[13:].sum() == 1
    assert np.abs(np.diff(np.r_[inside[:10], inside[0]].astype(int))).sum() == 2  # one run, on a circle
    assert not (runs_of(np.repeat(np.arange(50), 20), 0.3, 0) == runs_of(np.repeat(np.arange(50), 20), 0.3, 1)).all()


def test_data_are_where_one_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FEEDMILL_DATA", str(tmp_path / "elsewhere"))
    assert data_folder(tmp_path) == tmp_path
    assert data_folder() == tmp_path / "elsewhere"
    monkeypatch.delenv("FEEDMILL_DATA")
    assert data_folder().name == "data"
    with pytest.raises(DataError, match="no file"):
        gowalla(tmp_path)
