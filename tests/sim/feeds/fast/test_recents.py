"""Repetition, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from feedmill.sim.feeds.fast.descriptions import N_LABELS, NONE
from feedmill.sim.feeds.fast.effects import labels_of
from feedmill.sim.feeds.fast.recents import KEEP, REST_MS, Recents, see


def test_the_same_topic_again_counts_by_how_long_ago_it_was() -> None:
    """Videos 0 and 1 are of topic 1 and of author 7, video 2 is of topic 2 and of no known author."""
    labels = np.zeros((3, N_LABELS), np.int32)
    labels[:, 0] = 1, 1, 2
    author = np.array([7, 7, NONE], np.int32)
    recents, repeats = Recents.none().grown(1), np.empty((4, 2), np.float32)
    at_ms = np.array([0, 0, 0, REST_MS], np.int64)
    item = np.array([0, 2, 1, 2], np.int32)
    see(recents, np.zeros(4, np.int32), item, at_ms, labels_of(labels), author, 3, repeats)
    share = 1 - KEEP
    assert repeats[:, 0].tolist() == pytest.approx([0, 0, share * KEEP, 0.5 * share * KEEP])
    assert repeats[:, 1].tolist() == [0, 0, 1, 0]
    assert recents.n[0] == 4
