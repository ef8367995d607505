"""Who gets what, case by case: running experiments, the holdout, launches and their reverse buckets."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from experiments.life import DAY_MS, THETA, Life, config, definition, noise, ranges
from feedmill.core.errors import ConfigError, NotFoundError
from feedmill.core.events import EventBatch, Kind
from feedmill.experiments import Action, Plan
from feedmill.experiments.assignment import bucket, user_hash

USERS = [f"u{i}" for i in range(2000)]


def users_of(plan: Plan, name: str, arm: str) -> set[str]:
    return {u for u in USERS if plan.assign(u).arms.get(name) == arm}


def gets(plan: Plan, user: str) -> object:
    """What theta the user gets; None = the config's."""
    return plan.overrides(plan.assign(user).key).get(THETA)


def test_before_anything_happens_everyone_gets_the_feed_as_it_is() -> None:
    plan = Plan.empty(config())
    assert plan.assign("anybody") == ({}, ())
    assert plan.overrides(()) == {}
    assert plan.keys() == [()]
    assert plan.free("rank") == [(0, 100)]


def test_a_created_experiment_changes_nothing_until_it_starts() -> None:
    life = Life()
    created = life.do("create", "mmr", definition=definition())
    assert all(created.assign(u).arms == {} for u in USERS)
    started = life.do("start", "mmr")
    assert {len(users_of(started, "mmr", arm)) for arm in ("control", "treated")} <= set(range(300, 500))


def test_arms_are_the_buckets_that_the_definition_names() -> None:
    life = Life()
    plan = life.run("mmr", definition=ranges(control=[[0, 10], [90, 100]], treated=[[10, 20]]))
    for user in USERS:
        b = bucket(user_hash(user), "rerank", 100)
        assert plan.assign(user).arms.get("mmr") == (
            "treated" if 10 <= b < 20 else "control" if b < 10 or b >= 90 else None
        )
    assert plan.free("rerank") == [(20, 90)]


def test_a_share_takes_that_many_buckets_and_spreads_them() -> None:
    e = Life().run("mmr", share=0.3).experiment("mmr")
    sizes = {arm: sum(b - a for a, b in ranges_) for arm, ranges_ in e.buckets.items()}
    assert sizes == {"control": 30, "treated": 30}
    assert min(len(r) for r in e.buckets.values()) > 5  # not the first 30: carry-over is shared by the arms


def test_arms_that_set_nothing_are_not_in_the_key_so_they_need_no_pipeline_of_their_own() -> None:
    plan = Life().run("mmr")
    (control, *_), (treated, *_) = sorted(users_of(plan, "mmr", "control")), sorted(users_of(plan, "mmr", "treated"))
    assert plan.assign(control) == ({"mmr": "control"}, ())
    assert plan.assign(treated) == ({"mmr": "treated"}, (("mmr", "treated"),))
    assert plan.overrides((("mmr", "treated"),)) == {THETA: 0.5}
    assert plan.keys() == [(), (("mmr", "treated"),)]


def test_layers_are_crossed_and_one_layer_is_exclusive() -> None:
    life = Life()
    life.run("a", share=0.5)
    plan = life.run("b", layer="rank", share=0.5, path="prerank.keep")
    cells = {(plan.assign(u).arms["a"], plan.assign(u).arms["b"]) for u in USERS}
    assert len(cells) == 4
    assert set(plan.keys()) == {plan.assign(u).key for u in USERS}
    life = Life()
    life.run("a", share=0.2)
    plan = life.run("b", share=0.2, path="prerank.keep")
    assert all(len(plan.assign(u).arms) <= 1 for u in USERS)


def test_a_stopped_experiment_gives_its_users_the_feed_as_it_is() -> None:
    life = Life()
    life.run("mmr")
    plan = life.do("stop", "mmr")
    assert all(plan.assign(u) == ({}, ()) for u in USERS)
    assert plan.free("rerank") == [(0, 100)]


