"""A text encoder at work: text -> ids -> embedding rows -> ONNX graph -> unit vector. No torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Part
from feedmill.core.config import convert
from feedmill.core.errors import ArtifactError, ConfigError
from feedmill.features.served.graph import pool, session
from feedmill.features.text import TextConfig, tokenise

_WHOLE = 1e-12


class TextGraph:
    """The query side of a text model.

    Args:
        part: arrays ``embedding`` float32[V, D] and ``buckets`` int32[V - 1], the hashed ids that have rows; blob
            ``dense.onnx``; config ``text``, ``ngrams``, ``is_bag``, ``least``.

    Raises:
        ArtifactError: the part is not one that ``train.retrieval.text`` made.
    """

    def __init__(self, part: Part) -> None:
        try:
            self.config = convert(part.config["text"], TextConfig, "text")
            self._ngrams, self._least = int(part.config["ngrams"]), int(part.config["least"])
            self._is_bag = bool(part.config["is_bag"])
            self._table, buckets = np.asarray(part.arrays["embedding"]), part.arrays["buckets"]
            self._session = session(part.blobs["dense.onnx"])
        except (KeyError, TypeError, ConfigError) as e:
            raise ArtifactError(f"no text model: {e}", "one this version trained", "run `feedmill train`") from None
        if len(self._table) != len(buckets) + 1:
            raise ArtifactError(f"a table of {len(self._table)} rows", f"{len(buckets) + 1}", "run `feedmill train`")
        self._slots = np.zeros(self.config.n_buckets + 1, np.int32)
        self._slots[buckets] = np.arange(1, len(buckets) + 1)
        self._inputs = {i.name for i in self._session.get_inputs()}
        self._width = int(self._session.get_outputs()[0].shape[1])

    def encode(self, texts: Sequence[str]) -> Floats:
        """float32[n, D] of length 1; the zero vector for a text of which no id is known, such as an empty one."""
        tokens = tokenise(texts, self.config, self._ngrams).slotted(self._slots)
        rows = np.arange(len(tokens))
        ids = tokens.bags(rows) if self._is_bag else tokens.sequences(rows, self._least)
        n, t, b = ids.shape
        if n == 0:
            return np.zeros((0, self._width), np.float32)
        x = pool(self._table, ids.reshape(n * t, b), np.array([0, b], np.int32)).reshape(n, t, -1)
        feeds: dict[str, NDArray[np.float32] | NDArray[np.int64]] = {"x": x, "length": tokens.lengths}
        (out,) = self._session.run(None, {k: v for k, v in feeds.items() if k in self._inputs})
        vectors = np.asarray(out, np.float32)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), _WHOLE)
        vectors[~ids.any(axis=(1, 2))] = 0
        return vectors
