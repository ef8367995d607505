"""What people like this user like: popular items by segment, such as everybody of the same age and gender."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from feedmill.core.batches import CandidateBatch, Floats, Interactions, Part, Rows, UserColumns
from feedmill.core.config import Config
from feedmill.core.request import FeedRequest
from feedmill.retrieval.blend import HalfLife
from feedmill.retrieval.popular import DAY_MS
from feedmill.state import State

Codes = tuple[int, ...]


class SegmentConfig(Config, frozen=True, kw_only=True):
    """What makes a segment."""

    by: Annotated[
        tuple[str, ...],
        Meta(min_length=1, description="attributes of users; from a segment with too few users the last is dropped"),
    ]
    min_users: Annotated[int, Meta(ge=1, description="users a segment must have")] = 20
    prior: Annotated[
        float,
        Meta(gt=0, description="interactions that the wider segment's shares count as: few of one's own, and it rules"),
    ] = 100.0
    top_k: Annotated[int, Meta(ge=1, le=100_000, description="items kept of each segment")] = 500
    max_segments: Annotated[int, Meta(ge=1, le=1_000_000, description="segments kept, those of the most users")] = 1000
    half_life_days: HalfLife = 7.0


class SegmentChannel:
    """The items with the largest share of a segment's interest, smoothed by the next wider one:

        p(i | s) = (n(s, i) + prior p(i | wider s)) / (n(s) + prior)

    with n decayed like popularity and the widest segment everybody. What a segment's list lacks is filled up from
    everybody's. Users of whom nothing is known get everybody's.

    Args:
        name: the channel's name.
        config: see SegmentConfig.
        part: ``codes`` int32[S, A] of attributes, 0 = not told apart by it, first everybody; ``start`` int64[S + 1]
            into ``item`` int32[n] and ``score`` float32[n], best first.
        state: tells which column of a user's profile is which attribute.
    """

    Config = SegmentConfig

    def __init__(self, name: str, config: SegmentConfig, part: Part, state: State) -> None:
        self.name, self.config, self._state = name, config, state
        self._row = {tuple(codes): row for row, codes in enumerate(part.arrays["codes"].tolist())}
        self._start, self._item, self._score = (part.arrays[name] for name in ("start", "item", "score"))

    @classmethod
    def build(cls, interactions: Interactions, state: State, config: SegmentConfig, seed: int) -> Part:
        """Count; ``seed`` is not needed.

        Raises:
            NotFoundError: no user has one of the attributes.
        """
        weight = interactions.like.astype(np.float64)
        if config.half_life_days > 0 and len(weight):
            weight *= np.exp2(-(interactions.time_ms.max() - interactions.time_ms) / DAY_MS / config.half_life_days)
        codes = _codes(state, config.by, interactions.n_users)
        known = (interactions.user > 0) & (interactions.item > 0) & (weight > 0)
        lists = list(_smoothed(interactions, weight, known, codes, config))
        arrays: dict[str, NDArray[Any]] = {
            "codes": np.array([of + (0,) * (len(config.by) - len(of)) for of, _, _ in lists], np.int32),
            "start": np.cumsum([0, *(len(item) for _, item, _ in lists)]).astype(np.int64),
            "item": np.concatenate([item for _, item, _ in lists]),
            "score": np.concatenate([score for _, _, score in lists]),
        }
        return Part("segment", msgspec.to_builtins(config), arrays)

    def fetch(self, request: FeedRequest, user: UserColumns, limit: int) -> CandidateBatch:
        """The best ``limit``."""
        item, score = self._list(self._segment(user.profile[0]))
        if len(item) < limit:
            item, score = _filled(item, score, *self._list(0))
        n = max(limit, 0)
        return CandidateBatch.of(self.name, np.array(item[:n]), np.array(score[:n]))

    def _segment(self, profile: Rows) -> int:
        """The narrowest one that is kept."""
        names = self._state.catalogue.user_attributes
        at = [names.index(name) if name in names else len(profile) for name in self.config.by]
        codes = [int(profile[a]) if a < len(profile) else 0 for a in at]
        for n in range(len(codes), 0, -1):
            row = self._row.get((*codes[:n], *[0] * (len(codes) - n)))
            if row is not None and 0 not in codes[:n]:
                return row
        return 0

    def _list(self, segment: int) -> tuple[Rows, Floats]:
        begin, end = self._start[segment], self._start[segment + 1]
        return self._item[begin:end], self._score[begin:end]


def _codes(state: State, by: tuple[str, ...], n_users: int) -> Rows:
    """int32[n_users, A]; a user that has come after the state is unknown."""
    codes = np.zeros((n_users, len(by)), np.int32)
    for column, name in enumerate(by):
        known = state.catalogue.user_codes(name)[:n_users]
        codes[: len(known), column] = known
    return codes


def _smoothed(
    interactions: Interactions,
    weight: NDArray[np.float64],
    known: NDArray[np.bool_],
    codes: Rows,
    config: SegmentConfig,
) -> Iterator[tuple[Codes, Rows, Floats]]:
    """Each segment kept, everybody first, with its items and their shares, best first."""
    kept = _kept(codes[np.unique(interactions.user[known])], config)
    rows = np.flatnonzero(known)
    of_rows = codes[interactions.user[rows]]

    def walk(of: Codes, within: NDArray[np.intp], wider: NDArray[np.float64]) -> Iterator[tuple[Codes, Rows, Floats]]:
        mine = rows[within]
        count = np.bincount(interactions.item[mine], weight[mine], minlength=interactions.n_items)
        prior = config.prior if of else 0.0
        shares = (count + prior * wider) / max(count.sum() + prior, 1e-300)
        yield of, *_best(shares, config.top_k)
        if len(of) < codes.shape[1]:
            own = of_rows[within, len(of)]
            by_code = np.argsort(own, kind="stable")
            for code, start, n in zip(*(a.tolist() for a in _runs(own[by_code])), strict=True):
                if code and (*of, code) in kept:
                    yield from walk((*of, code), within[by_code[start : start + n]], shares)

    yield from walk((), np.arange(len(rows)), np.zeros(interactions.n_items))


def _kept(codes: Rows, config: SegmentConfig) -> set[Codes]:
    """The segments with users enough, the largest ``max_segments``; one is kept only with those it is part of."""
    found: list[tuple[int, Codes]] = []
    for width in range(1, codes.shape[1] + 1):
        full = codes[(codes[:, :width] > 0).all(axis=1), :width]
        segments, n_users = np.unique(full, axis=0, return_counts=True)
        found += [
            (n, tuple(of)) for of, n in zip(segments.tolist(), n_users.tolist(), strict=True) if n >= config.min_users
        ]
    found.sort(key=lambda each: (-each[0], len(each[1]), each[1]))  # a part never stands before the whole
    return {of for _, of in found[: config.max_segments]}


def _runs(ordered: Rows) -> tuple[Rows, NDArray[np.intp], NDArray[np.intp]]:
    """Distinct values, where each begins, and how often it comes."""
    return np.unique(ordered, return_index=True, return_counts=True)


def _best(shares: NDArray[np.float64], top_k: int) -> tuple[Rows, Floats]:
    score = shares.astype(np.float32)
    item = np.flatnonzero(shares > 0)
    if len(item) > 4 * top_k:  # ties at the cut go to the lower rows
        cut = np.partition(score[item], len(item) - top_k)[len(item) - top_k]
        item = item[score[item] >= cut]
    item = item[np.lexsort((item, -score[item]))][:top_k]
    return item.astype(np.int32), score[item]


def _filled(item: Rows, score: Floats, more: Rows, more_score: Floats) -> tuple[Rows, Floats]:
    """``more`` after a list, without what the list has, and scaled to stand below it."""
    new = ~np.isin(more, item)
    if not len(item) or not new.any():
        return item, score
    more, last = more[new], np.nextafter(score[-1], np.float32(-1))
    scaled = np.minimum(last, last * (more_score[new] / more_score[new][0])).astype(np.float32)
    order = np.lexsort((more, -scaled))
    return np.concatenate([item, more[order]]), np.concatenate([score, scaled[order]])
