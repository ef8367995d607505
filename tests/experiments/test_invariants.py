"""Whatever anybody tries, in any order: no two experiments share a user in a layer, and a replay tells the same."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any

import hypothesis.strategies as st
import numpy as np
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from experiments.life import Life
from feedmill.core.config import convert
from feedmill.core.errors import FeedmillError
from feedmill.experiments import Action, Definition, lifecycle
from feedmill.experiments.paths import overlap, paths_of
from feedmill.experiments.ranges import size

N = 12
USERS = list(range(300))
NAMES = st.sampled_from("abcde")
SHARES = st.sampled_from([0.0, 0.05, 0.1, 0.3, 0.5])
PATHS = st.sampled_from(["rerank.rules", "rerank.rules.0.theta", "prerank.keep", "retrieval.limit"])
CUTS = st.lists(st.integers(0, N), min_size=3, max_size=4, unique=True).map(sorted)


@st.composite
def definitions(draw: st.DrawFn) -> Definition:
    by_share, changes = draw(st.booleans()), {draw(PATHS): draw(st.integers(0, 3))}
    arms: list[dict[str, Any]]
    if by_share:
        arms = [{"share": draw(SHARES)} for _ in range(2)]
    else:
        arms = [{"buckets": [r]} for r in pairwise(draw(CUTS))]
    named: dict[str, Any] = dict(zip(["control", "b", "c"], arms, strict=False))
    named["b"]["set"] = changes
    return convert({"layer": draw(st.sampled_from(["x", "y"])), "arms": named}, Definition)


class Lives(RuleBasedStateMachine):
    """Everybody writes what they like into the log; half of it is not allowed."""

    def __init__(self) -> None:
        super().__init__()
        self.life = Life(holdout=0.2, layers={"x": {"n_buckets": N}, "y": {"n_buckets": N}})
        self.behind = self.life.plan  # a process that has not followed the log for a while

    @rule(name=NAMES, definition=definitions())
    def create(self, name: str, definition: Definition) -> None:
        self._write(Action(action="create", name=name, definition=definition))

    @rule(name=NAMES, share=SHARES, action=st.sampled_from(["start", "start", "stop", "roll_out", "reverse", "close"]))
    def step(self, name: str, share: float, action: Any) -> None:
        self._write(Action(action=action, name=name, share=share))

    @rule(share=st.none() | SHARES)
    def end_holdout(self, share: float | None) -> None:
        self._write(Action(action="end_holdout", share=share))

    @rule(name=NAMES, definition=definitions())
    def create_from_an_old_plan(self, name: str, definition: Definition) -> None:
        try:
            settled = lifecycle.settle(self.behind, Action(action="create", name=name, definition=definition))
        except FeedmillError:
            return
        self.life.write(settled)

    @rule()
    def catch_up(self) -> None:
        self.behind = self.life.plan

    def _write(self, action: Action) -> None:
        before, n = self.life.plan, len(self.life.plan.history)
        try:
            settled = lifecycle.settle(before, action)
            lifecycle.apply(before, settled, self.life.now_ms, self.life.log.end)
        except FeedmillError:
            assert len(self.life.write(action).history) == n
        else:
            assert len(self.life.write(settled).history) == n + 1

    @invariant()
    def every_bucket_of_a_layer_is_of_one_arm_at_most(self) -> None:
        for layer in ("x", "y"):
            claimed = np.zeros(N, np.int64)
            for e in self.life.plan.holding(layer):
                for ranges in e.buckets.values():
                    for first, end in ranges:
                        claimed[first:end] += 1
            assert claimed.max() <= 1
            assert (claimed == 0).sum() == size(self.life.plan.free(layer))

    @invariant()
    def experiments_that_run_in_two_layers_set_different_things(self) -> None:
        running = [e for e in self.life.plan.experiments.values() if e.status == "running"]
        for one, other in combinations(running, 2):
            if one.definition.layer != other.definition.layer:
                assert overlap(paths_of(one.definition), paths_of(other.definition)) is None

    @invariant()
    def every_user_is_in_one_experiment_of_a_layer_and_all_at_once_agrees(self) -> None:
        plan = self.life.plan
        assigned = [plan.assign(u) for u in USERS]
        live = {name for name, e in plan.experiments.items() if e.status in ("running", "launched")}
        assert set().union(*(a.arms for a in assigned)) <= live | {"holdout"}
        for name in live | {"holdout"}:
            assert plan.members(USERS, name).tolist() == [a.arms.get(name, "") for a in assigned]
        running = {n: e.definition.layer for n, e in plan.experiments.items() if e.status == "running"}
        for arms, key in assigned:
            layers = [running[name] for name in arms if name in running]
            assert len(layers) == len(set(layers))
            assert not (arms.get("holdout") == "in" and layers)
            plan.overrides(key)
        assert {a.key for a in assigned} <= set(plan.keys(10_000))

    @precondition(lambda self: self.life.log.end)
    @rule(chunk=st.integers(1, 9))
    def a_replay_tells_the_same_however_it_is_cut(self, chunk: int) -> None:
        again = self.life.replayed(chunk)
        assert again == self.life.plan
        assert [again.assign(u) for u in USERS[:50]] == [self.life.plan.assign(u) for u in USERS[:50]]


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=40, stateful_step_count=25)
