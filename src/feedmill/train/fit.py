"""The offline pass: one read of the log, and every channel and model of the config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from feedmill.core.batches import Part
from feedmill.core.events import EventBatch
from feedmill.core.protocols import EventLog
from feedmill.core.version import __version__
from feedmill.core.workspace import Workspace
from feedmill.log.whole import read_all
from feedmill.samples import Split, split
from feedmill.samples.splits import EvaluateConfig
from feedmill.state import State
from feedmill.train.config import TrainConfig
from feedmill.train.learned import Learned
from feedmill.train.plans import Plans
from feedmill.train.rank.ranking import fit_ranking
from feedmill.train.retrieval.merge import learn_merge


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """What an offline pass made.

    Attributes:
        parts: channels by name, "rank" where a ranker was trained, and "merge" where its weights were learned.
        about: what the artifact says of itself: ids digests, spec hash, split, data range, seed, how negatives came.
        split: what was held out.
        events: the whole log as it was read.
    """

    parts: Mapping[str, Part]
    about: dict[str, Any]
    split: Split
    events: EventBatch


def fit(workspace: Workspace, log: EventLog) -> Fitted:
    """Train everything the workspace's config names on the training side of its split.

    Raises:
        DataError: the log has nothing to learn from.
        ConfigError: an unknown component or parameter.
    """
    tables = [k for k, v in workspace.raw.get("train", {}).items() if isinstance(v, Mapping)]
    train = workspace.section("train", TrainConfig, drop=tables)
    torch.set_num_threads(train.n_threads or torch.get_num_threads())
    plans = Plans.of(workspace)
    events = read_all(log)
    held = split(events, workspace.section("evaluate", EvaluateConfig))
    training = events.take(held.train.nonzero()[0])
    learned = Learned(workspace, events, training, train.seed)
    parts = learned.channels(plans)
    about = about_of(events, held, learned.state, train.seed)
    if plans.rank is not None:
        ranking, more = fit_ranking(plans.rank, learned)
        parts, about = parts | ranking, about | more
    parts |= learn_merge(workspace, plans.channels, events, training, lambda earlier: Learned(
        workspace, events, earlier, train.seed).channels(plans), train.seed)  # fmt: skip
    return Fitted(parts, about, held, events)


def about_of(events: EventBatch, held: Split, state: State, seed: int) -> dict[str, Any]:
    """What an artifact says of the log that it was trained on."""
    time_ms = events.numpy("time_ms")
    return {
        "feedmill": __version__,
        "seed": seed,
        "offset": len(events),
        "n_users": len(state.users),
        "n_items": len(state.items),
        "users_digest": state.users.digest(len(state.users)),
        "items_digest": state.items.digest(len(state.items)),
        "state_hash": state.settings_hash,
        "from_ms": int(time_ms.min()),
        "to_ms": int(time_ms.max()),
        "split": held.name,
        "split_hash": held.hash,
    }