def test_the_holdout_gets_no_running_experiment() -> None:
    life = Life(holdout=0.2)
    plan = life.run("mmr", share=0.5)
    inside = users_of(plan, "holdout", "in")
    assert 300 < len(inside) < 500
    assert inside | users_of(plan, "holdout", "out") == set(USERS)
    assert all(plan.assign(u) == ({"holdout": "in"}, ()) for u in inside)
    assert all("mmr" in plan.assign(u).arms for u in set(USERS) - inside)


def test_a_launch_goes_to_everyone_but_the_holdout_and_the_reverse_bucket() -> None:
    life = Life(holdout=0.2)
    life.run("mmr")
    plan = life.do("roll_out", "mmr", share=0.1)
    inside, reverse = users_of(plan, "holdout", "in"), users_of(plan, "mmr", "reverse")
    launched = users_of(plan, "mmr", "launched")
    assert inside | reverse | launched == set(USERS)
    assert not inside & (reverse | launched)
    assert 100 < len(reverse) < 220
    assert {gets(plan, u) for u in launched} == {0.5}
    assert {gets(plan, u) for u in inside | reverse} == {None}
    assert plan.free("rerank") == [(0, 100)]  # the next experiment has the whole layer again


def test_the_reverse_bucket_is_a_layer_of_its_own() -> None:
    """Who keeps the old treatment does not depend on the arm that the user was in."""
    life = Life()
    before = life.run("mmr", share=0.5)
    treated = users_of(before, "mmr", "treated")
    reverse = users_of(life.do("roll_out", "mmr", share=0.5), "mmr", "reverse")
    assert 0.4 < len(reverse & treated) / len(treated) < 0.6


def test_the_reverse_bucket_keeps_what_the_control_had() -> None:
    life = Life()
    arms = {"old": {"share": 0.5, "set": {THETA: 0.9}}, "new": {"share": 0.5, "set": {THETA: 0.1}}}
    life.run("mmr", definition=msgspec.convert({"layer": "rerank", "arms": arms, "control": "old"}, type(definition())))
    plan = life.do("roll_out", "mmr", share=0.2)
    assert plan.experiment("mmr").launch.arm == "new"  # type: ignore[union-attr]
    assert {gets(plan, u) for u in users_of(plan, "mmr", "reverse")} == {0.9}
    assert {gets(plan, u) for u in users_of(plan, "mmr", "launched")} == {0.1}


def test_reverse_opens_one_later_and_close_ends_it() -> None:
    life = Life()
    life.run("mmr")
    assert users_of(life.do("roll_out", "mmr"), "mmr", "launched") == set(USERS)
    opened = life.do("reverse", "mmr", share=0.1)
    assert 100 < len(first := users_of(opened, "mmr", "reverse")) < 300
    assert users_of(closed := life.do("close", "mmr"), "mmr", "launched") == set(USERS)
    assert closed.experiment("mmr").status == "launched"
    again = users_of(life.do("reverse", "mmr", share=0.1), "mmr", "reverse")
    assert len(first & again) < len(again) / 2  # other users: nobody is kept behind for ever


def test_a_launch_that_is_stopped_is_taken_back_for_everyone_and_can_be_rolled_out_again() -> None:
    life = Life()
    life.run("mmr")
    life.do("roll_out", "mmr")
    back = life.do("stop", "mmr")
    assert all(back.assign(u) == ({}, ()) for u in USERS)
    again = life.do("roll_out", "mmr")
    assert {gets(again, u) for u in USERS} == {0.5}


def test_launches_apply_in_the_order_of_their_roll_out_and_running_experiments_after_them() -> None:
    life = Life()
    for name, value in (("b", 0.1), ("a", 0.2)):
        life.run(name, value=value)
        life.do("roll_out", name)
    assert {gets(life.plan, u) for u in USERS} == {0.2}
    assert list(life.plan.assign("u1").arms) == ["b", "a"]
    plan = life.run("c", value=0.3, share=0.5)
    assert {gets(plan, u) for u in users_of(plan, "c", "treated")} == {0.3}
    assert {gets(plan, u) for u in users_of(plan, "c", "control")} == {0.2}


