"""A plan made ready for requests: per layer a table from bucket to arm, so that an assignment is a lookup per layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedmill.experiments.assignment import PARTS, Hashes, buckets, mixed, salt_bits
from feedmill.experiments.config import HOLDOUT, LAUNCHED, REVERSE
from feedmill.experiments.record import Assignment, Experiment, Holdout, Pair

Seat = tuple[str, str, Pair | None]  # experiment, arm, and the pair of both if the arm sets anything


class _Launch(NamedTuple):
    launched: Seat
    reverse: Seat
    salt: int
    cut: int  # buckets below it are the reverse bucket
    is_new: bool  # of this period: the holdout does not have it


class _Layer(NamedTuple):
    salt: int
    n: int
    seats: list[int]  # of each bucket, an index into ``of``; 0 = no experiment
    of: list[Seat | None]


class Seats:
    """Who gets what, for one holdout, its launches and the experiments that run."""

    def __init__(self, experiments: Iterable[Experiment], holdout: Holdout) -> None:
        every = list(experiments)
        self._salt, self._cut = salt_bits(holdout_salt(holdout)), cut(holdout.share)
        launched = [e for e in every if e.status == "launched" and e.launch]
        self._launches = [
            _launch(e, holdout) for e in sorted(launched, key=lambda e: e.launch.order if e.launch else 0)
        ]
        self._old = [launch for launch in self._launches if not launch.is_new]
        self._layers = _layers([e for e in every if e.status == "running"])

    def assign(self, user: int) -> Assignment:
        """What the user of a hash gets."""
        arms: dict[str, str] = {}
        key: list[Pair] = []
        launches, layers = self._launches, self._layers
        if self._cut:
            if mixed(user, self._salt, PARTS) < self._cut:
                arms[HOLDOUT] = "in"
                launches, layers = self._old, []
            else:
                arms[HOLDOUT] = "out"
        for launch in launches:
            is_reverse = launch.cut and mixed(user, launch.salt, PARTS) < launch.cut
            name, arm, pair = launch.reverse if is_reverse else launch.launched
            arms[name] = arm
            if pair:
                key.append(pair)
        for salt, n, seats, of in layers:
            if seat := of[seats[mixed(user, salt, n)]]:
                name, arm, pair = seat
                arms[name] = arm
                if pair:
                    key.append(pair)
        return Assignment(arms, tuple(key))

    def keys(self, most: int) -> list[tuple[Pair, ...]]:
        """The keys that users can have, at most so many of them: those of the fewest pairs first."""
        found: dict[tuple[Pair, ...], None] = {}
        for launches, layers in ((self._launches, self._layers), (self._old, [])):
            choices = [[s[2] for s in ((x.launched, x.reverse) if x.cut else (x.launched,))] for x in launches]
            choices += [[seat[2] if seat else None for seat in layer.of] for layer in layers]
            choices = [list(dict.fromkeys(choice)) for choice in choices]
            while np.prod([len(c) for c in choices], dtype=float) > 64 * most:  # beyond that only the first few layers
                choices.pop()
            found |= dict.fromkeys(tuple(p for p in chosen if p) for chosen in product(*choices))
        return sorted(found, key=len)[:most]


def holdout_salt(holdout: Holdout) -> str:
    """What a period's holdout is drawn with."""
    return f"{holdout.salt}.{holdout.period}"


def cut(share: float) -> int:
    """The share as buckets of ``PARTS``: those below it."""
    return round(share * PARTS)


def in_share(users: Hashes, salt: str, share: float) -> NDArray[np.bool_]:
    """bool[n]: who is in a holdout or a reverse bucket."""
    return np.asarray(buckets(users, salt, PARTS) < cut(share))


def seat(experiment: Experiment, arm: str) -> Seat:
    """An arm of an experiment, of a launch too."""
    return experiment.name, arm, (experiment.name, arm) if settings(experiment, arm) else None


def settings(experiment: Experiment, arm: str) -> Mapping[str, object]:
    """What an arm sets: launched is the arm that won, reverse is the control."""
    if experiment.launch and arm in (LAUNCHED, REVERSE):
        arm = experiment.launch.arm if arm == LAUNCHED else experiment.definition.control
    return experiment.definition.arms[arm].set


def _launch(experiment: Experiment, holdout: Holdout) -> _Launch:
    launch = experiment.launch
    assert launch is not None
    both = seat(experiment, LAUNCHED), seat(experiment, REVERSE)
    return _Launch(*both, salt_bits(launch.salt), cut(launch.share), launch.period == holdout.period)


def _layers(running: list[Experiment]) -> list[_Layer]:
    layers: dict[str, _Layer] = {}
    for e in sorted(running, key=lambda e: (e.definition.layer, e.created.offset)):
        n = e.layer.n_buckets
        layer = layers.setdefault(e.definition.layer, _Layer(salt_bits(e.layer.salt), n, [0] * n, [None]))
        for arm, ranges in e.buckets.items():
            for first, end in ranges:
                layer.seats[first:end] = [len(layer.of)] * (end - first)
            layer.of.append(seat(e, arm))
    return list(layers.values())
