"""The finish-length curve: short items are finished more often, whoever watches. p(finish) / f(length) takes that out.

Fitted to the training log's impressions, stored as a part of its own, and applied by ``rerank.fusion``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Part, SampleBatch
from feedmill.core.errors import ArtifactError
from feedmill.metrics.by_bucket import edges_of, in_ranges
from feedmill.rerank.fusion import FINISH, Lengths
from feedmill.state import State

FINISH_LENGTH_PART = "finish_length"  # a channel's part has the channel's name
N_RANGES = 20
PRIOR_COUNT = 100.0  # rows of the overall rate that each range is pulled to it by: no f is 0


def fit_finish_length(samples: SampleBatch, state: State) -> Part | None:
    """The curve of a log, or none where it has no finishes, nothing but finishes, or no lengths.

    f(length) = the rate of finishes among items of about that length / the rate among all: in ranges of equally many
    rows, between their middles straight on the logarithm of the length. Where f is 1 a finish says what it says of the
    average item, so that the weights of a fusion need not change; unknown lengths have f = 1.

    Args:
        samples: rows weigh 1 / the chance they were kept with.
        state: knows the items' lengths.
    """
    if FINISH not in samples.heads:
        return None
    h = samples.heads.index(FINISH)
    length = state.catalogue.duration_s[samples.probe.item].astype(np.float64)
    known = samples.mask[:, h] & np.isfinite(length) & (length > 0)
    y, w, z = samples.labels[known, h] > 0, samples.weight[known].astype(np.float64), np.log(length[known])
    if not y.any() or y.all():
        return None
    rate = float(np.average(y, weights=w))
    at = in_ranges(z, edges_of(z, N_RANGES)) - 1
    n = np.bincount(at, w)
    used = n > 0
    centre = np.bincount(at, w * z)[used] / n[used]
    finished = (np.bincount(at, w * y)[used] + PRIOR_COUNT * rate) / (n[used] + PRIOR_COUNT)
    config = {"rate": rate, "n": int(known.sum())}
    return Part("finish_length", config, {"log_length": centre, "factor": finished / rate})


def finish_lengths(part: Part, state: State) -> Lengths:
    """The f of item rows, bound to a live state: an item's length is read when it is asked for.

    Raises:
        ArtifactError: the part is no such curve.
    """
    try:
        x, f = (np.asarray(part.arrays[name], np.float64) for name in ("log_length", "factor"))
    except KeyError as e:
        raise ArtifactError(f"a finish-length curve without {e}", "log_length and factor", "train again") from None
    if len(x) != len(f) or not len(x) or not (f > 0).all():
        raise ArtifactError(f"a finish-length curve of {len(x)} and {len(f)} points", "as many of both", "train again")
    return lambda item: factors(state.catalogue.duration_s[item], x, f)


def factors(length_s: Floats, x: NDArray[np.float64], f: NDArray[np.float64]) -> Floats:
    """float32[C] f of lengths in seconds; 1 where they are unknown or not above 0."""
    known = np.isfinite(length_s) & (length_s > 0)
    out = np.ones(len(length_s), np.float32)
    out[known] = np.interp(np.log(length_s[known].astype(np.float64)), x, f)
    return out
