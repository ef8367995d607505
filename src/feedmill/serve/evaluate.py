"""Evaluation through the serving path: each held-out user asks for a feed at the moment before the held-out event.

The log is replayed in order; when the replay reaches a held-out user's moment, the state holds exactly the training
events before it, and the real chain answers. What each stage would have shown is read off the same run, so the rows
of the table differ by the stage and by nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import LANES, CandidateBatch, Part, Rows, UserColumns
from feedmill.core.clock import rng
from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.progress import progress
from feedmill.core.protocols import finite
from feedmill.core.request import FeedRequest
from feedmill.core.workspace import Workspace
from feedmill.metrics.catalogue import coverage, popularity_bias
from feedmill.metrics.classification import auc
from feedmill.metrics.intervals import Interval, bootstrap, paired_difference
from feedmill.metrics.ranking import ndcg_at, order, recall_at
from feedmill.publish import Artifact
from feedmill.samples import Split
from feedmill.samples.splits import EvaluateConfig
from feedmill.serve.build import Builder
from feedmill.serve.pipeline import Chain, Pipeline
from feedmill.state import Replay, State, StateConfig

DEPTH = 50
N_TIMED = 50  # feeds that are timed before a version is published
ALL_ITEMS = "ranker alone"  # on every unseen item, not only on those that were retrieved


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table: a channel or stage, measured on every held-out user.

    Attributes:
        what: "itemcf", "after rank", …
        recall_10, recall_50, ndcg_10: with 95 % intervals over users.
        coverage: share of the catalogue in anybody's first 10.
        popularity: mean popularity percentile of the first 10 less that of what users chose.
    """

    what: str
    recall_10: Interval
    recall_50: Interval
    ndcg_10: Interval
    coverage: float
    popularity: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything ``evaluate`` measured.

    Attributes:
        lines: channels first, then stages.
        cold: the same for users with little history, where there are any.
        auc: per head, the chance that a held-out positive scores above an unseen item, with its interval.
        gains: "A - channel" -> paired difference of NDCG@10 over the same users.
        per_user: NDCG@10 of each line, for further pairing.
    """

    split: str
    split_hash: str
    seed: int
    n_users: int
    lines: list[Line]
    cold: list[Line]
    auc: dict[str, Interval]
    gains: dict[str, Interval]
    per_user: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """A held-out user: who, when, after which event of the log, what came next, and what of it was liked by head."""

    user_id: str
    at: int
    time_ms: int
    held: Rows
    positive: Mapping[str, Rows]
    is_cold: bool


def evaluate(
    workspace: Workspace,
    parts: Mapping[str, Part],
    about: Mapping[str, Any],
    replay: Replay,
    split: Split,
) -> Evaluation:
    """Measure parts (published or not) on what their split held out.

    Args:
        about: of the artifact; must name the same split.
        replay: the whole log.

    Raises:
        DataError: nothing was held out.
    """
    config, seed = workspace.section("evaluate", EvaluateConfig), int(about.get("seed", 0))
    state, events = replay.state(), replay.events
    questions = held_out(events, split, state, config.max_users, seed)
    if not questions:
        raise DataError("no held-out users", "a log with users who did two things", "see [evaluate] in feedmill.toml")
    seen = _Answers(_pipeline(workspace, state, parts, about), state)
    training = events.take(np.flatnonzero(split.train))
    at = np.searchsorted(np.flatnonzero(split.train), [q.at for q in questions])
    folded = 0
    with progress("evaluating", len(questions)) as advance:
        for question, upto in zip(questions, at.tolist(), strict=True):
            state.fold(training[folded:upto])
            folded = max(folded, upto)
            seen.ask(question)
            advance(1)
    counts = np.bincount(state.items.rows(training.table.column("item_id")), minlength=len(state.items))
    return _measured(seen, questions, counts, split, seed, config.n_bootstrap)


def check(workspace: Workspace) -> None:
    """Whether the serving side of a config can be used at all; ask before training for an hour.

    Raises:
        ConfigError: it cannot.
    """
    Builder(workspace, State(workspace.section("state", StateConfig)))


def trial(
    workspace: Workspace, parts: Mapping[str, Part], about: Mapping[str, Any], replay: Replay
) -> dict[str, float]:
    """Whether these parts make a chain that answers; ask before promoting them.

    Returns:
        The ranker's milliseconds for a feed, over some users: {"p50": …, "p99": …}; {} without a ranker.

    Raises:
        FeedmillError: they do not.
    """
    state = replay.state()
    state.fold(replay.events)
    pipeline = _pipeline(workspace, state, parts, about)
    request = FeedRequest(request_id="trial", user_id="", time_ms=state.newest_ms, deadline_ms=1e9)
    run = pipeline.run(request, state.view("", state.newest_ms))
    broken = [what for what in run.trace.degraded if what.endswith("failed")]
    if broken:
        raise DataError(f"what was trained does not serve: {broken}", "a chain that works", "see the warnings above")
    return _score_ms(pipeline, state)


def _score_ms(pipeline: Pipeline, state: State) -> dict[str, float]:
    took = []
    for user_id in state.users.ids()[:N_TIMED]:
        request = FeedRequest(request_id="trial", user_id=user_id, time_ms=state.newest_ms, deadline_ms=1e9)
        stages = pipeline.run(request, state.view(user_id, state.newest_ms)).trace.stages
        took += [s.ms for s in stages if s.stage == "rank" and s.n_in]
    return {f"p{p}": round(float(np.percentile(took, p)), 3) for p in (50, 99)} if took else {}


def _pipeline(workspace: Workspace, state: State, parts: Mapping[str, Part], about: Mapping[str, Any]) -> Pipeline:
    builder = Builder(workspace, state)
    chain, _ = builder.chain(Artifact("unpublished", 0, about, parts))
    return Pipeline(chain, builder.names)


def held_out(events: EventBatch, split: Split, state: State, most: int, seed: int) -> list[Question]:
    """One per held-out user, in order of the moments."""
    test, kind = split.test, events.numpy("kind")[split.test]
    user = state.users.rows(events.table.column("user_id").take(test))
    item = state.items.rows(events.table.column("item_id").take(test))
    users, first = np.unique(user, return_index=True)
    if len(users) > most:
        first = first[np.sort(rng(seed, "questions").choice(len(users), most, replace=False))]
    out = []
    for k in np.sort(first):
        own = user == user[k]
        positive = {
            "click": np.unique(item[own & np.isin(kind, LANES["clicked"])]),
            "like": np.unique(item[own & (kind == Kind.LIKE)]),
        }
        at = int(split.at[k])
        time_ms = int(events.numpy("time_ms")[at])
        name = state.users.id(int(user[k]))
        out.append(Question(name, at, time_ms, np.unique(item[own]), positive, bool(split.is_cold[k])))
    return sorted(out, key=lambda q: q.at)


class _Answers:
    """What every channel and stage would have shown, question by question."""

    def __init__(self, pipeline: Pipeline, state: State) -> None:
        self.pipeline, self.state = pipeline, state
        self.ranked: dict[str, list[Rows]] = {}
        self.channels = [channel.name for channel, _ in pipeline.chain.channels]
        self.auc: dict[str, list[float]] = {h: [] for h in _heads(pipeline.chain)}

    def ask(self, question: Question) -> None:
        request = FeedRequest(
            request_id="evaluate",
            user_id=question.user_id,
            n=DEPTH,
            time_ms=question.time_ms,
            deadline_ms=1e9,
        )
        user = self.state.view(question.user_id, question.time_ms)
        run = self.pipeline.run(request, user)
        if run.trace.degraded and run.trace.degraded != ["fallback"]:
            raise DataError(f"a stage failed: {run.trace.degraded}", "a chain that works", "see the log above")
        for channel, _ in self.pipeline.chain.channels:
            batch = channel.fetch(request, user, len(self.state.items))
            self._note(channel.name, self._unseen(request, user, batch).item)
        for stage in ("merge", "prerank", "rank", "slate"):
            if stage in run.after:
                after = run.after["fuse"] if stage == "rank" else run.after["filter" if stage == "merge" else stage]
                self._note(_STAGES[stage], after.item)
        self._rank_all(request, user, question)

    def _rank_all(self, request: FeedRequest, user: UserColumns, question: Question) -> None:
        """The ranker on every unseen item of the catalogue, for its own row and each head's AUC."""
        ranker, fuse = self.pipeline.chain.rank, self.pipeline.chain.fuse
        if ranker is None:
            return
        every = np.arange(1, len(self.state.items), dtype=np.int32)
        batch = self._unseen(request, user, CandidateBatch.of("all", every, np.zeros(len(every), np.float32)))
        scored = batch.with_scores(ranker.heads, ranker.score(request, user, batch))
        self._note(ALL_ITEMS, scored.item[order(finite(fuse(scored)), scored.item)])
        for head in self.auc:
            self.auc[head].append(auc(np.isin(scored.item, question.positive[head]), finite(scored.score(head))))

    def _unseen(self, request: FeedRequest, user: UserColumns, batch: CandidateBatch) -> CandidateBatch:
        for keep in self.pipeline.chain.filters:
            batch = batch.take(keep.keep(request, user, batch))
        return batch

    def _note(self, what: str, rows: Rows) -> None:
        padded = np.zeros(DEPTH, np.int32)
        padded[: min(DEPTH, len(rows))] = rows[:DEPTH]
        self.ranked.setdefault(what, []).append(padded)


