"""Census-Income on a small file in its schema, which the tests write."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest

from feedmill.core.clock import rng
from feedmill.core.errors import DataError
from feedmill.datasets.census import COLUMNS, FIELDS, NUMBERS, Census, census


def person(**given: str) -> str:
    """A line of the file."""
    values = {name: "0" if name in NUMBERS else "Not in universe" for name in COLUMNS}
    values |= {"weight": "1700.09", "marital_status": "Divorced", "income": "- 50000."}
    return ", ".join((values | given)[name] for name in COLUMNS)


def people(n: int) -> list[str]:
    """Lines that differ in age and education, every third never married, every tenth rich."""
    random = rng(0, "small census")
    return [
        person(
            age=str(random.integers(1, 91)),
            weight=f"{1000 + i}.5",
            education=("Children", "High school graduate", "Bachelors degree")[i % 3],
            marital_status="Never married" if i % 3 == 0 else "Divorced",
            income="50000+." if i % 10 == 0 else "- 50000.",
        )
        for i in range(n)
    ]


def written(folder: Path, lines: list[str]) -> Path:
    (folder / "census-income.test.gz").write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
    return folder


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Census:
    return census(written(tmp_path_factory.mktemp("census"), people(600)))


def test_a_table_of_codes_numbers_and_two_labels(table: Census) -> None:
    assert (len(table), table.codes.shape, table.numbers.shape) == (600, (600, 32), (600, 7))
    assert (table.codes.dtype, table.numbers.dtype, table.labels.dtype) == (np.int32, np.float32, np.float32)
    assert table.labels[:, 0].tolist() == [float(i % 10 == 0) for i in range(600)]
    assert table.labels[:, 1].tolist() == [float(i % 3 == 0) for i in range(600)]
    assert ((table.codes >= 0) & (table.codes < np.array(table.sizes))).all()
    education = table.codes[:, FIELDS.index("education")]
    assert education[:3].tolist() == [2, 3, 1]  # of the alphabet: Bachelors, Children, High school
    assert table.numbers[:, NUMBERS.index("age")].min() >= 1


def test_neither_label_nor_weight_is_an_input(table: Census) -> None:
    read = {*table.fields, *table.number_names}
    assert not read & {"marital_status", "income", "weight"}
    assert len(read) == 39


def test_rows_are_split_by_a_hash_that_others_can_compute(tmp_path: Path, table: Census) -> None:
    line = person(age="41")
    unlabelled = ",".join(
        v for v, name in zip(line.split(", "), COLUMNS, strict=True) if name not in ("marital_status", "income")
    )
    bucket = int.from_bytes(hashlib.sha256(unlabelled.encode()).digest()[:8], "big") % 10
    assert census(written(tmp_path, [line])).part.tolist() == [bucket]
    parts = [table.rows(part) for part in ("train", "validation", "test")]
    assert sorted(np.concatenate(parts).tolist()) == list(range(600))
    assert 440 < len(parts[0]) < 520


def test_the_part_does_not_depend_on_labels_or_neighbours(tmp_path: Path) -> None:
    lines = [person(age="30"), person(age="30", income="50000+.", marital_status="Never married"), person(age="31")]
    first = census(written(tmp_path, lines)).part
    assert first[0] == first[1]
    assert census(written(tmp_path, lines[::-1])).part.tolist() == first[::-1].tolist()


def test_rare_and_unknown_values_are_code_0_and_only_train_counts(tmp_path: Path) -> None:
    lines = [person(age=str(i % 90), weight=str(i), sex=("Male", "?")[i % 2], race="White") for i in range(400)]
    lines[0] = person(age="99", race="Rarely told")
    table = census(written(tmp_path, lines))
    sex, race = (table.codes[:, FIELDS.index(name)] for name in ("sex", "race"))
    assert set(sex[2::2].tolist()) == {1}
    assert set(sex[1::2].tolist()) == {0}
    assert race[0] == 0
    assert table.sizes[FIELDS.index("race")] == 2
    few = census(tmp_path, min_count=1000)
    assert few.codes.max() == 0


def test_a_plain_file_and_a_path_to_it_are_the_same_data(tmp_path: Path, table: Census) -> None:
    path = tmp_path / "census-income.test"
    path.write_text("\n".join(people(600)) + "\n\n")
    assert census(tmp_path).split == census(path).split == table.split


def test_what_is_not_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file .*census-income\.test\.gz"):
        census(tmp_path)
    with pytest.raises(DataError, match="row 2: 15 columns"):
        census(written(tmp_path, [person(), ", ".join(["39"] * 15)]))
    with pytest.raises(DataError, match='row 1: age = "old"'):
        census(written(tmp_path, [person(age="old")]))
    with pytest.raises(DataError, match='row 2: income ">50K"'):
        census(written(tmp_path, [person(), person(income=">50K")]))
    with pytest.raises(DataError, match="empty"):
        census(written(tmp_path, []))
    with pytest.raises(DataError, match="one of"):
        census(written(tmp_path, people(20))).rows("dev")


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, people(50)) / "census-income.test.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="cannot be read"):
        census(tmp_path)


@pytest.mark.data
def test_the_shared_file_is_the_published_one(shared_data: Path) -> None:
    folder = shared_data / "census_income_kdd_test"
    if not folder.is_dir():
        pytest.skip("no Census-Income in the data folder")
    table = census(folder)
    assert len(table) == 99_762
    assert table.labels.sum(0).tolist() == [6186.0, 43143.0]
    assert [len(table.rows(part)) for part in ("train", "validation", "test")] == [79_758, 10_013, 9_991]
    assert table.split == "62166107b8cc"
