from __future__ import annotations

from threading import Barrier

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from feedmill.retrieval.cores import on_all_cores, spans
from feedmill.retrieval.similarity import Table
from feedmill.retrieval.topk import BUCKETS, least


@given(
    arrays(np.float64, st.integers(0, 200), elements=st.sampled_from([0.0, 1.0, 5.0, 1000.0])),
    st.integers(1, 70),
)
def test_spans_cover_every_row_once(work: np.ndarray, n: int) -> None:
    rows = [row for first, last in spans(work, n) for row in range(first, last)]
    assert rows == list(range(len(work)))
    assert all(first < last for first, last in spans(work, n))


def test_spans_hold_equal_work() -> None:
    work = 1 / np.arange(1.0, 100_001)
    shares = [work[first:last].sum() / work.sum() for first, last in spans(work, 64)]
    assert sorted(shares)[-2] < 1.5 / 64 * 2  # all but the one that holds the heaviest row


@given(arrays(np.float32, st.integers(1, 300), elements=st.floats(0, 1e6, width=32)), st.integers(1, 40))
def test_least_is_a_close_lower_bound_of_the_kth_largest(numbers: np.ndarray, k: int) -> None:
    counts = np.zeros(BUCKETS, np.int32)
    low = least(numbers.view(np.int32), len(numbers), k, counts)
    kept = numbers[numbers.view(np.int32) >= low]
    positive = np.sort(numbers[numbers > 0])[::-1]
    assert len(kept) >= min(k, len(positive))
    if len(positive) >= k:
        assert kept.min() > positive[k - 1] * 0.93 - 1e-40


def test_table_groups_entries_both_ways() -> None:
    user, item = np.array([2, 1, 2], np.int32), np.array([1, 3, 3], np.int32)
    table = Table.of(user, item, np.array([0.5, 1, 2], np.float32), 3, 4)
    assert table.user_ptr.tolist() == [0, 0, 1, 3]
    assert table.user_items.tolist() == [3, 1, 3]
    assert table.item_users[table.item_ptr[3] :].tolist() == [1, 2]
    assert table.item_norms().tolist() == [0, 0.25, 0, 5]
    assert table.item_work().tolist() == [0, 2, 0, 3]


def test_an_error_in_a_thread_is_raised() -> None:
    def rows(first: int, last: int) -> None:
        raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"):
        on_all_cores("work", np.ones(10), rows)


def test_spans_run_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    meet = Barrier(2, timeout=20)  # broken, and an error, unless two threads wait at once
    on_all_cores("work", np.ones(2), lambda first, last: meet.wait())
