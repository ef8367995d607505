"""The request path: retrieve → filter → prerank → rank → fuse → rerank.

The chain owns timing, counts, deadlines, length checks and error isolation, so that a component is only its
verb. A stage that fails or comes too late is left out, and the answer says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from feedmill.core.batches import CandidateBatch, Floats, UserColumns
from feedmill.core.protocols import Channel, Filter, Picks, RerankRule, Scorer, finite
from feedmill.core.request import FeedItem, FeedRequest, StageTrace, Trace
from feedmill.log.traces import BELOW_CUT, BELOW_SLATE
from feedmill.rerank.fusion import reciprocal_ranks, worth
from feedmill.rerank.notes import moved
from feedmill.retrieval import merge
from feedmill.serve.explain import Names, explain
from feedmill.serve.run import Run, ordered
from feedmill.serve.similar import Lookup

Merge = Callable[[Sequence[CandidateBatch], int], CandidateBatch]
Fuse = Callable[[CandidateBatch], Floats]
_SLATE = 4  # a rule with rules after it leaves them this many times n to choose from
_MIN_SLATE = 60
_MOST_HIDDEN = 5_000


@dataclass(frozen=True, slots=True)
class Chain:
    """The components of one model version, in the order of the request path.

    Attributes:
        channels: each with the number of items it may bring that the user has not seen.
        merge: joins what they brought into one batch, each item once.
        limit: candidates kept after the merge and the filters.
        filters: masks; those with ``soft = True`` yield when otherwise nothing would be left.
        fallback: asked when nothing is left.
        fallback_limit: how many it is asked for.
        prerank, keep: the cheap scorer and how many candidates it lets through to ``rank``.
        fuse: heads -> value.
        rules: re-rank rules by name.
        version: of the artifact, "" without one.
    """

    channels: tuple[tuple[Channel, int], ...]
    merge: Merge
    limit: int
    filters: tuple[Filter, ...]
    fallback: Channel | None
    fallback_limit: int
    prerank: Scorer | None
    keep: int
    rank: Scorer | None
    fuse: Fuse
    rules: tuple[tuple[str, RerankRule], ...]
    version: str = ""
    similar: tuple[Lookup, ...] = ()
    """What tells which items are like an item; not part of a request for a feed."""
    n_hidden: Callable[[FeedRequest, UserColumns], int] = lambda request, user: 0
    """How many items the filters may take from a channel, which is asked for so many more: else a channel that names
    what everybody likes would bring an active user nothing."""
    reserve: Mapping[str, int] = field(default_factory=dict)
    """By channel: how many of its best no cut before the last rule may take; those without any are left out."""


class Pipeline:
    """Answers requests with a chain.

    Args:
        chain: the components.
        names: looks up ids and titles by item row.
    """

    def __init__(self, chain: Chain, names: Names) -> None:
        self.chain, self.names = chain, names

    def recommend(self, request: FeedRequest, user: UserColumns) -> tuple[list[FeedItem], Trace]:
        """At most ``request.n`` items, best first, and the account of how they were chosen.

        Args:
            user: R = 1, the user as of ``request.time_ms``.
        """
        trace = self.account(self.run(request, user))
        return trace.items, trace

    def run(self, request: FeedRequest, user: UserColumns) -> Run:
        """The same without words: evaluation reads the candidates after each stage off ``Run.after``."""
        run = Run(request, user, self.chain.reserve)
        self._retrieve(run)
        self._filter(run)
        if not self._has_any(run):
            self._fall_back(run)
        self._prerank(run)
        self._rank(run)
        self._fuse(run)
        self._rerank(run)
        return run

    def remember(self, run: Run) -> None:
        """Hand what was ranked and not shown to the channels that remember such (``retrieval.unshown``)."""
        ranked = run.after.get("fuse", run.candidates)
        left = ranked.take(~np.isin(ranked.item, run.candidates.item))
        if "fallback" in run.trace.degraded or not len(left):
            return
        for channel, _ in self.chain.channels:
            if hasattr(channel, "remember"):
                run.attempt(f"remember.{channel.name}", _remembering(channel, run, left), len(left), must=True)

    def account(self, run: Run) -> Trace:
        """A finished run in words."""
        trace = run.trace
        trace.version = self.chain.version
        trace.items = explain(run, self.names)
        trace.fates = {why: self.names.ids(np.concatenate(rows)) for why, rows in run.fates.items()}
        trace.ms = round(run.ms, 3)
        return trace

    def _retrieve(self, run: Run) -> None:
        brought: list[CandidateBatch] = []
        n_more = min(self.chain.n_hidden(run.request, run.user), _MOST_HIDDEN)
        for channel, limit in self.chain.channels:
            fetch = _fetching(channel, run, limit + n_more)
            batch = run.attempt(f"retrieval.{channel.name}", fetch, n_in=0)
            if batch is not None:
                brought.append(batch)
        if brought:
            total = sum(map(len, brought))
            merged = run.attempt("merge", lambda _: self.chain.merge(brought, total), total, must=True)
            if merged is not None:
                run.become("merge", merged)

    def _filter(self, run: Run, *, hard_only: bool = False) -> None:
        for f in self.chain.filters:
            if hard_only and getattr(f, "soft", False):
                continue
            kept = run.attempt(f"filter.{f.reason}", _filtering(f, run), len(run.candidates), must=True)
            if kept is not None:
                run.candidates = kept
        self._cut(run, "limit", self.chain.limit, "beyond the limit")
        run.become("filter", run.candidates)

    def _cut(self, run: Run, stage: str, keep: int, reason: str) -> None:
        batch = run.candidates
        if len(batch) > keep:
            kept = run.attempt(stage, lambda entry: run.cut(entry, batch, keep, reason), len(batch), must=True)
            run.candidates = batch.take(np.arange(keep)) if kept is None else kept

    def _fall_back(self, run: Run) -> None:
        """Popular items the user has not seen; if there are none, popular items."""
        fallback = self.chain.fallback
        if fallback is None:
            return
        run.degrade("fallback")
        fetch, members = _fetching(fallback, run, self.chain.fallback_limit), run.candidates
        found = run.attempt("fallback", fetch, 0, must=True)
        for hard_only in (False, True):
            if found is not None and not self._has_any(run):
                run.candidates = merge([found, members], len(found) + len(members)) if len(members) else found
                self._filter(run, hard_only=hard_only)

    def _has_any(self, run: Run) -> bool:
        """Whether anything is left that a feed can be made of: more than what rules place, such as advertisements."""
        left = np.ones(len(run.candidates), np.bool_)
        for _, rule in self.chain.rules:
            if hasattr(rule, "members") and left.any():
                left &= ~rule.members(run.candidates)
        return bool(left.any())

    def _prerank(self, run: Run) -> None:
        scorer, batch, keep = self.chain.prerank, run.candidates, self.chain.keep
        kept: CandidateBatch | None = None
        if scorer is not None and len(batch):
            kept = run.attempt("prerank", lambda entry: _best(scorer, run, entry, keep), len(batch))
        if kept is None:
            self._cut(run, "prerank.cut", keep, BELOW_CUT)
        run.become("prerank", run.candidates if kept is None else kept)

    def _rank(self, run: Run) -> None:
        scorer, batch = self.chain.rank, run.candidates
        if scorer is not None and len(batch):
            scored = run.attempt("rank", lambda _: _score(scorer, run), len(batch))
            if scored is not None:
                run.become("rank", scored)

    def _fuse(self, run: Run) -> None:
        batch = run.candidates
        value = run.attempt("fuse", lambda _: self.chain.fuse(batch), len(batch), must=True)
        if value is None or value.shape != (len(batch),):
            value = reciprocal_ranks(batch)
        value = finite(value)
        run.become("fuse", ordered(batch.with_value(value), value))

    def _rerank(self, run: Run) -> None:
        n = run.request.n
        for i, (name, rule) in enumerate(self.chain.rules):
            is_last = i == len(self.chain.rules) - 1
            k = min(len(run.candidates), n if is_last else max(_SLATE * n, _MIN_SLATE))
            if k:  # what decides whether items come at all may not be left out for lack of time
                must, ruling = hasattr(rule, "members"), _ruling(name, rule, run, k)
                run.attempt(f"rerank.{name}", ruling, len(run.candidates), must=must)
        with run.trace.stage("slate", len(run.candidates)) as entry:
            run.become("slate", run.keep_best(entry, run.candidates, n, BELOW_SLATE))
            entry.n_out = len(run.candidates)


def _fetching(channel: Channel, run: Run, limit: int) -> Callable[[StageTrace], CandidateBatch]:
    def fetch(entry: StageTrace) -> CandidateBatch:
        batch = channel.fetch(run.request, run.user, limit)
        if len(batch) > limit:
            raise ValueError(f"{len(batch)} items, at most {limit} were asked for")
        return batch

    return fetch


def _remembering(channel: Any, run: Run, left: CandidateBatch) -> Callable[[StageTrace], CandidateBatch]:
    def remember(entry: StageTrace) -> CandidateBatch:
        channel.remember(int(run.user.row[0]), left.item, left.value, run.request.time_ms)
        return left

    return remember


def _filtering(f: Filter, run: Run) -> Callable[[StageTrace], CandidateBatch]:
    def keep(entry: StageTrace) -> CandidateBatch:
        batch = run.candidates
        mask = f.keep(run.request, run.user, batch)
        if mask.shape != (len(batch),) or mask.dtype != np.bool_:
            raise ValueError(f"a mask of {mask.dtype}{list(mask.shape)} for {len(batch)} candidates")
        run.drop(entry, f.reason, batch.item[~mask])
        return batch.take(mask)

    return keep


def _score(scorer: Scorer, run: Run) -> CandidateBatch:
    batch = run.candidates
    scores = scorer.score(run.request, run.user, batch)
    if scores.shape != (len(batch), len(scorer.heads)):
        raise ValueError(f"scores {list(scores.shape)} for {len(batch)} candidates and {len(scorer.heads)} heads")
    return batch.with_scores(scorer.heads, scores)


def _best(scorer: Scorer, run: Run, entry: StageTrace, keep: int) -> CandidateBatch:
    scored = _score(scorer, run)
    return run.cut(entry, ordered(scored, finite(scored.scores[:, -1])), keep, BELOW_CUT)


def _ruling(name: str, rule: RerankRule, run: Run, k: int) -> Callable[[StageTrace], CandidateBatch]:
    def apply(entry: StageTrace) -> CandidateBatch:
        batch = run.candidates
        picks = rule.apply(run.request, batch, k)
        _check(picks, len(batch), k)
        for place, (row, note) in enumerate(zip(picks.rows.tolist(), picks.notes, strict=True)):
            if note or row != place:
                note = note or f"{name} {moved(place, row)}"
                run.notes.setdefault(int(batch.item[row]), []).append(note)
        entry.cost = _cost(batch, picks, min(k, run.request.n)) if picks.cost is None else picks.cost
        left = np.ones(len(batch), np.bool_)
        left[picks.rows] = False
        kept = run.reserved(batch) & left  # behind what was picked, for the rules that follow
        if hasattr(rule, "members"):
            kept &= ~rule.members(batch)
        run.drop(entry, f"rerank.{name}", batch.item[left & ~kept])
        run.become(f"rerank.{name}", batch.take(np.concatenate([picks.rows, np.flatnonzero(kept)])))
        return run.candidates

    return apply


def _cost(batch: CandidateBatch, picks: Picks, n: int) -> float:
    """The value that the first n slots had before, less that of the first n picks."""
    worths = worth(batch.value)
    return float(worths[:n].sum() - worths[picks.rows[:n]].sum())


def _check(picks: Picks, n: int, k: int) -> None:
    rows = picks.rows
    if len(rows) > k or len(np.unique(rows)) != len(rows) or (len(rows) and not 0 <= rows.min() <= rows.max() < n):
        raise ValueError(f"picked rows {rows.tolist()[:20]}; at most {k} different ones below {n} were asked for")
