"""What a person makes of a label: a table of people x labels, fitted by ridge, one column of labels at a time.

    taste(u, i) = topic_weight(i) · Σ table[u, topics of i] + Σ table[u, other labels of i]

A person's row is the sum of what people described like them make of the label (``crosses``: by language, by city) and
of their own part. A table and no factors, since tastes for a hundred topics have no few directions in common.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from feedmill.core.batches import Floats, Rows
from feedmill.sim.feeds.fast.descriptions import N_LABELS, N_TOPICS, NOTHING

COLUMNS = ((0, N_TOPICS), *((column, column + 1) for column in range(N_TOPICS, N_LABELS)))


class Labels(NamedTuple):
    """Of M videos."""

    of: Rows  # int32[M, N_LABELS], topics first
    topic_weight: Floats  # float32[M]: 1 / sqrt(topics)


def labels_of(labels: Rows) -> Labels:
    """With the weight that makes a video of several topics as strong as one of one."""
    n_topics = (labels[:, :N_TOPICS] != NOTHING).sum(1)
    return Labels(np.ascontiguousarray(labels), (1 / np.sqrt(np.maximum(n_topics, 1))).astype(np.float32))


@njit(cache=True, nogil=True)
def add_tastes(table: Floats, labels: Labels, user: Rows, item: Rows, sign: float, out: Floats) -> None:
    """Add sign · taste to ``out``."""
    for t in range(len(user)):
        row, topics, rest = table[user[t]], np.float32(0), np.float32(0)
        for k in range(N_LABELS):
            if k < N_TOPICS:
                topics += row[labels.of[item[t], k]]
            else:
                rest += row[labels.of[item[t], k]]
        out[t] += np.float32(sign) * (labels.topic_weight[item[t]] * topics + rest)


@njit(cache=True, nogil=True)
def fit_column(first: int, last: int, low: int, high: int, labels: Labels, who: Rows, item: Rows, weight: Floats,
               l2: float, table: Floats, mass: Floats, residual: Floats) -> None:  # fmt: skip
    """Rows first..last of ``table``, for the labels that stand in columns low..high; ``residual`` follows.

    Args:
        who: int32[n] rows of the table, below 0 for none.
        mass: float32[W, C] weight of the views behind each cell; those of these columns must be 0 before.
        residual: float32[n] what the score is still short of.
    """
    pull = np.zeros((last - first, table.shape[1]), np.float32)
    for t in range(len(who)):
        if first <= who[t] < last:
            x = labels.topic_weight[item[t]] if high <= N_TOPICS else np.float32(1)
            for k in range(low, high):
                label = labels.of[item[t], k]
                mass[who[t], label] += weight[t] * x * x
                pull[who[t] - first, label] += weight[t] * x * residual[t]
    for row in range(first, last):
        for label in range(table.shape[1]):
            p = pull[row - first, label]
            if label != NOTHING and p != 0:
                n = mass[row, label]
                pull[row - first, label] = (p + n * table[row, label]) / (n + np.float32(l2)) - table[row, label]
                table[row, label] += pull[row - first, label]
        pull[row - first, NOTHING] = 0
    for t in range(len(who)):
        if first <= who[t] < last:
            x = labels.topic_weight[item[t]] if high <= N_TOPICS else np.float32(1)
            for k in range(low, high):
                residual[t] -= x * pull[who[t] - first, labels.of[item[t], k]]


@njit(cache=True, nogil=True)
def learn_tastes(table: Floats, mass: Floats, labels: Labels, user: Rows, item: Rows, l2: float,
                 residual: Floats) -> None:  # fmt: skip
    """View by view: each label of the video takes its share of the surprise, more where less is known (the Kalman
    filter with a diagonal covariance); ``residual`` becomes what is left over."""
    for t in range(len(user)):
        u, i, total = user[t], item[t], np.float32(1)
        for k in range(N_LABELS):
            label = labels.of[i, k]
            if label != NOTHING:
                x = labels.topic_weight[i] if k < N_TOPICS else np.float32(1)
                total += x * x / (mass[u, label] + np.float32(l2))
        left = residual[t] / total
        for k in range(N_LABELS):
            label = labels.of[i, k]
            if label != NOTHING:
                x = labels.topic_weight[i] if k < N_TOPICS else np.float32(1)
                table[u, label] += left * x / (mass[u, label] + np.float32(l2))
                mass[u, label] += x * x
        residual[t] = left
