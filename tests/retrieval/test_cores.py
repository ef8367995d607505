from __future__ import annotations

from threading import Barrier

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from feedmill.retrieval.cores import on_all_cores, spans


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


def test_an_error_in_a_thread_is_raised() -> None:
    def rows(first: int, last: int) -> None:
        raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"):
        on_all_cores("work", np.ones(10), rows)


def test_spans_run_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feedmill.retrieval.cores.n_cores", lambda: 2)
    meet = Barrier(2, timeout=20)  # broken, and an error, unless two threads wait at once
    on_all_cores("work", np.ones(2), lambda first, last: meet.wait())