def test_a_launch_that_sets_a_whole_section_takes_the_place_of_what_was_set_in_it() -> None:
    life = Life()
    for name, path, value in (
        ("one", "rerank.fusion.weights.like", 2.0),
        ("all", "rerank.fusion.weights", {"click": 1.0}),
    ):
        life.run(name, path=path, value=value)
        life.do("roll_out", name)
    assert life.plan.overrides(life.plan.assign("u").key) == {"rerank.fusion.weights": {"click": 1.0}}


def test_the_end_of_a_period_gives_the_holdout_its_launches_and_draws_another() -> None:
    life = Life(holdout=0.2)
    life.run("mmr")
    before = life.do("roll_out", "mmr", share=0.1)
    old, reverse = users_of(before, "holdout", "in"), users_of(before, "mmr", "reverse")
    after = life.do("end_holdout")
    new = users_of(after, "holdout", "in")
    assert (after.holdout.period, after.holdout.share) == (2, 0.2)
    assert len(new & old) < len(new) / 2
    still = users_of(after, "mmr", "reverse")
    assert reverse <= still  # not until it is closed
    assert {gets(after, u) for u in still} == {None}
    assert {gets(after, u) for u in set(USERS) - still} == {0.5}
    assert users_of(life.do("close", "mmr"), "mmr", "launched") == set(USERS)


def test_a_launch_of_the_new_period_leaves_out_the_new_holdout_only() -> None:
    life = Life(holdout=0.2)
    life.run("one", path="rerank.rules.0.theta")
    life.do("roll_out", "one")
    life.do("end_holdout")
    life.run("two", path="rerank.rules.1.theta")
    plan = life.do("roll_out", "two")
    inside = users_of(plan, "holdout", "in")
    assert all(plan.assign(u).arms == {"holdout": "in", "one": "launched"} for u in inside)
    assert all(plan.assign(u).arms.keys() == {"holdout", "one", "two"} for u in set(USERS) - inside)


def test_the_holdout_of_the_first_step_is_in_force_whatever_the_config_says_later() -> None:
    life = Life(holdout=0.2)
    life.run("mmr")
    later = Plan.empty(config(holdout=0.4, holdout_salt="else"))
    for entry in life.plan.entries:
        later = later.after(entry)
    assert later.holdouts == life.plan.holdouts
    assert [later.assign(u) for u in USERS] == [life.plan.assign(u) for u in USERS]
    life.config, life.plan = later.config, later
    assert life.do("end_holdout").holdout.share == 0.4
    assert life.do("end_holdout", share=0.05).holdout.share == 0.05
    assert life.do("end_holdout", share=0.0).holdout.share == 0.0
    assert "holdout" not in life.plan.assign("u").arms


def test_a_feed_without_a_holdout_can_begin_one() -> None:
    life = Life()
    life.run("mmr")
    plan = life.do("end_holdout", share=0.25)
    assert 400 < len(users_of(plan, "holdout", "in")) < 600


@pytest.mark.parametrize("step", ["run", "stop", "roll_out", "reverse", "end_holdout"])
def test_members_are_what_assign_says_of_each(step: str) -> None:
    life = Life(holdout=0.2)
    life.run("other", layer="rank", path="prerank.keep")
    life.run("mmr")
    ran = life.plan.members(USERS, "mmr")
    if step == "stop":
        assert (life.do("stop", "mmr").members(USERS, "mmr") == ran).all()  # as it was
        life.do("end_holdout")
        assert (life.plan.members(USERS, "mmr") == ran).all()
        return
    if step != "run":
        life.do("roll_out", "mmr", share=0.1)
    if step == "reverse":
        life.do("close", "mmr")
        life.do("reverse", "mmr", share=0.3)
    if step == "end_holdout":
        life.do("end_holdout")
    for name in ("mmr", "other", "holdout"):
        assert life.plan.members(USERS, name).tolist() == [life.plan.assign(u).arms.get(name, "") for u in USERS]


