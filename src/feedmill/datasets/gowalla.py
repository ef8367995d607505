"""Gowalla: check-ins at places, in the split that NGCF and LightGCN made and that everybody reports on.

Eunjoon Cho, Seth Myers and Jure Leskovec, Friendship and Mobility, KDD 2011 (the data, by SNAP); Xiang Wang et al.,
Neural Graph Collaborative Filtering, SIGIR 2019 (the split).

Two files, a line for each user: the user, then the items. Which visit came first, and when, is not in them.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from feedmill.core.clock import rng
from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch, Kind
from feedmill.datasets.source import digest

LICENCE = "Gowalla check-ins by SNAP, Stanford University: for research; cite Cho, Myers and Leskovec, KDD 2011"
FILES = (("train.txt.gz", "train.txt"), ("test.txt.gz", "test.txt"))
PUBLISHED = (  # sha256 of the texts, so that a gzipped copy is the same split
    "0f086326b28a56c2e6dcb81d86ee72d4ccb7eed3a8d26788392356d8f51111cc",
    "099a2a73924e4b754dc6efd730d764f492321b53c38eb93298850c83acf57be3",
)
FIRST_MS = 1_262_304_000_000  # 2010-01-01: the data end in October of that year
STEP_MS = 60_000
BATCH_ROWS = 65_536
_FORMAT = "1"  # part of the source: raise it when the same files would give other events

Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]  # users and items, of the same length


class Gowalla:
    """29,858 users, 40,981 places, 810,128 clicks; the 217,242 pairs to be found are ``test()`` and no events.

    The files have no times, so ``time_ms`` is a stand-in: each user's items are put into a seeded random order and
    come a minute apart, all users starting on 2010-01-01. (In the file they are ordered by number, and numbers were
    given by first appearance: that order would tell who came first to a place.)

    Attributes:
        is_published: whether it is the split of the papers, to the byte.

    Args:
        folder: of train.txt and test.txt, each perhaps gzipped (.gz); it has to be downloaded by hand.

    Raises:
        DataError: the files are missing or damaged.
    """

    name = "gowalla"
    licence = LICENCE

    def __init__(self, folder: Path | None = None) -> None:
        if folder is None:
            raise DataError(
                "gowalla without a folder",
                "a folder of train.txt and test.txt, one user a line",
                "take them from Data/gowalla of https://github.com/xiangwang1223/neural_graph_collaborative_filtering",
            )
        files = [_existing(folder, names) for names in FILES]
        texts = [_text(path) for path in files]
        self._train, self._test = (_pairs(path, text) for path, text in zip(files, texts, strict=True))
        self._source = digest(files, _FORMAT)
        self.is_published = tuple(hashlib.sha256(text).hexdigest() for text in texts) == PUBLISHED

    def events(self) -> Iterator[EventBatch]:
        """The training pairs as clicks."""
        user, item = self._train
        by_user = np.lexsort((rng(0, "gowalla", "order").random(len(user)), user))
        user, item = user[by_user], item[by_user]
        place = np.arange(len(user)) - np.searchsorted(user, user)
        by_time = np.lexsort((user, place))
        for start in range(0, len(user), BATCH_ROWS):
            at = by_time[start : start + BATCH_ROWS]
            columns = {
                "time_ms": FIRST_MS + STEP_MS * place[at],
                "kind": np.full(len(at), Kind.CLICK, np.int8),
                "user_id": user[at].tolist(),
                "item_id": item[at].tolist(),
            }
            yield EventBatch.of(columns, source=self._source, source_row=start)

    def items(self) -> EventBatch:
        """An ITEM event for each place; nothing is known of them but that they exist."""
        names = np.unique(np.concatenate([self._train[1], self._test[1]])).tolist()
        columns = {"time_ms": FIRST_MS, "kind": int(Kind.ITEM), "item_id": names, "payload": "{}"}
        return EventBatch.of(columns, source=f"{self._source}/items")

    def users(self) -> EventBatch:
        """Nothing is known of users."""
        return EventBatch.of({}, source=f"{self._source}/users")

    def train(self) -> Pairs:
        """Users and items of the training pairs, as numbers, in the order of the file."""
        return self._train

    def test(self) -> Pairs:
        """Users and items of the pairs to be found, in the order of the file."""
        return self._test


def _existing(folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise DataError(f"no file {folder / names[-1]}, gzipped or not", "a folder of the LightGCN split", "check the path")


def _text(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as e:
        raise DataError(f"{path} cannot be read: {e}", "a whole, undamaged file", "fetch it again") from e


def _pairs(path: Path, text: bytes) -> Pairs:
    try:
        lines = [np.array(line.split(), np.int64) for line in text.splitlines() if line.strip()]
    except ValueError as e:
        raise DataError(f"{path}: {e}", "lines of numbers: user item item …", "fetch it again") from e
    if not any(len(line) > 1 for line in lines) or min(int(line.min()) for line in lines) < 0:
        raise DataError(f"{path} has no pairs, or numbers below 0", "users and items from 0", "fetch it again")
    user = np.repeat([line[0] for line in lines], [len(line) - 1 for line in lines])
    return user.astype(np.int64), np.concatenate([line[1:] for line in lines])
