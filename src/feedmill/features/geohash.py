"""GeoHash: places as text, in which a longer common beginning means nearer (Niemeyer 2008).

The globe is halved in turn by longitude and latitude; the bits are written five at a time in base 32. A cell of
1 to 12 characters measures about 5000 km, 1250, 156, 39, 4.9, 1.2 km, 153 m, 38, 4.8, 1.2 m, 15 cm, 4 cm from west to
east at the equator.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from feedmill.core.errors import DataError

ALPHABET = "0123456789bcdefghjkmnpqrstuvwxyz"
LONGEST = 12
_VALUE = {letter: value for value, letter in enumerate(ALPHABET)}
_LETTERS = np.array(list(ALPHABET))
_AROUND = ((1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1))  # north, then clockwise


class Place(NamedTuple):
    """The middle of a cell, and how far its edges are from there, in degrees."""

    latitude: float
    longitude: float
    latitude_error: float
    longitude_error: float


def encode(latitude: ArrayLike, longitude: ArrayLike, precision: int = LONGEST) -> NDArray[np.str_]:
    """The cells of n places.

    Args:
        latitude: [n] degrees, north positive, -90 to 90.
        longitude: [n] degrees, east positive; 181 is -179.
        precision: characters, 1 to 12.

    Returns:
        str[n]; "" for what is on no globe: NaN, infinity, a latitude beyond 90.

    Raises:
        DataError: the precision is not 1 to 12.
    """
    row, column, _, is_place = divided(latitude, longitude, precision)
    return np.where(is_place, _text(row, column, precision), "")


def divided(
    latitude: ArrayLike, longitude: ArrayLike, precision: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], int, NDArray[np.bool_]]:
    """The cells as numbers: rows from the south, columns from the west, the bits of a column, and what is a place.

    Raises:
        DataError: the precision is not 1 to 12.
    """
    north, east = np.broadcast_arrays(np.asarray(latitude, np.float64), np.asarray(longitude, np.float64))
    n_north, n_east = _bits(precision)
    is_place = np.isfinite(north) & np.isfinite(east) & (np.abs(north) <= 90)
    north, east = np.where(is_place, north, 0.0), np.where(is_place, east, 0.0)
    east = np.where((east >= -180) & (east < 180), east, (east + 180) % 360 - 180)
    return _halved(north / 180 + 0.5, n_north), _halved(east / 360 + 0.5, n_east), n_east, is_place


def decode(cell: str) -> Place:
    """Where a cell is; upper case is read as lower.

    Raises:
        DataError: it is no GeoHash of 1 to 12 characters.
    """
    row, column = _address(cell)
    n_north, n_east = _bits(len(cell))
    height, width = 180 / 2**n_north, 360 / 2**n_east
    return Place((row + 0.5) * height - 90, (column + 0.5) * width - 180, height / 2, width / 2)


def neighbours(cell: str) -> tuple[str, ...]:
    """The cells around, from north clockwise: 8, or 5 at a pole. East and west of the date line are neighbours.

    Raises:
        DataError: it is no GeoHash of 1 to 12 characters.
    """
    row, column = _address(cell)
    n_north, n_east = _bits(len(cell))
    around = [(row + up, (column + right) % 2**n_east) for up, right in _AROUND if 0 <= row + up < 2**n_north]
    rows, columns = np.array(around, np.int64).T
    return tuple(_text(rows, columns, len(cell)).tolist())


def is_geohash(text: str) -> bool:
    """Whether ``decode`` takes it."""
    return 1 <= len(text) <= LONGEST and all(letter in _VALUE for letter in text.lower())


def _bits(precision: int) -> tuple[int, int]:
    """Halvings of latitude and of longitude, which comes first."""
    if not 1 <= precision <= LONGEST:
        raise DataError(f"a GeoHash of {precision} characters", f"1 to {LONGEST}")
    return 5 * precision // 2, (5 * precision + 1) // 2


def _halved(share: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    """Which of 2^n equal parts of [0, 1] a share is in; the north pole is in the last."""
    return np.minimum(np.floor(share * 2.0**n), 2.0**n - 1).astype(np.int64)


def _address(cell: str) -> tuple[int, int]:
    """Row from the south and column from the west, in cells of this size."""
    if not is_geohash(cell):
        raise DataError(f"GeoHash {cell!r}", f"1 to {LONGEST} characters of {ALPHABET}")
    bits = "".join(f"{_VALUE[letter]:05b}" for letter in cell.lower())
    column, row = int(bits[::2] or "0", 2), int(bits[1::2] or "0", 2)
    return row, column


def _text(row: NDArray[np.int64], column: NDArray[np.int64], precision: int) -> NDArray[np.str_]:
    """Bits of column and row in turn, column first, five to a letter."""
    n_north, n_east = _bits(precision)
    bits = np.empty((*row.shape, 5 * precision), np.int64)
    bits[..., ::2] = column[..., None] >> np.arange(n_east - 1, -1, -1) & 1
    bits[..., 1::2] = row[..., None] >> np.arange(n_north - 1, -1, -1) & 1
    letters = bits.reshape(*row.shape, precision, 5) @ (16, 8, 4, 2, 1)
    out: NDArray[np.str_] = np.ascontiguousarray(_LETTERS[letters]).view(f"<U{precision}")[..., 0]
    return out
