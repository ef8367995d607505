from __future__ import annotations

import base64
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.errors import DataError
from feedmill.rerank.slots import MOST_GAP
from feedmill.serve.cursor import IN_ORDER, MAX_SHOWN, _sign, decode, encode

ROWS = st.lists(st.integers(1, 2**31 - 2), max_size=50, unique=True)


@given(ROWS, st.text(min_size=1, max_size=100))
def test_a_cursor_holds_what_was_shown_in_order(rows: list[int], user_id: str) -> None:
    cursor = encode(user_id, np.array(rows, np.int32))
    np.testing.assert_array_equal(decode(user_id, cursor, 2**31), np.array(rows, np.int32))


def test_what_a_rule_looks_back_on_is_in_order() -> None:
    assert IN_ORDER >= MOST_GAP


def test_a_long_feed_keeps_the_order_of_its_end() -> None:
    rows = np.random.default_rng(1).permutation(5_000)[:1_000].astype(np.int32)
    held = decode("u", encode("u", rows), 5_000)
    np.testing.assert_array_equal(held[-IN_ORDER:], rows[-IN_ORDER:])
    np.testing.assert_array_equal(held[:-IN_ORDER], np.sort(rows[:-IN_ORDER]))
    again = decode("u", encode("u", np.concatenate([held, [5_000]])), 5_001)
    np.testing.assert_array_equal(again[-IN_ORDER:], [*rows[1 - IN_ORDER :], 5_000])


def test_no_cursor_holds_nothing() -> None:
    assert len(decode("u", "", 5)) == 0


def test_a_cursor_stays_short() -> None:
    rows = np.random.default_rng(0).permutation(100_000)[:1000].astype(np.int32)
    assert len(encode("u", rows)) < 3000


def test_a_cursor_that_would_hold_too_much_ends_the_feed() -> None:
    assert encode("u", np.arange(1, MAX_SHOWN + 2, dtype=np.int32)) == ""


@given(st.text(max_size=60))
def test_any_other_text_is_refused(text: str) -> None:
    if text:
        with pytest.raises(DataError, match="cursor"):
            decode("u", text, 100)


@given(st.integers(0, 200), st.integers(1, 255))
def test_a_cursor_with_a_wrong_byte_is_refused(at: int, change: int) -> None:
    data = bytearray(base64.urlsafe_b64decode(encode("u", np.arange(1, 60, dtype=np.int32)) + "=="))
    data[at % len(data)] ^= change
    with pytest.raises(DataError, match="cursor"):
        decode("u", base64.urlsafe_b64encode(bytes(data)).decode().rstrip("="), 100)


def test_a_cursor_of_another_user_or_another_log_is_refused() -> None:
    cursor = encode("u", np.array([7], np.int32))
    for user_id, n_items in (("v", 100), ("u", 7)):
        with pytest.raises(DataError, match="cursor"):
            decode(user_id, cursor, n_items)


def forged(user_id: str, packed: bytes) -> str:
    """What anybody can make who reads this code: the signature is no secret."""
    return base64.urlsafe_b64encode(_sign(user_id, packed) + packed).decode().rstrip("=")


@given(st.binary(max_size=200), st.booleans())
def test_a_forged_cursor_is_refused_or_holds_items_that_exist(data: bytes, is_packed: bool) -> None:
    cursor = forged("u", zlib.compress(data) if is_packed else data)
    try:
        rows = decode("u", cursor, 100)
    except DataError:
        return
    assert len(rows) * 4 == len(data)
    assert not len(rows) or 0 <= rows.min() <= rows.max() < 100


def test_a_forged_cursor_is_not_unpacked_into_gigabytes() -> None:
    bomb = forged("u", zlib.compress(bytes(1 << 26), 9))
    assert len(bomb) < 1 << 17
    tracemalloc.start()
    with pytest.raises(DataError, match="cursor"):
        decode("u", bomb, 100)
    assert tracemalloc.get_traced_memory()[1] < 1 << 21
    tracemalloc.stop()
