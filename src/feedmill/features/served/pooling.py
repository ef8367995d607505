"""From ids to what a graph reads: the means of embedding rows, and the session that runs it."""

from __future__ import annotations

import numpy as np
import onnxruntime
from numba import njit
from numpy.typing import NDArray

from feedmill.core.errors import ArtifactError
from feedmill.core.protocols import Arrays
from feedmill.features.spec import FeatureSpec

onnxruntime.set_default_logger_severity(3)


def session(blob: bytes) -> onnxruntime.InferenceSession:
    """One thread and no spinning: a worker is a process, and the other core belongs to the next one."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(blob, options, providers=["CPUExecutionProvider"])
    except Exception as e:
        raise ArtifactError(f"a graph cannot be loaded: {e}", "one that this version exported", "train again") from None


def table_of(arrays: Arrays, spec: FeatureSpec) -> NDArray[np.float32]:
    """float32[V, D], the embedding table of a part.

    Raises:
        ArtifactError: it is not as long as the spec says.
    """
    table = np.asarray(arrays["embedding"])
    if len(table) != spec.n_rows:
        raise ArtifactError(f"an embedding table of {len(table)} rows", f"{spec.n_rows}", "train again")
    return table


@njit(cache=True, nogil=True)
def pool(table: NDArray[np.float32], ids: NDArray[np.int32], starts: NDArray[np.int32]) -> NDArray[np.float32]:
    """float32[n, F, D]: the mean of each field's rows; ids 0 do not count, an empty bag is the zero vector."""
    n, d = ids.shape[0], table.shape[1]
    out = np.zeros((n, len(starts) - 1, d), np.float32)
    for r in range(n):
        for f in range(len(starts) - 1):
            m = 0
            for w in range(starts[f], starts[f + 1]):
                if ids[r, w] > 0:
                    m += 1
                    for j in range(d):
                        out[r, f, j] += table[ids[r, w], j]
            if m > 1:
                for j in range(d):
                    out[r, f, j] /= m
    return out
