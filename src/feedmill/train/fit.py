"""The offline pass: one read of the log, and every channel and model of the config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from feedmill.core.batches import Part
from feedmill.core.protocols import EventLog
from feedmill.core.version import __version__
from feedmill.core.workspace import Workspace
from feedmill.samples import Split, split
from feedmill.samples.splits import EvaluateConfig
from feedmill.state import Replay, State
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
        replay: the whole log as it was read.
    """

    parts: Mapping[str, Part]
    about: dict[str, Any]
    split: Split
    replay: Replay


def fit(workspace: Workspace, log: EventLog) -> Fitted:
    """Train everything the workspace's config names on the training side of the log's split.

    Raises:
        ArtifactError: the log's first events were dropped, and the state that they made is gone.
        DataError: the log has nothing to learn from.
        ConfigError: an unknown component or parameter.
    """
    return fit_replay(workspace, Replay.of(workspace, log))


def fit_replay(workspace: Workspace, replay: Replay) -> Fitted:
    """The same on a log that has been read.

    Raises:
        DataError, ConfigError: as ``fit``.
    """
    tables = [k for k, v in workspace.raw.get("train", {}).items() if isinstance(v, Mapping)]
    train = workspace.section("train", TrainConfig, drop=tables)
    torch.set_num_threads(train.n_threads or torch.get_num_threads())
    plans = Plans.of(workspace)
    events = replay.events
    held = split(events, workspace.section("evaluate", EvaluateConfig))
    training = events.take(held.train.nonzero()[0])
    learned = Learned(workspace, replay, training, train.seed)
    parts = learned.channels(plans)
    about = about_of(replay, held, learned.state, train.seed)
    if plans.rank is not None:
        ranking, more = fit_ranking(plans.rank, learned)
        parts, about = parts | ranking, about | more
    parts |= learn_merge(workspace, plans.channels, replay, training, lambda earlier: Learned(
        workspace, replay, earlier, train.seed).channels(plans), train.seed)  # fmt: skip
    return Fitted(parts, about, held, replay)


def about_of(replay: Replay, held: Split, state: State, seed: int) -> dict[str, Any]:
    """What an artifact says of the log that it was trained on."""
    time_ms = replay.events.numpy("time_ms")
    return {
        "feedmill": __version__,
        "seed": seed,
        "offset": replay.end,
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
