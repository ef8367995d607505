"""What may be asked for."""

from __future__ import annotations

from feedmill.core.errors import DataError
from feedmill.datasets.check import MAX_ID

MAX_N = 500
MAX_DEADLINE_MS = 3_600_000


def check(user_id: str, n: int, deadline_ms: float | None) -> None:
    """Refuse what cannot be answered.

    Raises:
        DataError: n, user_id or the deadline is out of range.
    """
    if not isinstance(n, int) or isinstance(n, bool) or not 1 <= n <= MAX_N:
        raise DataError(f"n = {n!r}", f"a whole number from 1 to {MAX_N}", "ask for further pages with the cursor")
    if not isinstance(user_id, str) or not 0 < len(user_id) <= MAX_ID:
        shown = repr(user_id)[:80]
        raise DataError(f"user_id = {shown}", f"text of 1 to {MAX_ID} characters", 'an id of your own, such as "guest"')
    if deadline_ms is not None and not 0 <= deadline_ms <= MAX_DEADLINE_MS:
        raise DataError(f"deadline_ms = {deadline_ms!r}", f"0 to {MAX_DEADLINE_MS} milliseconds", "leave it out")
