"""The plan: what experiments there are, who is in which arm, and how it came to that. A fold of the log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from feedmill.core.config import nearest
from feedmill.core.errors import FeedmillError, NotFoundError
from feedmill.core.events import EventBatch, Kind
from feedmill.experiments import lifecycle
from feedmill.experiments.assignment import buckets, hashes, user_hash
from feedmill.experiments.config import HOLDOUT, LAUNCHED, REVERSE, ExperimentsConfig
from feedmill.experiments.definition import Action, Range
from feedmill.experiments.paths import VERSION, merged, paths_of, stages_of
from feedmill.experiments.ranges import mask_of, ranges_of
from feedmill.experiments.record import Assignment, Entry, Experiment, Holdout, Pair, Refusal, Step
from feedmill.experiments.seats import Seats, holdout_salt, in_share, settings


@dataclass(frozen=True)
class Plan:
    """Immutable; ``fold`` gives the next one. Equal events make equal plans, however they are cut into batches.

    Attributes:
        config: what new experiments are created by; not what runs.
        experiments: by name, in the order of creation.
        holdouts: of every period, the last is in force.
        history: what happened, in log order.
        refused: what the log has and what did not happen, with the reason.
        entries: every EXPERIMENT event.
        offset: in the log, after the last of them.
    """

    config: ExperimentsConfig = field(compare=False)
    experiments: Mapping[str, Experiment] = field(default_factory=dict)
    holdouts: tuple[Holdout, ...] = ()
    history: tuple[Step, ...] = ()
    refused: tuple[Refusal, ...] = ()
    entries: tuple[Entry, ...] = ()
    offset: int = 0

    @classmethod
    def empty(cls, config: ExperimentsConfig) -> Plan:
        """Before anything happened: the holdout is the config's."""
        return cls(config, holdouts=(Holdout(share=config.holdout, salt=config.holdout_salt),))

    @property
    def holdout(self) -> Holdout:
        """The one in force."""
        return self.holdouts[-1]

    def fold(self, events: EventBatch, offset: int) -> Plan:
        """The plan after some events, of which ``offset`` is the first; itself if none of them is an EXPERIMENT.

        Events that the plan has already are not folded again.
        """
        rows = np.flatnonzero(events.numpy("kind") == int(Kind.EXPERIMENT))
        plan = self
        for row in rows.tolist():
            if offset + row >= plan.offset:
                one = events.table.slice(row, 1)
                time_ms, payload = one.column("time_ms")[0].as_py(), one.column("payload")[0].as_py()
                plan = plan.after(Entry(offset + row, time_ms, payload))
        return plan

    def after(self, entry: Entry) -> Plan:
        """The plan after one EXPERIMENT event: what is not allowed is kept among the refused."""
        action: Action | None = None
        try:
            action = msgspec.json.decode(entry.payload, type=Action)
            plan = lifecycle.apply(self, action, entry.time_ms, entry.offset)
        except (FeedmillError, msgspec.DecodeError) as error:
            no = Refusal(offset=entry.offset, time_ms=entry.time_ms, action=action, reason=str(error))
            plan = replace(self, refused=(*self.refused, no))
        return replace(plan, entries=(*self.entries, entry), offset=entry.offset + 1)

    def assign(self, user_id: Any) -> Assignment:
        """What a user gets: a function of the plan and the user's id alone.

        Raises:
            DataError: the id is neither text nor a whole number, or empty.
        """
        return self._seats.assign(user_hash(user_id))

    def overrides(self, key: Iterable[Pair]) -> dict[str, Any]:
        """What the arms of a key set, by dotted path; the later one holds.

        Raises:
            NotFoundError: an experiment or an arm that there is not.
        """
        return merged(self._settings(name, arm) for name, arm in key)

    def keys(self, most: int = 256) -> list[tuple[Pair, ...]]:
        """The keys that users can have; where that are too many, those of the fewest pairs."""
        return self._seats.keys(most)

    def stages(self, name: str) -> frozenset[str]:
        """The families of stages that an experiment's arms touch: retrieval, filters, prerank, rank, rerank.

        Raises:
            NotFoundError: no such experiment.
        """
        return stages_of(paths_of(self.experiment(name).definition))

    def experiment(self, name: str) -> Experiment:
        """One experiment.

        Raises:
            NotFoundError: there is none of that name.
        """
        if name not in self.experiments:
            fix = nearest(name, self.experiments) or "`feedmill experiment list` has them all"
            if name in self.config.defined:
                fix = f"`feedmill experiment create {name}`: it is defined, not created"
            raise NotFoundError(f'no experiment "{name}"', f"one of {sorted(self.experiments) or 'none'}", fix)
        return self.experiments[name]

    def members(self, user_ids: Iterable[Any], name: str) -> NDArray[np.str_]:
        """str[n]: the arm of each user, "" for none: what ``assign`` says of something that runs or is launched, and
        what it said of something that ran. ``name`` may be "holdout".

        Raises:
            NotFoundError: no such experiment.
            DataError: an id is neither text nor a whole number, or empty.
        """
        users, holdout = hashes(user_ids), self.holdout
        if name == HOLDOUT:
            inside = in_share(users, holdout_salt(holdout), holdout.share)
            return np.where(inside, "in", "out" if holdout.share else "")
        e = self.experiment(name)
        if e.status == "launched" and e.launch:
            inside = in_share(users, e.launch.salt, e.launch.share)
            arms = np.where(inside, REVERSE, LAUNCHED)
            held = e.launch.period == holdout.period
        else:
            names = np.array(["", *e.buckets])
            codes = np.zeros(e.layer.n_buckets, np.int64)
            for code, ranges in enumerate(e.buckets.values(), 1):
                codes[mask_of(ranges, len(codes))] = code
            arms, held = names[codes[buckets(users, e.layer.salt, e.layer.n_buckets)]], True
            holdout = self._holdout_of(e)
        return np.where(held & in_share(users, holdout_salt(holdout), holdout.share), "", arms)

    def free(self, layer: str) -> list[Range]:
        """The buckets of a layer that no experiment holds.

        Raises:
            ConfigError: the config has no such layer.
        """
        held = mask_of((r for e in self.holding(layer) for arm in e.buckets.values() for r in arm), 100_000)
        return list(ranges_of(~held[: self.config.layer(layer).n_buckets]))

    def holding(self, layer: str) -> list[Experiment]:
        """The experiments that hold buckets of a layer: created or running."""
        return [e for e in self.experiments.values() if e.holds and e.definition.layer == layer]

    @property
    def versions(self) -> set[str]:
        """What ``publish.version`` is set to by whatever runs, may run or is launched."""
        alive = [e for e in self.experiments.values() if e.holds or e.status == "launched"]
        return {str(arm.set[VERSION]) for e in alive for arm in e.definition.arms.values() if VERSION in arm.set}

    def _settings(self, name: str, arm: str) -> Mapping[str, Any]:
        e = self.experiment(name)
        known = [*e.definition.arms, *([LAUNCHED, REVERSE] if e.launch else [])]
        if arm not in known:
            raise NotFoundError(f'experiment "{name}" has no arm "{arm}"', f"one of {known}", nearest(arm, known))
        return settings(e, arm)

    def _holdout_of(self, e: Experiment) -> Holdout:
        """The holdout that an experiment has or had when it stopped."""
        end = e.stopped or e.closed
        before = [h for h in self.holdouts if end is None or h.since is None or h.since.offset < end.offset]
        return before[-1]

    @cached_property
    def _seats(self) -> Seats:
        return Seats(self.experiments.values(), self.holdout)
