"""Which requests keep their features, and in which form."""

from __future__ import annotations

import msgspec
import numpy as np

from feedmill.core.request import ServedFeatures
from feedmill.serve.kept import is_kept, plain


def test_the_sample_is_of_its_size_and_can_be_told_from_the_id() -> None:
    ids = [f"{k:020x}" for k in range(40_000)]
    chosen = {i for i in ids if is_kept(i, 0.01)}
    assert abs(len(chosen) - 400) < 4 * 20
    assert chosen <= {i for i in ids if is_kept(i, 0.05)}
    assert not any(is_kept(i, 0.0) for i in ids)
    assert all(is_kept(i, 1.0) for i in ids)


def test_ids_stay_ids_and_numbers_numbers_through_json() -> None:
    numbers = plain(np.array([[0.1, np.nan], [1.0, 0.0]], np.float32))
    kept = ServedFeatures(user={"user": [7]}, items={"author": plain(np.array([[3], [0]], np.int32)), "x": numbers})
    read = msgspec.json.decode(msgspec.json.encode(kept), type=ServedFeatures)
    assert read == kept
    assert [type(v) for v in (read.user["user"][0], read.items["author"][1][0], read.items["x"][1][0])] == [
        int,
        int,
        float,
    ]
    assert read.items["x"][0][1] is None
    assert np.float32(read.items["x"][0][0]) == np.float32(0.1), "to the last bit"
