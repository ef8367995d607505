"""The items that a batch is scored against: every positive of it, and the negatives that its rows share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from feedmill.core.batches import Floats, Interactions, Mask, Rows
from feedmill.samples.hard import HardNegatives
from feedmill.samples.negatives import NegativesConfig
from feedmill.train.retrieval.examples import Shown

Probability = Callable[[Rows], NDArray[np.float64]]
"""Item rows -> with which probability a positive is each of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """M distinct items for R requests and P positives.

    Attributes:
        item: int32[M] state rows, ascending.
        place: int64[P] the column of each positive.
        log_q: float32[M] log of (how often a column was to be expected / how often it was drawn), for negatives.
        log_q_positive: float32[P] log of how often each positive's item was to be expected.
        keep: bool or float32[R, M], by how much each column counts as a negative of each request.
    """

    item: Rows
    place: NDArray[np.int64]
    log_q: Floats
    log_q_positive: Floats
    keep: Mask | Floats


class Likes:
    """Which (user, item) pairs are known likes: such pairs are no negatives."""

    def __init__(self, interactions: Interactions) -> None:
        self._item = interactions.item  # sorted by user
        self._start = np.searchsorted(interactions.user, np.arange(interactions.n_users + 1))
        self._column = np.zeros(interactions.n_items, np.int32)  # of an item in the batch at hand, from 1

    def cells(self, user: Rows, item: Rows) -> Mask:
        """bool[R, M]: does user i like item j? ``item`` is distinct. Costs as much as these users have likes."""
        self._column[item] = np.arange(1, len(item) + 1)
        out = np.zeros((len(user), len(item)), np.bool_)
        liked_cells(user, self._start, self._item, self._column, out)
        self._column[item] = 0
        return out


@njit(cache=True, nogil=True)
def liked_cells(user: Rows, start: NDArray[np.int64], items: Rows, column: Rows, out: Mask) -> None:
    """out[i, column - 1] = True for every liked item of user i that has a column."""
    for i in range(len(user)):
        for at in range(start[user[i]], start[user[i] + 1]):
            c = column[items[at]]
            if c > 0:
                out[i, c - 1] = True


class Columns:
    """Draws the columns of a batch and knows how often each was to be expected.

    An item stands once among the columns, however often it was drawn: with log q = log(expected / drawn) it counts in a
    softmax as if it stood there as often, at the price of one. One formula holds for every mix of sources: an item is
    expected as often as all of them together bring it.

    Args:
        likes: no negatives of those who like them.
        config: the sources, and the weight of the hard ones among a request's negatives.
        count: int64[N], how often each item row is a positive.
        hard: items that a later stage dropped.
        is_softmax: whether the loss reads log q; the others weigh a column by how often it was drawn.
        is_corrected: False leaves out how often a column was to be expected.
    """

    def __init__(
        self,
        likes: Likes,
        config: NegativesConfig,
        count: NDArray[np.int64],
        hard: HardNegatives,
        random: np.random.Generator,
        *,
        is_softmax: bool = True,
        is_corrected: bool = True,
    ) -> None:
        self._likes, self._config, self._hard, self._random = likes, config, hard, random
        self._is_softmax, self._is_corrected = is_softmax, is_corrected
        self._samplers = list(config.samplers(count).values())

    def draw(self, shown: Shown, p_positive: Probability) -> Drawn:
        """The columns of one batch.

        Args:
            p_positive: item rows -> with which probability a positive is each of them.
        """
        n = len(shown.item)
        drawn = [shown.item] if self._config.in_batch else []
        drawn += [sampler.draw(self._random, round(per * n)) for per, sampler in self._samplers]
        hard_of, hard_item = self._hard.draw(shown.user, self._config.n_hard, self._random)
        item = np.unique(np.concatenate([shown.item, hard_item, *drawn]))
        times = np.bincount(np.searchsorted(item, np.concatenate([item[:0], *drawn])), minlength=len(item))
        expected = n * p_positive(item) * self._config.in_batch
        for per, sampler in self._samplers:
            expected = expected + round(per * n) * sampler.p[item]
        expected = np.maximum(expected, 1e-9) if self._is_corrected else np.ones(len(item))
        place, once = np.searchsorted(item, shown.item), np.maximum(times, 1)
        log_q = np.log(expected / once) if self._is_softmax else np.zeros(len(item))
        liked = self._likes.cells(shown.user, item)
        liked[shown.of, place] = True
        keep: Mask | Floats = (times > 0)[None, :] & ~liked
        if not self._is_softmax:
            keep = keep * times[None, :].astype(np.float32)
        if len(hard_item):
            column = np.searchsorted(item, hard_item)
            new = ~liked[hard_of, column]
            keep = self._with_hard(keep.astype(np.float32), column[new], hard_of[new], np.exp(-log_q))
        return Drawn(item, place, log_q.astype(np.float32), np.log(expected[place]).astype(np.float32), keep)

    def _with_hard(
        self, weight: Floats, column: NDArray[np.int64], of: NDArray[np.int64], mass: NDArray[np.float64]
    ) -> Floats:
        """A request's hard negatives together weigh h / (1 - h) of its easy ones together."""
        easy = weight @ mass
        n_hard = np.bincount(of, minlength=len(weight))
        each = self._config.hard_share / (1 - self._config.hard_share) * easy[of] / n_hard[of]
        np.add.at(weight, (of, column), (each / mass[column]).astype(np.float32))
        return weight
