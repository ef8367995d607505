"""Places as numbers: which cell of a GeoHash of a given length they are in."""

from __future__ import annotations

import numpy as np

from feedmill.core.batches import Floats, Rows
from feedmill.features.geohash import divided

N_CELLS = 1 << 20  # as many as there are of four characters; longer ones are hashed into so many


def cells(latitude: Floats, longitude: Floats, length: int) -> Rows:
    """int32[n] ids in 1..N_CELLS of the cells that places are in, 0 for what is no place.

    Up to four characters a cell has an id of its own. Degrees are float32: with more than 8 a place may fall into the
    next cell.

    Args:
        latitude: float32[n] degrees, NaN = unknown.
        longitude: float32[n] degrees.
        length: characters of the GeoHash.

    Raises:
        DataError: the length is not 1 to 12.
    """
    row, column, n_east, is_place = divided(latitude, longitude, length)
    address = (row.astype(np.uint64) << np.uint64(n_east)) | column.astype(np.uint64)
    if length > 4:
        address = address * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(44)
    return np.where(is_place, address.astype(np.int64) + 1, 0).astype(np.int32)
