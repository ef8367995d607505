"""Ids as dense rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa

from feedmill.core.batches import Rows
from feedmill.core.errors import ArtifactError
from feedmill.core.events import FORGOTTEN

MANY = 2**31 - 2  # what int32 can tell apart
FEW = 64  # up to here a plain loop beats dictionary encoding


class IdMap:
    """Text ids to int32 rows in order of first appearance. Row 0 is "", nobody; an unknown id reads as 0.

    Args:
        most: ids that get a row; later new ones stay unknown. None = all.

    Attributes:
        forgotten: rows whose id somebody had that has been forgotten: the row stays, so that all others do.
        retold: digests before people were forgotten -> the digest of as many ids now.
    """

    def __init__(self, ids: Iterable[str] = (), most: int | None = None) -> None:
        self._ids, self._most = [""], MANY if most is None else most
        self._row = {"": 0}
        self._hash, self._n_hashed = hashlib.sha256(), 0
        self.forgotten: list[int] = []
        self.retold: dict[str, str] = {}
        for text in ids:
            self.add(text)

    def __len__(self) -> int:
        """Rows, row 0 included."""
        return len(self._ids)

    def row(self, text: str) -> int:
        """The row of an id, 0 if unknown."""
        return self._row.get(text, 0)

    def id(self, row: int) -> str:
        """The id of a row. Raises IndexError for a row that does not exist."""
        return self._ids[row]

    def ids(self, rows: Rows | Sequence[int] | None = None) -> list[str]:
        """The ids of the given rows, or of all."""
        if rows is None:
            return self._ids.copy()
        return [self._ids[r] for r in np.asarray(rows).tolist()]

    def add(self, text: str) -> int:
        """The row of an id, a new one if it is unknown; 0 if there is room for no more."""
        row = self._row.get(text)
        if row is None:
            row = len(self._ids)
            if row > self._most:
                return 0
            self._ids.append(text)  # first, so that another thread never finds a row without an id
            self._row[text] = row
            if text.startswith(FORGOTTEN):
                self.forgotten.append(row)
        return row

    def rename(self, row: int, text: str) -> None:
        """Let an id, of a row that there is, be another from now on; the one before is unknown."""
        before, self._ids[row] = self._ids[row], text
        del self._row[before]
        self._row[text] = row
        if text.startswith(FORGOTTEN):
            self.forgotten.append(row)
        if row < self._n_hashed:
            self._hash, self._n_hashed = hashlib.sha256(), 0

    def rows(self, ids: pa.Array | pa.ChunkedArray | Sequence[str], grow: bool = False) -> Rows:
        """int32[n] rows of n ids; with ``grow``, unknown ids get new rows in order of appearance."""
        if not isinstance(ids, pa.Array | pa.ChunkedArray):
            return self._each(ids, grow)
        if len(ids) <= FEW:
            return self._each(ids.to_pylist(), grow)
        if isinstance(ids, pa.ChunkedArray):
            ids = ids.combine_chunks()
        if ids.null_count:
            ids = ids.fill_null("")
        if pa.types.is_dictionary(ids.type):
            ids = ids.cast(ids.type.value_type)
        encoded = ids.dictionary_encode()  # its dictionary is in order of appearance
        rows = self._each(encoded.dictionary.to_pylist(), grow)
        return np.asarray(rows[encoded.indices.to_numpy()], np.int32)

    def _each(self, ids: Iterable[str | None], grow: bool) -> Rows:
        if grow:
            return np.array([self.add(text or "") for text in ids], np.int32)
        row = self._row.get
        return np.array([row(text or "", 0) for text in ids], np.int32)

    def renamed(self, texts: Mapping[int, str]) -> IdMap:
        """A copy with other texts in some rows."""
        return IdMap([texts.get(row, text) for row, text in enumerate(self._ids)][1:], self._most)

    def agrees(self, n: int, digest: str) -> bool:
        """Whether the first n ids are those of a digest, also one from before somebody was forgotten."""
        return n <= len(self._ids) and self.digest(n) in (digest, self.retold.get(digest))

    def digest(self, n: int | None = None) -> str:
        """SHA-256 of the first n ids (of all), in hex: two states that agree on it agree on those rows.

        Raises:
            ArtifactError: there are fewer than n.
        """
        n = len(self._ids) if n is None else n
        if not 0 <= n <= len(self._ids):
            raise ArtifactError(
                f"the log has {len(self._ids)} ids", f"the {n} the artifact was made with", "train on this log"
            )
        if n < self._n_hashed:
            return _update(hashlib.sha256(), self._ids[:n]).hexdigest()
        _update(self._hash, self._ids[self._n_hashed : n])
        self._n_hashed = n
        return self._hash.hexdigest()


def _update(state: hashlib._Hash, ids: Sequence[str]) -> hashlib._Hash:
    for text in ids:
        data = text.encode("utf-8", "surrogatepass")
        state.update(len(data).to_bytes(8, "little") + data)
    return state
