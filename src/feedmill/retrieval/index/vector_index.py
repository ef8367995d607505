"""An index that is searched while it changes: a search uses what is held at its start, a change replaces it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Mask, Rows
from feedmill.core.errors import DataError
from feedmill.core.workspace import Component
from feedmill.retrieval.index import stored
from feedmill.retrieval.index.build import FEW, build, chosen, threads
from feedmill.retrieval.index.held import Held, sound
from feedmill.retrieval.index.metric import Metric, unit

_REBUILD = 5  # a structure is built anew when one row in so many has changed since


class VectorIndex:
    """The items nearest to a vector, of any kind in INDEXES: they differ in time, memory and recall, not in answers'
    form. Scores are exact and larger is nearer (l2: the negated squared distance), equal ones in the order of rows.

    Row 0 is never returned, and neither is an item whose vector is all zero: it has not been learnt, and is left to
    other channels. Searches, from any number of threads, wait for nothing; of changes there is one at a time.

    Args:
        held: what ``build.build`` or ``stored.read`` gave.
        few: items that are compared one by one sooner than the structure is asked.
    """

    def __init__(self, held: Held, *, few: int = FEW) -> None:
        self._held, self._few = held, few
        self._changing = threading.Lock()

    @classmethod
    def build(
        cls,
        vectors: Floats,
        kind: str | Mapping[str, Any] | Component[Any] = "auto",
        metric: Metric = "inner_product",
        *,
        seed: int = 0,
        queries: Floats | None = None,
    ) -> VectorIndex:
        """An index over float32[N, D], row 0 (nothing) included; N may be 0 or 1.

        Args:
            kind: a key of INDEXES, or with parameters ``{"kind": "ivf", "n_probe": 32}``.
            queries: float32[U, D] of users, to measure recall with; None = items' own vectors.

        Raises:
            DataError: vectors are not N x D with D > 0, or some are not finite.
            ConfigError: an unknown kind or parameter.
        """
        choice = kind if isinstance(kind, Component) else chosen(kind)
        return cls(build(vectors, choice, metric, seed, queries))

    @classmethod
    def open(cls, path: Path, *, verify: bool = True) -> VectorIndex:
        """A saved index, mapped from its file.

        Raises:
            ArtifactError: see ``stored.read``.
        """
        return cls(stored.read(path, verify=verify))

    def __len__(self) -> int:
        """Items held: row 0 and vectors that are zero do not count."""
        return self._held.n_items

    @property
    def n_rows(self) -> int:
        """The length of a mask."""
        return self._held.n_rows

    @property
    def kind(self) -> str:
        """A key of INDEXES; never "auto", but what that came to."""
        return self._held.kind

    @property
    def metric(self) -> Metric:
        return self._held.metric

    @property
    def report(self) -> Mapping[str, Any]:
        """What the build said: kind, items, recall@k against exact, effort, bytes of the structure."""
        return self._held.report

    def search(self, queries: Floats, k: int, keep: Mask | None = None) -> tuple[Rows, Floats]:
        """The k items nearest to each query, equally near ones in the order of rows.

        Args:
            queries: float32[R, D].
            keep: bool[n_rows], which rows may be returned (availability, language). k are found among them, if there
                are so many: a structure is searched the harder the fewer are kept. None = all.

        Returns:
            rows int32[R, k'] and scores float32[R, k'] with k' = min(k, items held), best first. Where the
            mask leaves fewer, padded with row 0 and score -inf.

        Raises:
            DataError: queries are not R x D or not finite, or a mask of another length.
        """
        held = self._held
        queries = np.ascontiguousarray(queries, np.float32)
        if queries.ndim != 2 or queries.shape[1] != held.dim:
            raise DataError(f"index: queries of shape {queries.shape}", f"R x {held.dim}")
        if not np.isfinite(queries).all():
            raise DataError("index: a query is not finite", "finite user vectors", "look at the user's features")
        if keep is not None and len(keep) != held.n_rows:
            raise DataError(f"index: a mask of {len(keep)} rows", f"{held.n_rows} rows")
        if held.metric == "cosine":
            queries = unit(queries)
        with threads(1):
            return held.search(queries, max(0, min(k, held.n_items)), keep, self._few)

    def add(self, rows: Rows, vectors: Floats) -> None:
        """Put in items, or others in place of those that bear the same rows; a zero vector takes its item out.

        They are found at once, by comparing them all; when many have come the structure is built anew.

        Args:
            rows: int32[m] > 0, distinct. They are dense: a row of a million makes a table of a million.
            vectors: float32[m, D].

        Raises:
            DataError: rows or vectors that cannot be used; nothing has changed.
        """
        rows, vectors = self._checked(rows), sound(vectors, "added vector")
        with self._changing:
            held = self._held
            if vectors.shape != (len(rows), held.dim):
                raise DataError(f"index: vectors of shape {vectors.shape}", f"{len(rows)} x {held.dim}")
            held, some = _without(held, rows), vectors.any(axis=1)
            fresh_rows = np.concatenate([held.fresh_rows, rows[some]])
            order = np.argsort(fresh_rows)
            fresh = np.concatenate([held.fresh, vectors[some]])[order]
            self._held = self._settled(replace(held, fresh_rows=fresh_rows[order], fresh=fresh))

    def remove(self, rows: Rows) -> int:
        """Take items out, those there are; how many that was.

        Raises:
            DataError: rows that cannot be used.
        """
        rows = self._checked(rows)
        with self._changing:
            before = self._held.n_items
            self._held = self._settled(_without(self._held, rows))
            return before - self._held.n_items

    def swap(self, other: VectorIndex) -> None:
        """Hold what the other holds, of whatever kind and size; searches under way finish with the old."""
        with self._changing:
            self._held = other._held

    def save(self, path: Path) -> None:
        """Whole and on the disk when it returns, or not there at all.

        Raises:
            ArtifactError: it cannot be written.
        """
        stored.save(self._held, path)

    def packed(self) -> NDArray[np.uint8]:
        """uint8[n]: all but the vectors it was built over, to be stored beside them."""
        return stored.pack(self._held, with_vectors=False)

    @staticmethod
    def _checked(rows: Rows) -> Rows:
        rows = np.asarray(rows)
        if rows.ndim != 1 or (len(rows) and not np.issubdtype(rows.dtype, np.integer)):
            raise DataError(f"index: rows of {rows.dtype}{list(rows.shape)}", "a list of row numbers")
        if len(rows) and (rows.min() < 1 or rows.max() >= 2**31 or len(np.unique(rows)) < len(rows)):
            raise DataError(f"index: rows {rows[:10].tolist()}…", "different rows from 1 on; row 0 is nothing")
        return rows.astype(np.int32)

    def _settled(self, held: Held) -> Held:
        """Built anew if much has changed; else as it is."""
        n_changed = len(held.fresh_rows) + (0 if held.gone is None else int(np.count_nonzero(held.gone)))
        if n_changed <= max(self._few, len(held.rows) // _REBUILD):
            return held
        vectors = np.zeros((held.n_rows, held.dim), np.float32)
        there = held.rows if held.gone is None else held.rows[~held.gone]
        vectors[there], vectors[held.fresh_rows] = held.vectors[there], held.fresh
        asked = dict(held.report["asked"])
        return build(vectors, chosen(asked), held.metric, held.seed)


def _without(held: Held, rows: Rows) -> Held:
    gone = np.isin(held.rows, rows)
    if held.gone is not None:
        gone |= held.gone
    still = ~np.isin(held.fresh_rows, rows)
    return replace(held, gone=gone if gone.any() else None, fresh_rows=held.fresh_rows[still], fresh=held.fresh[still])