_STAGES = {
    "merge": "after merge",
    "prerank": "after pre-rank",
    "rank": "after rank",
    "slate": "after re-rank",
}


def _heads(chain: Chain) -> Sequence[str]:
    return [h for h in (chain.rank.heads if chain.rank else ()) if h in ("click", "like")]


def _measured(
    answers: _Answers, questions: Sequence[Question], counts: NDArray[Any], split: Split, seed: int, n: int
) -> Evaluation:
    held = [q.held for q in questions]
    is_cold = np.array([q.is_cold for q in questions])
    ranked = {what: np.stack(rows) for what, rows in answers.ranked.items()}
    per_user = {what: ndcg_at(rows, held, 10) for what, rows in ranked.items()}

    def lines(keep: NDArray[np.bool_]) -> list[Line]:
        some = [h for h, k in zip(held, keep, strict=True) if k]
        return [_line(what, rows[keep], some, counts, seed, n) for what, rows in ranked.items()]

    ours = [what for what in ("after rank", ALL_ITEMS) if what in per_user] or ["after merge"]
    gains = {
        f"{mine} - {other}": paired_difference(per_user[mine], per_user[other], seed, n_resamples=n)
        for mine in ours
        for other in answers.channels
    }
    return Evaluation(
        split=split.name,
        split_hash=split.hash,
        seed=seed,
        n_users=len(questions),
        lines=lines(~is_cold) if is_cold.any() and not is_cold.all() else lines(np.ones(len(held), np.bool_)),
        cold=lines(is_cold) if is_cold.any() and not is_cold.all() else [],
        auc={h: bootstrap(np.array(v), seed, n_resamples=n, purpose=h) for h, v in answers.auc.items()},
        gains=gains,
        per_user=per_user,
    )


def _line(what: str, ranked: Rows, held: Sequence[Rows], counts: NDArray[Any], seed: int, n: int) -> Line:
    recall_10, recall_50, ndcg_10 = (
        bootstrap(values, seed, n_resamples=n)
        for values in (recall_at(ranked, held, 10), recall_at(ranked, held, 50), ndcg_at(ranked, held, 10))
    )
    bias = popularity_bias(ranked[:, :10], np.concatenate(held), counts)
    return Line(what, recall_10, recall_50, ndcg_10, coverage(ranked[:, :10], len(counts)), bias.lift)
