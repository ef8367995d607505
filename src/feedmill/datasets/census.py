"""Census-Income (KDD): two labels of the same people, the table on which multi-task rankers are compared.

US Census Bureau, Census-Income (KDD), UCI Machine Learning Repository, 2000; the two tasks are those of Jiaqi Ma et
al., Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts, KDD 2018.

Rows, not events: rankers and trees are measured on them.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Rows
from feedmill.core.errors import DataError

LICENCE = "Census-Income (KDD) by the US Census Bureau, UCI Machine Learning Repository, CC BY 4.0"
FILES = ("census-income.test.gz", "census-income.test")
COLUMNS = (
    "age", "class_of_worker", "industry", "occupation", "education", "wage_per_hour", "enrolled", "marital_status",
    "major_industry", "major_occupation", "race", "hispanic_origin", "sex", "union_member", "unemployment_reason",
    "full_or_part_time", "capital_gains", "capital_losses", "dividends", "tax_filer", "previous_region",
    "previous_state", "household_status", "household_summary", "weight", "migration_msa", "migration_region",
    "migration_within_region", "same_house", "migration_sunbelt", "n_employer", "parents_present", "father_country",
    "mother_country", "own_country", "citizenship", "own_business", "veterans_questionnaire", "veterans_benefits",
    "weeks_worked", "year", "income",
)  # fmt: skip
NUMBERS = ("age", "wage_per_hour", "capital_gains", "capital_losses", "dividends", "n_employer", "weeks_worked")
INCOME = {"- 50000.": 0.0, "50000+.": 1.0}
NEVER_MARRIED = "Never married"
LABELS = ("marital_status", "income")
WEIGHT = "weight"  # how many people a row stands for: not read
FIELDS = tuple(name for name in COLUMNS if name not in (*NUMBERS, *LABELS, WEIGHT))
HEADS = ("income", "never_married")
UNKNOWN = "?"
PARTS = {"train": range(8), "validation": range(8, 9), "test": range(9, 10)}  # of 10 buckets


@dataclass(frozen=True, slots=True, eq=False)
class Census:
    """n people.

    Attributes:
        codes: int32[n, F], a code for each field; 0 = unknown or rare.
        sizes: the number of codes of each field, 0 included.
        numbers: float32[n, 7] as they stand in the file.
        labels: float32[n, 2] of 0 and 1, in the order of ``heads``.
        part: int8[n], 0 to 9; ``PARTS`` says which are whose.
        split: a hash of the rows of the test part.
    """

    codes: Rows
    sizes: tuple[int, ...]
    numbers: Floats
    labels: Floats
    part: NDArray[np.int8]
    split: str
    fields: tuple[str, ...] = FIELDS
    number_names: tuple[str, ...] = NUMBERS
    heads: tuple[str, ...] = HEADS

    def __len__(self) -> int:
        return len(self.codes)

    def rows(self, part: str) -> NDArray[np.int64]:
        """int64 row indices of "train", "validation" or "test", ascending.

        Raises:
            DataError: there is no such part.
        """
        if part not in PARTS:
            raise DataError(f'part "{part}"', f"one of {list(PARTS)}")
        return np.flatnonzero(np.isin(self.part, PARTS[part]))


def census(folder: Path, min_count: int = 10) -> Census:
    """The table in a folder.

    A row's part is the sha256 of all its columns but the labels, modulo 10: 0 to 7 train, 8 validation, 9 test. So it
    does not change when rows are added or sorted, and the rows that the file has twice are in one part, whatever their
    labels. Neither label is among the inputs (``household_status`` says much about marriage; it is left in, as by
    everybody who reports on the data), and codes are counted in train alone.

    Args:
        folder: of census-income.test.gz (or unzipped), or that file itself.
        min_count: a value that fewer rows of train have is code 0.

    Raises:
        DataError: the file is missing, damaged, or something else.
    """
    path = _existing(folder)
    frame = _frame(path, _text(path))
    part = _parts(frame)
    train = np.isin(part, PARTS["train"])
    coded = [_codes(frame[name], train, min_count) for name in FIELDS]
    test = np.flatnonzero(np.isin(part, PARTS["test"]))
    return Census(
        codes=np.stack([codes for codes, _ in coded], axis=1),
        sizes=tuple(size for _, size in coded),
        numbers=np.stack([_number(frame, name, path) for name in NUMBERS], axis=1),
        labels=np.stack([_income(frame, path), _never_married(frame)], axis=1),
        part=part,
        split=hashlib.sha256(np.ascontiguousarray(test, np.int64).tobytes()).hexdigest()[:12],
    )


def _existing(folder: Path) -> Path:
    for path in (folder, *(folder / name for name in FILES)):
        if path.is_file():
            return path
    raise DataError(
        f"no file {folder / FILES[0]}, gzipped or not",
        "Census-Income (KDD), its test file",
        "take it from https://archive.ics.uci.edu/dataset/117 and name its folder",
    )


def _text(path: Path) -> str:
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return raw.decode("utf-8")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as e:
        raise DataError(f"{path} cannot be read: {e}", "a whole, undamaged file", "fetch it again") from e


def _frame(path: Path, text: str) -> pl.DataFrame:
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise DataError(f"{path} is empty", f"rows of {len(COLUMNS)} columns", "fetch it again")
    for at, line in enumerate(lines, start=1):
        if line.count(",") != len(COLUMNS) - 1:
            raise DataError(
                f"{path}, row {at}: {line.count(',') + 1} columns",
                f"{len(COLUMNS)}: {', '.join(COLUMNS[:3])}, … {COLUMNS[-1]}",
                "it may be the file of the other census data set (Adult has 15 columns)",
            )
    table = pl.read_csv(
        io.StringIO("\n".join(lines)),
        has_header=False,
        new_columns=COLUMNS,
        infer_schema=False,
        quote_char=None,
    )
    return table.with_columns(pl.all().fill_null("").str.strip_chars())


def _parts(frame: pl.DataFrame) -> NDArray[np.int8]:
    unlabelled = frame.select(pl.concat_str(pl.exclude(LABELS), separator=",")).to_series().to_list()
    digests = (hashlib.sha256(row.encode()).digest() for row in unlabelled)
    return np.array([int.from_bytes(digest[:8], "big") % 10 for digest in digests], np.int8)


def _codes(values: pl.Series, train: NDArray[np.bool_], min_count: int) -> tuple[Rows, int]:
    """Codes 1 … by the alphabet of the values that train has often enough, and how many codes there are with 0."""
    counts = values.filter(pl.Series(train)).value_counts(name="n")
    often: Sequence[str] = counts.filter(pl.col("n") >= min_count)[values.name].to_list()
    code = {value: at for at, value in enumerate(sorted(set(often) - {UNKNOWN}), start=1)}
    if not code:
        return np.zeros(len(values), np.int32), 1
    codes = values.replace_strict(code, default=0, return_dtype=pl.Int32)
    return np.array(codes.to_numpy(), np.int32), len(code) + 1


def _number(frame: pl.DataFrame, name: str, path: Path) -> Floats:
    numbers = frame[name].cast(pl.Float32, strict=False)
    wrong = numbers.is_null() | ~numbers.is_finite()
    if wrong.any():
        at = int(wrong.arg_max() or 0)
        raise DataError(f'{path}, row {at + 1}: {name} = "{frame[name][at]}"', "a number", "fetch it again")
    return np.array(numbers.to_numpy(), np.float32)


def _income(frame: pl.DataFrame, path: Path) -> NDArray[np.float32]:
    found = frame["income"].replace_strict(INCOME, default=None, return_dtype=pl.Float32)
    if found.null_count():
        at = int(found.is_null().arg_max() or 0)
        said = frame["income"][at]
        raise DataError(f'{path}, row {at + 1}: income "{said}"', f"one of {list(INCOME)}", "fetch it again")
    return np.array(found.to_numpy(), np.float32)


def _never_married(frame: pl.DataFrame) -> NDArray[np.float32]:
    return np.asarray(frame["marital_status"].to_numpy() == NEVER_MARRIED, np.float32)
