"""What a model that saw a share of the negatives says, as if it had seen them all. He et al. 2014, section 6.3."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedmill.core.errors import DataError

Numbers = NDArray[Any]


def corrected(probs: Numbers, keep_negatives: float) -> NDArray[np.float64]:
    """The probability among all rows, q = p / (p + (1 - p) / w), where negatives were kept with chance w.

    Args:
        probs: [n] raw probabilities; NaN (missing) stays NaN.
        keep_negatives: w.

    Raises:
        DataError: w is not in (0, 1], or a probability is outside [0, 1].
    """
    p = _checked(probs, keep_negatives)
    return np.asarray(p / (p + (1 - p) / keep_negatives), np.float64)


def corrected_heads(probs: Numbers, keep_negatives: float) -> NDArray[np.float64]:
    """The same of several heads that share their rows: a row is kept with chance w if it is no head's positive.

    A like is a positive whether it was clicked or not, but a click without a like is kept too: what like's negatives
    lost is what had no positive at all. With p_any the raw chance of any positive, a row of these features was kept
    with chance 1 / (p_any + (1 - p_any) / w), so q_h = p_h / (p_any + (1 - p_any) / w) for every head h. p_any is
    taken to be that of the likeliest head: exact where one head holds the others' positives, as "click" does.

    Args:
        probs: [n, H] raw probabilities; a NaN stays NaN, and is no positive of any.

    Raises:
        DataError: see ``corrected``.
    """
    p = _checked(probs, keep_negatives)
    if p.shape[1] == 0:
        return p
    above = np.where(np.isnan(p), 0.0, p).max(axis=1, keepdims=True)
    return np.asarray(p / (above + (1 - above) / keep_negatives), np.float64)


def _checked(probs: Numbers, keep_negatives: float) -> NDArray[np.float64]:
    if not 0 < keep_negatives <= 1:
        raise DataError(f"keep_negatives {keep_negatives}", "a share above 0 and at most 1")
    p = np.asarray(probs, np.float64)
    if ((p < 0) | (p > 1)).any():
        raise DataError(f"probabilities from {np.nanmin(p)} to {np.nanmax(p)}", "0 to 1")
    return p
