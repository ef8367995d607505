"""The weights of the merge, learned where it can be checked: each user's last item of the training side is held out,
the channels learn from what came before it, and the weights are those under which it stands highest.

So everything is trained twice, and weights move from equal ones only as far as many users agree (``shrinkage``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from feedmill.core.batches import Floats, Mask, Part, Rows
from feedmill.core.clock import rng
from feedmill.core.events import EventBatch
from feedmill.core.progress import progress
from feedmill.core.protocols import Channel
from feedmill.core.request import FeedRequest
from feedmill.core.workspace import Component, Workspace
from feedmill.retrieval.merge import MERGE_PART, MergeConfig, merge, scaled
from feedmill.retrieval.weights import fit_weights
from feedmill.samples import Split, split
from feedmill.samples.splits import EvaluateConfig
from feedmill.state import Replay, State

LIMIT = 200  # items of a channel whose block does not say
Refit = Callable[[EventBatch], Mapping[str, Part]]  # training events -> a part for each channel


class Question(NamedTuple):
    """A user, the moment, and what was chosen then."""

    user_id: str
    time_ms: int
    held: Rows


def learn_merge(
    workspace: Workspace,
    channels: Sequence[Component[Any]],
    replay: Replay,
    training: EventBatch,
    refit: Refit,
    seed: int,
) -> dict[str, Part]:
    """``{"merge": part}`` where the config wants weights learned, else nothing.

    Args:
        channels: of the config; ``own["limit"]`` as it is served.
        replay: the whole log, whose rows the parts know.
        training: the training side of it.

    Raises:
        DataError: nobody consumed anything.
    """
    config = workspace.section("retrieval.merge", MergeConfig)
    if config.kind != "weighted" or not config.learn:
        return {}
    held = split(training, EvaluateConfig())
    earlier = training.take(np.flatnonzero(held.train))
    parts = refit(earlier)
    state = replay.state()
    state.fold(earlier)
    asked = questions(training, held, state, config.max_users, seed)
    opened = [(c.cls(c.name, c.config, parts[c.name], state), int(c.own.get("limit", LIMIT))) for c in channels]
    weights, n_users = learned(opened, state, asked, config)
    about = {"weights": weights, "scale": config.scale, "shrinkage": config.shrinkage}
    return {MERGE_PART: Part("merge", {**about, "n_users": n_users, "split_hash": held.hash}, {})}


def questions(training: EventBatch, held: Split, state: State, most: int, seed: int) -> list[Question]:
    """One for each held-out user, at most ``most`` of them, in order of user rows."""
    test = held.test
    user = state.users.rows(training.table.column("user_id").take(test))
    item = state.items.rows(training.table.column("item_id").take(test))
    time_ms = training.numpy("time_ms")[test]
    users = np.unique(user)
    if len(users) > most:
        users = np.sort(rng(seed, "merge", "questions").choice(users, most, replace=False))
    out = []
    for row in users.tolist():
        own = user == row
        out.append(Question(state.users.id(row), int(time_ms[own].min()), np.unique(item[own])))
    return out


def learned(
    channels: Sequence[tuple[Channel, int]], state: State, asked: Sequence[Question], config: MergeConfig
) -> tuple[dict[str, float], int]:
    """Weights by channel, and how many users' choices were among the candidates, so that they taught something.

    Args:
        channels: each with its limit.
        state: as of the moment before what is held out.
    """
    names = [channel.name for channel, _ in channels]
    features, positive, request_of = [np.zeros((0, len(names)), np.float32)], [np.zeros(0, bool)], [np.zeros(0, int)]
    with progress("learning the merge", len(asked)) as advance:
        for r, question in enumerate(asked):
            brought, chosen = _candidates(channels, state, question, config)
            features.append(brought)
            positive.append(chosen)
            request_of.append(np.full(len(chosen), r))
            advance(1)
    of = np.concatenate(request_of).astype(np.int32)
    taught = np.concatenate(positive)
    weights = fit_weights(np.concatenate(features), taught, of, config.shrinkage)
    return dict(zip(names, [round(float(w), 4) for w in weights], strict=True)), len(np.unique(of[taught]))


def _candidates(
    channels: Sequence[tuple[Channel, int]], state: State, question: Question, config: MergeConfig
) -> tuple[Floats, Mask]:
    """Scaled scores float32[C, M] of what the channels bring, as when serving, and bool[C] what of it was chosen."""
    user = state.view(question.user_id, question.time_ms)
    seen = state.seen(int(user.row[0]))
    request = FeedRequest(request_id="merge", user_id=question.user_id, time_ms=question.time_ms, deadline_ms=1e9)
    brought = [channel.fetch(request, user, limit + len(seen)) for channel, limit in channels]
    union = merge(brought, sum(map(len, brought)))
    unseen = ~np.isin(union.item, seen)
    return scaled(union.found, config.scale)[unseen], np.isin(union.item, question.held)[unseen]
