"""Vector indexes: the items nearest to a vector. One interface, and one file for each kind of structure behind it."""

from __future__ import annotations

from feedmill.retrieval.index.build import INDEXES, chosen
from feedmill.retrieval.index.metric import Metric, unit
from feedmill.retrieval.index.vector_index import VectorIndex

__all__ = ["INDEXES", "Metric", "VectorIndex", "chosen", "unit"]
