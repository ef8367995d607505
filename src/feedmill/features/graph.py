"""A trained model at work: state -> features -> embedding rows -> ONNX graph. No torch.

The embedding table lies beside the graph as a memory-mapped array and is gathered here, so rows can be replaced
while the dense graph stays frozen, and workers share its pages.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from numba import njit
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Part, Rows, UserColumns
from feedmill.core.errors import ArtifactError
from feedmill.features.assemble import assemble
from feedmill.features.spec import from_dict
from feedmill.state import Probed, State

onnxruntime.set_default_logger_severity(3)


class Graph:
    """One model of an artifact, bound to a live state.

    Args:
        part: arrays ``embedding`` float32[V, D] and those of ``features.fit``; blob ``dense.onnx``;
            config ``spec``, ``spec_hash``, ``heads``.

    Raises:
        ArtifactError: the part is not what its spec says, or the state counts other things.
    """

    def __init__(self, part: Part, state: State) -> None:
        self.spec = from_dict(part.config.get("spec"))
        self.spec.check(state.settings_hash, str(part.config.get("spec_hash", "")))
        self.heads: tuple[str, ...] = tuple(part.config.get("heads", ()))
        self._state, self._arrays = state, part.arrays
        self._table = np.asarray(part.arrays["embedding"])
        if len(self._table) != self.spec.n_rows:
            raise ArtifactError(f"an embedding table of {len(self._table)} rows", f"{self.spec.n_rows}", "train again")
        self._starts = {s: np.array(self.spec.starts(s), np.int32) for s in ("user", "item")}
        self._session = session(part.blobs["dense.onnx"])
        self._inputs = {i.name for i in self._session.get_inputs()}

    def users(self, user: UserColumns) -> Floats:
        """float32[R, D] vectors of users, for models with a user tower."""
        return self._run(Probed.of_users(user, self._state.count_names))

    def score(self, user: UserColumns, items: Rows) -> Floats:
        """float32[C, H] probabilities of candidate rows for one user (R = 1)."""
        if len(items) == 0:
            return np.zeros((0, len(self.heads)), np.float32)
        return self._run(self._state.probe(user, items))

    def _run(self, probed: Probed) -> Floats:
        batch = assemble(self.spec, self._arrays, self._state, probed)
        feeds: dict[str, NDArray[Any]] = {
            "user": pool(self._table, batch.user_ids, self._starts["user"]),
            "user_numeric": batch.user_numeric,
            "item": pool(self._table, batch.item_ids, self._starts["item"]),
            "item_numeric": batch.item_numeric,
            "request_of": batch.request_of,
        }
        (out,) = self._session.run(None, {k: v for k, v in feeds.items() if k in self._inputs})
        return np.asarray(out, np.float32)


def session(blob: bytes) -> onnxruntime.InferenceSession:
    """One thread and no spinning: a worker is a process, and the other core belongs to the next one."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(blob, options, providers=["CPUExecutionProvider"])
    except Exception as e:
        raise ArtifactError(
            f"dense.onnx cannot be loaded: {e}", "a graph this version exported", "train again"
        ) from None


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
