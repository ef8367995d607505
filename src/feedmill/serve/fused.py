"""Requests as the chain has them up to fusion, and what the configured rules make of them: what rules are compared on.

Users are asked as in ``serve.evaluate``: each at the moment before the next item that the split holds out. A log whose
split holds nothing out is asked at its end, about users who did something.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import msgspec
import numpy as np

from feedmill.core.batches import CandidateBatch, Floats, Rows, UserColumns
from feedmill.core.clock import rng
from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.progress import progress
from feedmill.core.request import FeedRequest
from feedmill.core.workspace import Workspace
from feedmill.publish import Artifact
from feedmill.samples import Split
from feedmill.serve.build import VECTORS, Builder
from feedmill.serve.config import PrerankConfig
from feedmill.serve.evaluate import Question, held_out
from feedmill.serve.pipeline import Chain, Pipeline
from feedmill.state import Replay, State


class Ruled(NamedTuple):
    """What one configured rule left.

    Attributes:
        rule: its kind and its place among the rules, from 1.
        item: int32[min(n, C)] the first n items after it.
        cost: the fused value that it took from them.
    """

    rule: str
    item: Rows
    cost: float


@dataclass(frozen=True, slots=True, eq=False)
class Fused:
    """One request.

    Attributes:
        candidates: after fusion, best value first.
        held: int32[h] items that the user went on to choose; none where nothing is held out.
        ruled: by length n of the slate, what each configured rule left, in their order.
    """

    request: FeedRequest
    candidates: CandidateBatch
    held: Rows
    ruled: Mapping[int, Sequence[Ruled]]


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """All of them.

    Attributes:
        state: as of the last of them.
        vectors: float32[N, D] by item row, that rules measure likeness with; None without.
        missing: what the config names and the model has not.
        what: in words, who was asked when.
    """

    requests: Sequence[Fused]
    state: State
    vectors: Floats | None
    missing: Sequence[str]
    what: str


def ask(
    workspace: Workspace,
    artifact: Artifact | None,
    replay: Replay,
    split: Split,
    most: int,
    n: Sequence[int],
    seed: int,
) -> Asked:
    """Ask for ``most`` users at most, a seeded draw; slates of the configured rules for each length in ``n``.

    Raises:
        DataError: a stage of the chain failed.
    """
    state, events = replay.state(), replay.events
    questions = held_out(events, split, state, most, seed)
    what = f"{len(questions):,} users at the moment before what {split.name} holds out"
    if not questions:
        questions = _at_the_end(events, most, seed)
        what = f"{len(questions):,} users at the end of the log"
    chain, missing = Builder(workspace, state).chain(artifact)
    pipeline = Pipeline(chain, _Nameless())
    training = events.take(np.flatnonzero(split.train))
    at = np.searchsorted(np.flatnonzero(split.train), [q.at for q in questions])
    requests, folded = [], 0
    with progress("asking", len(questions)) as advance:
        for question, upto in zip(questions, at.tolist(), strict=True):
            state.fold(training[folded:upto])
            folded = max(folded, upto)
            requests.append(_fused(pipeline, state, question, n, seed))
            advance(1)
    return Asked([r for r in requests if len(r.candidates)], state, _vectors(workspace, artifact), missing, what)


def _at_the_end(events: EventBatch, most: int, seed: int) -> list[Question]:
    """Users who did something, drawn by the seed, at the end of the log, with nothing held out."""
    did = np.flatnonzero(events.numpy("kind") < Kind.ITEM)
    users = sorted({u for u in events.table.column("user_id").take(did).to_pylist() if u})
    drawn = np.sort(rng(seed, "questions").choice(len(users), min(most, len(users)), replace=False))
    time_ms = int(events.numpy("time_ms").max(initial=0))
    return [Question(users[i], len(events), time_ms, np.zeros(0, np.int32), {}, False) for i in drawn.tolist()]


def _fused(pipeline: Pipeline, state: State, question: Question, n: Sequence[int], seed: int) -> Fused:
    request = FeedRequest(
        request_id="diversity", user_id=question.user_id, n=max(n), time_ms=question.time_ms, seed=seed, deadline_ms=1e9
    )
    user, chain = state.view(question.user_id, question.time_ms), pipeline.chain
    run = Pipeline(replace(chain, rules=()), pipeline.names).run(request, user)
    _check(run.trace.degraded)
    batch = run.after["fuse"]
    ruled = {k: _ruled(chain, msgspec.structs.replace(request, n=k), user, batch) for k in n} if chain.rules else {}
    return Fused(request, batch, question.held, ruled)


def _ruled(chain: Chain, request: FeedRequest, user: UserColumns, batch: CandidateBatch) -> list[Ruled]:
    """The configured rules alone: a chain that is given the candidates with their values."""
    names = [f"{place}. {name}" for place, (name, _) in enumerate(chain.rules, 1)]
    rules = tuple((name, rule) for name, (_, rule) in zip(names, chain.rules, strict=True))
    given = replace(
        chain, channels=((_Given(batch), len(batch)),), merge=lambda brought, limit: brought[0], limit=len(batch),
        filters=(), prerank=None, keep=len(batch), rank=None, fuse=lambda c: c.value, rules=rules,
        n_hidden=lambda request, user: 0,
    )  # fmt: skip
    run = Pipeline(given, _Nameless()).run(request, user)
    _check(run.trace.degraded)
    cost = {stage.stage: stage.cost for stage in run.trace.stages}
    stages = [f"rerank.{name}" for name in names]
    return [
        Ruled(name, run.after[stage].item[: request.n], cost[stage])
        for name, stage in zip(names, stages, strict=True)
        if stage in run.after
    ]


def _check(degraded: Sequence[str]) -> None:
    failed = [what for what in degraded if what != "fallback"]
    if failed:
        raise DataError(f"a stage failed: {failed}", "a chain that works", "see the log above")


def _vectors(workspace: Workspace, artifact: Artifact | None) -> Floats | None:
    """The item vectors of the channel that pre-rank uses: those that the chain gives its rules."""
    part = artifact.parts.get(workspace.section("prerank", PrerankConfig).channel) if artifact else None
    return np.asarray(part.arrays[VECTORS]) if part is not None and VECTORS in part.arrays else None


class _Given:
    """A channel that brings what it was given."""

    name = "given"

    def __init__(self, batch: CandidateBatch) -> None:
        self._batch = batch

    def fetch(self, request: FeedRequest, user: UserColumns, limit: int) -> CandidateBatch:
        return self._batch


class _Nameless:
    """Nobody reads these answers."""

    def ids(self, rows: Rows) -> list[str]:
        return [""] * len(rows)

    def titles(self, rows: Rows) -> list[str]:
        return [""] * len(rows)
