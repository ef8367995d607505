from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from feedmill.features.cells import N_CELLS, cells
from feedmill.features.geohash import encode

degrees = st.tuples(st.floats(-90, 90, width=32), st.floats(-180, 180, width=32))


@given(st.lists(degrees, min_size=2, max_size=20), st.integers(1, 8))
def test_places_have_one_id_just_when_they_have_one_geohash(places: list[tuple[float, float]], length: int) -> None:
    north, east = np.array(places, np.float32).T
    ids, texts = cells(north, east, length), encode(north, east, length)
    assert 1 <= ids.min() <= ids.max() <= N_CELLS
    same_text = texts[:, None] == texts[None, :]
    same_id = ids[:, None] == ids[None, :]
    assert (same_id >= same_text).all()
    if length <= 4:
        np.testing.assert_array_equal(same_id, same_text)


def test_what_is_no_place_is_unknown() -> None:
    north = np.array([np.nan, 91, 0, np.inf, 0], np.float32)
    east = np.array([0, 0, np.nan, 0, 0], np.float32)
    assert (cells(north, east, 5) > 0).tolist() == [False, False, False, False, True]


def test_longer_cells_are_hashed_apart() -> None:
    """Ten thousand cells of five characters in a million buckets: fewer than one in a hundred share an id."""
    east = np.linspace(0, 100, 10_000, dtype=np.float32)
    n = len(np.unique(encode(np.zeros_like(east), east, 6)))
    assert len(np.unique(cells(np.zeros_like(east), east, 6))) > 0.98 * n
