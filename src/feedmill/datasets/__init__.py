"""Real logs in: MovieLens, Gowalla, KuaiRec, KuaiRand, SegMM, and (``mapping.MappedDataset``) any CSV, Parquet or JSON
lines."""

from __future__ import annotations

from feedmill.core.protocols import Dataset
from feedmill.core.registry import Registry

DATASETS: Registry[Dataset] = Registry(
    "dataset",
    {
        "gowalla": "feedmill.datasets.gowalla:Gowalla",
        "kuairand": "feedmill.datasets.kuairand:KuaiRand",
        "kuairec": "feedmill.datasets.kuairec:KuaiRec",
        "kuairec-small": "feedmill.datasets.kuairec:KuaiRecSmall",
        "ml-100k": "feedmill.datasets.movielens:MovieLens100K",
        "ml-latest": "feedmill.datasets.movielens:MovieLensLatest",
        "segmm": "feedmill.datasets.segmm:SegMM",
    },
)
