from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.errors import ArtifactError
from feedmill.core.events import FORGOTTEN
from feedmill.state import IdMap

texts = st.lists(st.text(max_size=4), max_size=200)


@given(texts)
def test_rows_are_the_order_of_first_appearance(ids: list[str]) -> None:
    known = IdMap()
    rows = known.rows(pa.array(ids, pa.string()), grow=True)
    assert known.ids(rows) == ids
    assert known.ids() == ["", *dict.fromkeys(text for text in ids if text)]
    assert rows.dtype == np.int32


@given(texts, st.integers(0, 10))
def test_ids_past_the_most_stay_unknown(ids: list[str], most: int) -> None:
    known = IdMap(most=most)
    rows = known.rows(pa.array(ids, pa.string()), grow=True)
    kept = list(dict.fromkeys(text for text in ids if text))[:most]
    assert known.ids() == ["", *kept]
    assert known.ids(rows) == [text if text in kept else "" for text in ids]


@given(texts, st.integers(0, 200))
def test_one_batch_two_batches_and_single_ids_give_the_same_rows(ids: list[str], cut: int) -> None:
    maps = [IdMap(), IdMap(), IdMap(), IdMap()]
    column = pa.array(ids, pa.string())
    maps[0].rows(column, grow=True)
    for part in (column[:cut], column[cut:]):
        maps[1].rows(part, grow=True)
    for text in ids:
        maps[2].rows([text], grow=True)
    maps[3].rows(pa.chunked_array([column[:cut], column[cut:]]), grow=True)
    assert len({tuple(m.ids()) for m in maps}) == 1
    assert len({m.digest() for m in maps}) == 1


def test_unknown_empty_and_null_ids_are_nobody() -> None:
    known = IdMap(["a"])
    for column in (["a", "", "b"], pa.array(["a", None, "b"]), pa.array(["a", None, "b"] * 100)):
        assert known.rows(column)[:3].tolist() == [1, 0, 0]
    assert known.rows(pa.array(["b", None, "a"] * 40).dictionary_encode(), grow=True)[:3].tolist() == [2, 0, 1]
    assert (known.row("c"), known.row(""), known.id(1), len(known)) == (0, 0, "a", 3)
    with pytest.raises(IndexError):
        known.id(3)


def test_a_digest_stays_while_the_map_grows_and_tells_other_ids_apart() -> None:
    known = IdMap(["a", "b"])
    early = known.digest(3)
    known.add("c")
    assert known.digest() != early
    assert known.digest(3) == early  # after a longer one was taken
    assert IdMap(["b", "a"]).digest() != early
    assert IdMap(["ab"]).digest() != IdMap(["a", "b"]).digest(2)
    assert IdMap(["a", "b", "c"]).digest() == known.digest(4)
    with pytest.raises(ArtifactError, match="4 ids"):
        known.digest(5)


def test_a_renamed_id_leaves_its_row_and_every_other_as_it_was() -> None:
    ids = IdMap(["a", "b", "c"])
    three, four = ids.digest(3), ids.digest(4)
    ids.rename(2, f"{FORGOTTEN}x")
    assert ids.ids() == ["", "a", f"{FORGOTTEN}x", "c"]
    assert (ids.row("b"), ids.row(f"{FORGOTTEN}x"), ids.row("c")) == (0, 2, 3)
    assert ids.forgotten == [2]
    assert ids.digest(4) == IdMap(["a", f"{FORGOTTEN}x", "c"]).digest()
    assert ids.digest(2) == IdMap(["a", "b"]).digest(2), "those before it are the same"
    assert not ids.agrees(3, three)
    ids.retold = {three: ids.digest(3), four: "of other ids"}
    assert ids.agrees(3, three)
    assert not ids.agrees(4, four)
    assert not ids.agrees(9, three)
    assert ids.add("b") == 4, "who comes back is new"


def test_a_copy_with_other_texts() -> None:
    ids = IdMap(["a", "b"])
    copy = ids.renamed({1: f"{FORGOTTEN}y"})
    assert copy.ids() == ["", f"{FORGOTTEN}y", "b"]
    assert copy.forgotten == [1]
    assert ids.ids() == ["", "a", "b"]
