"""Real logs in: MovieLens, Gowalla, and (``mapping.MappedDataset``) any CSV, Parquet or JSON lines."""

from __future__ import annotations

from feedmill.core.protocols import Dataset
from feedmill.core.registry import Registry

DATASETS: Registry[Dataset] = Registry(
    "dataset",
    {
        "gowalla": "feedmill.datasets.gowalla:Gowalla",
        "ml-100k": "feedmill.datasets.movielens:MovieLens100K",
        "ml-latest": "feedmill.datasets.movielens:MovieLensLatest",
    },
)
