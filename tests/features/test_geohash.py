from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.errors import DataError
from feedmill.features.geohash import ALPHABET, decode, encode, is_geohash, neighbours

latitudes = st.floats(-90, 90)
longitudes = st.floats(-180, 180, exclude_max=True)
cells = st.text(ALPHABET, min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("latitude", "longitude", "cell"),
    [
        (57.64911, 10.40744, "u4pruydqqvj"),
        (42.605, -5.603, "ezs42"),
        (0.0, 0.0, "s00000000000"),
        (-90.0, -180.0, "000000000000"),
        (90.0, 179.9999999999, "zzzzzzzzzzzz"),
        (48.669, -4.329, "gbsuv"),
    ],
)
def test_known_places(latitude: float, longitude: float, cell: str) -> None:
    assert encode(latitude, longitude, len(cell)).item() == cell


def test_the_place_of_a_known_cell() -> None:
    place = decode("ezs42")
    assert (place.latitude, place.longitude) == pytest.approx((42.60498, -5.60303), abs=1e-5)
    assert (place.latitude_error, place.longitude_error) == pytest.approx((0.021973, 0.021973), abs=1e-6)
    assert decode("EZS42") == place


def test_known_neighbours() -> None:
    around = ("gbsvj", "gbsvn", "gbsuy", "gbsuw", "gbsut", "gbsus", "gbsuu", "gbsvh")
    assert neighbours("gbsuv") == around
    assert neighbours("ezzz") == ("gbpb", "u000", "spbp", "spbn", "ezzy", "ezzw", "ezzx", "gbp8")


def test_the_world_ends_at_the_poles_and_not_at_the_date_line() -> None:
    assert len(neighbours("z")) == len(neighbours("0")) == 5
    assert "b" in neighbours("z")  # the other side of the date line
    place = decode("8")
    assert decode(neighbours("8")[6]).longitude == pytest.approx(place.longitude - 45 + 360)


@given(latitudes, longitudes, st.integers(1, 12))
def test_a_place_is_in_its_cell_and_in_every_cell_around_it(latitude: float, longitude: float, size: int) -> None:
    cell = encode(latitude, longitude, size).item()
    place = decode(cell)
    assert abs(place.latitude - latitude) <= place.latitude_error * (1 + 1e-9)
    assert abs(place.longitude - longitude) <= place.longitude_error * (1 + 1e-9)
    assert encode(latitude, longitude, 12).item().startswith(cell)


@given(cells)
def test_the_middle_of_a_cell_is_in_it(cell: str) -> None:
    place = decode(cell)
    assert encode(place.latitude, place.longitude, len(cell)).item() == cell


@given(cells)
def test_neighbours_are_neighbours_of_each_other(cell: str) -> None:
    around = neighbours(cell)
    assert len(set(around)) in (5, 8) if len(cell) > 1 else len(set(around)) > 2
    assert cell not in around
    assert all(cell in neighbours(other) for other in around)


def test_many_at_once_and_what_is_no_place() -> None:
    got = encode([57.64911, np.nan, 91.0, 0.0, 1.0], [10.40744, 1.0, 1.0, np.inf, 361.0], 3)
    assert got.tolist() == ["u4p", "", "", "", encode(1.0, 1.0, 3).item()]
    assert encode([], [], 5).shape == (0,)


@pytest.mark.parametrize("text", ["", "a", "u4i", "0" * 13, "ü"])
def test_what_is_no_geohash_is_refused(text: str) -> None:
    assert not is_geohash(text)
    with pytest.raises(DataError):
        decode(text)
    with pytest.raises(DataError):
        neighbours(text)


@pytest.mark.parametrize("precision", [0, 13])
def test_precision_has_bounds(precision: int) -> None:
    with pytest.raises(DataError, match="characters"):
        encode(0.0, 0.0, precision)
