"""What users searched for lately, as ids of words."""

from __future__ import annotations

import numpy as np

from feedmill.core.batches import Rows
from feedmill.features.text import TextConfig, tokenise
from feedmill.state import State

IDS_PER_SEARCH = 24  # of the words and letter trigrams of one query; longer ones are cut
N_BUCKETS = 1 << 16
_READ = TextConfig(n_buckets=N_BUCKETS, max_tokens=8)


def search_ids(state: State, rows: Rows) -> Rows:
    """int32[R, n] rows of ``state.queries`` -> int32[R, n * IDS_PER_SEARCH] ids in 1..N_BUCKETS, padded with 0."""
    distinct, place = np.unique(rows, return_inverse=True)
    texts = ["" if row == 0 else state.queries.id(row) for row in distinct.tolist()]
    if not any(texts):
        return np.zeros((len(rows), rows.shape[1] * IDS_PER_SEARCH), np.int32)
    bags = tokenise(texts, _READ).bags(np.arange(len(texts)))[:, 0]
    table = np.zeros((len(texts), IDS_PER_SEARCH), np.int32)
    table[:, : bags.shape[1]] = bags[:, :IDS_PER_SEARCH]
    return table[place.reshape(rows.shape)].reshape(len(rows), -1)
