"""BM25 by bm25s: the rival that text retrieval is measured against."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import import_module
from itertools import pairwise
from typing import Any

import numpy as np

from feedmill.core.batches import Floats, Rows

_TOKEN = re.compile(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+")  # a Chinese character, or a word


class Bm25:
    """An index over texts, with the library's own defaults.

    Args:
        docs: texts by row.
        ngrams: 2 = pairs of neighbouring tokens count as tokens too.

    Raises:
        ImportError: bm25s is not installed; it is in the extra ``bench``.
    """

    def __init__(self, docs: Sequence[str], ngrams: int) -> None:
        bm25s: Any = import_module("bm25s")
        self.n, self._ngrams = len(docs), ngrams
        self._index: Any = bm25s.BM25()
        self._index.index([self.tokens(d) for d in docs], show_progress=False)

    def tokens(self, text: str) -> list[str]:
        """Words and Chinese characters in small letters."""
        one = _TOKEN.findall(text.casefold())
        return one + [a + b for a, b in pairwise(one)] if self._ngrams == 2 else one

    def scores(self, text: str) -> Floats:
        """float32[N] of every doc for a query."""
        known = [t for t in self.tokens(text) if t in self._index.vocab_dict]
        return np.asarray(self._index.get_scores(known), np.float32) if known else np.zeros(self.n, np.float32)

    def top(self, text: str, k: int) -> Rows:
        """int32[k] rows of the best docs, by the library's own search."""
        known = [t for t in self.tokens(text) if t in self._index.vocab_dict]
        if not known:
            return np.zeros(0, np.int32)
        found = self._index.retrieve([known], k=k, show_progress=False)
        return np.asarray(found.documents[0], np.int32)
