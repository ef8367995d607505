"""A sample of requests keeps in its trace what the ranker read; ``skew`` makes it again from the log."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedmill.core.request import ServedFeatures
from feedmill.serve.run import Run
from feedmill.serve.scorers import RankScorer

logger = logging.getLogger("feedmill.serve")
_SPACE = 1 << 64


def is_kept(request_id: str, share: float) -> bool:
    """Whether a request is in the sample: by a hash of its id, so that it can be told afterwards and by anybody."""
    if share <= 0:
        return False
    digest = hashlib.blake2b(request_id.encode(), digest_size=8, person=b"skew").digest()
    return int.from_bytes(digest, "big") < share * _SPACE


def keep(run: Run, scorer: Any, context: Mapping[str, str]) -> None:
    """Put what the ranker reads of the items shown into the trace of a finished run.

    It is read once more by the objects that served, so the caller still holds the state as it was: nothing is kept of
    candidates that were not shown. Without a ranker, or where it had no say, there is nothing to keep.

    Args:
        scorer: the chain's ranker.
        context: what the request said of its user.
    """
    shown = run.candidates.item
    if not isinstance(scorer, RankScorer) or "rank" not in run.after or not len(shown):
        return
    with run.trace.stage("skew", len(shown)) as entry:
        try:
            read = scorer.read(run.user, shown)
            run.trace.features = ServedFeatures(
                user={name: rows[0].tolist() for name, rows in read.user.items()},
                items={name: plain(rows) for name, rows in read.items.items()},
                context=dict(context),
            )
            entry.n_out = len(shown)
        except Exception as error:  # a feed that cannot be watched is still a feed
            entry.error = f"{type(error).__name__}: {error}"
            of = {"request_id": run.request.request_id}
            logger.warning("request %s: skew failed", run.request.request_id, exc_info=error, extra=of)


def plain(rows: NDArray[Any]) -> list[list[int | float | None]]:
    """Rows of ids or numbers; NaN, which JSON has not, as null."""
    values: list[list[int | float | None]] = rows.tolist()
    if rows.dtype.kind == "f" and not np.isfinite(rows).all():
        return [[v if np.isfinite(v) else None for v in row] for row in rows.tolist()]
    return values