def test_members_and_overrides_of_what_there_is_not() -> None:
    plan = Life().run("mmr")
    assert plan.members([], "mmr").tolist() == []
    assert set(plan.members(USERS, "holdout")) == {""}
    with pytest.raises(NotFoundError, match=r'no experiment "mrm"[\s\S]*did you mean "mmr"'):
        plan.members(USERS, "mrm")
    with pytest.raises(NotFoundError, match="experiment create later"):
        Plan.empty(config(defined={"later": definition()})).experiment("later")
    with pytest.raises(NotFoundError, match='no arm "launched"'):
        plan.overrides([("mmr", "launched")])
    with pytest.raises(ConfigError, match='layer = "rernk"'):
        plan.free("rernk")


def test_stages_are_what_the_arms_touch() -> None:
    for path, stages in {
        THETA: {"rerank"},
        "prerank.keep": {"prerank"},
        "retrieval.channels.swing.limit": {"retrieval"},
        "filters.seen": {"filters"},
        "serve.deadline_ms": set(),
        "publish.version": {"retrieval", "filters", "prerank", "rank", "rerank"},
    }.items():
        assert Life().run("e", path=path).stages("e") == stages


def test_keys_cover_every_user_and_stay_few() -> None:
    life = Life(holdout=0.1, layers={f"l{i}": {} for i in range(10)})
    for i in range(10):
        plan = life.run(f"e{i}", layer=f"l{i}", share=0.5, path=f"rerank.rules.{i}.theta")
    plan = life.do("roll_out", "e0", share=0.1)
    keys = plan.keys(most=2000)
    assert {plan.assign(u).key for u in USERS} <= set(keys)
    assert len(keys) == 2 * 2**9
    few = plan.keys(most=20)
    assert len(few) == 20
    assert {(), (("e0", "launched"),), (("e9", "treated"),)} <= set(few)


def test_other_events_leave_the_plan_as_it_is() -> None:
    plan = Life().run("mmr")
    assert plan.fold(noise(), 100) is plan
    assert plan.fold(EventBatch.empty(), 100) is plan


def test_events_that_the_plan_has_are_not_folded_twice() -> None:
    life = Life()
    plan = life.run("mmr")
    everything, _ = life.log.read(0)
    assert plan.fold(everything, 0) is plan
    assert life.replayed(1).fold(everything, 0) == plan


@pytest.mark.parametrize("payload", ["", "{", "[]", '{"action": "explode"}', '{"action": "start", "name": 3}', "null"])
def test_an_event_that_nobody_can_read_is_refused_and_does_no_harm(payload: str) -> None:
    life = Life()
    before = life.run("mmr")
    plan = life.append(EventBatch.of({"kind": [int(Kind.EXPERIMENT)], "payload": [payload]}))
    assert plan.experiments == before.experiments
    (refusal,) = plan.refused
    assert refusal.action is None
    assert refusal.reason
    assert refusal.offset == plan.offset - 1


def test_history_has_what_happened_and_refused_has_what_did_not() -> None:
    life = Life()
    life.run("mmr")
    plan = life.write(Action(action="start", name="mmr", by="eve"))
    assert [step.action.action for step in plan.history] == ["create", "start"]
    assert [step.offset for step in plan.history] == [1, 4]
    (refusal,) = plan.refused
    assert refusal.action is not None
    assert refusal.action.by == "eve"
    assert "which is running" in refusal.reason


def test_an_experiment_says_when_it_did_what() -> None:
    life = Life()
    life.run("mmr")
    e = life.do("stop", "mmr").experiment("mmr")
    moments = (e.created, e.started, e.stopped)
    assert [(m.offset, m.time_ms // DAY_MS) for m in moments if m] == [(1, 0), (4, 3), (7, 6)]
    assert msgspec.json.decode(msgspec.json.encode(e))["status"] == "stopped"  # as the API tells it


def test_shares_of_a_holdout_are_what_they_say() -> None:
    plan = Life(holdout=0.1).run("mmr")
    inside = np.mean(plan.members(range(100_000), "holdout") == "in")
    assert abs(inside - 0.1) < 4 * np.sqrt(0.09 / 100_000)
