"""Keys are the same everywhere and for ever, and different for what differs."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from feedmill.samples.joiner.keys import Keys, keys, lengths

TEXT = st.text(max_size=12)


def of(requests: list[str], items: list[str]) -> list[tuple[int, int]]:
    found = keys(pa.array(requests, pa.string()), pa.array(items, pa.string()))
    return list(zip(found.first.tolist(), found.second.tolist(), strict=True))


def plain(request: str, item: str) -> tuple[int, int]:
    """The same hash in whole numbers."""
    word = 2**64 - 1
    a, b = 0xCBF29CE484222325, 0x9E3779B97F4A7C15
    for byte in [*request.encode(), 0x1FF, *item.encode()]:
        a = (a ^ byte) * 0x100000001B3 & word
        b = ((b << 23 | b >> 41) & word ^ byte) * 0xFF51AFD7ED558CCD & word
    out = []
    for x in (a, b):
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & word
        x = (x ^ x >> 27) * 0x94D049BB133111EB & word
        x ^= x >> 31
        out.append(x - 2**64 if x >> 63 else x)
    return out[0], out[1]


def test_one_key_by_hand_for_ever() -> None:
    assert of(["0190f3c2-7e1a", ""], ["42", "é"]) == [plain("0190f3c2-7e1a", "42"), plain("", "é")]
    assert of(["r1"], ["i1"]) == [(-2911559426473978201, 140783736954818840)]  # checkpoints have such keys in them


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=20))
def test_it_is_the_formula_and_tells_pairs_apart(pairs: list[tuple[str, str]]) -> None:
    found = of([r for r, _ in pairs], [i for _, i in pairs])
    assert found == [plain(r, i) for r, i in pairs]
    assert len(set(found)) == len(set(pairs))


def test_where_one_id_ends_and_the_other_begins_matters() -> None:
    assert len(set(of(["ab", "a", "abc", ""], ["c", "bc", "", "abc"]))) == 4


def test_slices_and_nothing() -> None:
    requests, items = pa.array([f"r{i}" for i in range(10)]), pa.array([f"i{i}" for i in range(10)])
    whole, part = keys(requests, items), keys(requests.slice(3, 4), items.slice(3, 4))
    assert part.first.tolist() == whole.first[3:7].tolist()
    assert lengths(pa.array(["", "é", "abc"]).slice(1)).tolist() == [2, 3]
    assert isinstance(keys(pa.array([], pa.string()), pa.array([], pa.string())), Keys)


def test_a_million_keys_differ_in_each_lane() -> None:
    n = 1_000_000
    found = keys(pa.array([f"0190f3c2-7e1a-{i // 10}" for i in range(n)]), pa.array([str(i % 10) for i in range(n)]))
    assert len(set(found.first.tolist())) == len(set(found.second.tolist())) == n
