"""What is not allowed says what was given, what was expected and what to do; and it changes nothing."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
import pytest

from experiments.life import THETA, Life, config, definition, ranges
from feedmill.core.errors import ConfigError, DataError, FeedmillError, NotFoundError, WorkspaceError
from feedmill.experiments import Action, Arm, Definition, LayerConfig, Plan, lifecycle

STEPS = {
    "created": [],
    "running": ["start"],
    "stopped": ["start", "stop"],
    "launched": ["start", "roll_out"],
    "closed": ["close"],
}
ALLOWED = {
    "start": {"created"},
    "stop": {"running", "launched"},
    "roll_out": {"running", "stopped"},
    "reverse": {"launched"},
    "close": {"created", "stopped"},  # and a launch with a reverse bucket
}


def led_to(status: str) -> Life:
    life = Life()
    life.do("create", "mmr", definition=definition())
    for step in STEPS[status]:
        life.do(step, "mmr")
    assert life.plan.experiment("mmr").status == status
    return life


def refused(life: Life, error: type[FeedmillError], *words: str, **action: Any) -> str:
    """The step is refused, by the check before it and by the fold of the log, in the same words."""
    with pytest.raises(error) as caught:
        life.do(**action)
    told = str(caught.value)
    for word in words:
        assert word in told, told
    assert caught.value.expected
    assert caught.value.fix
    before = life.plan
    after = life.write(Action(**action))
    assert after.refused[-1].reason == told
    assert (after.experiments, after.holdouts, after.history) == (before.experiments, before.holdouts, before.history)
    return told


@pytest.mark.parametrize("status", STEPS)
@pytest.mark.parametrize("action", ALLOWED)
def test_each_step_has_its_states(action: str, status: str) -> None:
    life, more = led_to(status), {"share": 0.1} if action == "reverse" else {}
    if status in ALLOWED[action]:
        assert life.do(action, "mmr", **more).history[-1].action.action == action
    else:
        refused(life, WorkspaceError, status, action=action, name="mmr", **more)


def test_a_running_experiment_s_split_cannot_be_changed() -> None:
    for status in STEPS:
        words = ("exists, with another definition", status, "stop it and create another")
        refused(led_to(status), WorkspaceError, *words, action="create", name="mmr", definition=definition(share=0.3))
    refused(led_to("running"), WorkspaceError, "exists: it is", action="create", name="mmr", definition=definition())


def test_overlapping_ranges_are_refused_with_whose_they_are_and_what_is_free() -> None:
    life = Life()
    life.do("create", "one", definition=ranges(control=[[0, 20]], treated=[[20, 40]]))
    other = ranges(path="prerank.keep", control=[[30, 60]], treated=[[60, 70]])
    words = ('buckets 30-39 of layer "rerank" are held by "one", which is created', "free buckets: 40-99")
    refused(life, WorkspaceError, *words, action="create", name="two", definition=other)
    life.do("start", "one")
    refused(life, WorkspaceError, "which is running", action="create", name="two", definition=other)
    life.do("stop", "one")
    assert life.do("create", "two", definition=other).free("rerank") == [(0, 30), (70, 100)]


def test_of_two_who_claim_the_same_buckets_at_once_the_log_takes_the_first() -> None:
    """Both were settled on the same plan, by two processes; what decides is the order of the log."""
    life = Life()
    both = [Action(action="create", name=n, definition=definition(share=0.5)) for n in ("one", "two")]
    settled = [lifecycle.settle(life.plan, action) for action in both]
    for action in settled:
        life.write(action)
    assert list(life.plan.experiments) == ["one"]
    assert 'are held by "one"' in life.plan.refused[0].reason


def test_shares_beyond_what_is_free_are_refused_with_who_has_it() -> None:
    life = Life()
    life.do("create", "one", definition=definition(share=0.3))
    words = ("80 buckets wanted, 40 of 100 are free", "one (60)")
    refused(life, WorkspaceError, *words, action="create", name="two", definition=definition(share=0.4))
    assert not life.do("create", "two", definition=definition(share=0.2)).free("rerank")


def test_what_does_not_exist_is_refused_with_the_nearest() -> None:
    life = led_to("running")
    refused(life, NotFoundError, 'did you mean "mmr"', action="stop", name="mrm")
    refused(
        life, ConfigError, "rernk", 'did you mean "rerank"', action="create", name="a", definition=definition("rernk")
    )
    refused(life, NotFoundError, "experiments.defined.a", action="create", name="a")
    refused(life, ConfigError, 'roll_out of arm "best"', "control", action="roll_out", name="mmr", arm="best")
    refused(life, DataError, "without a name", action="stop")


def test_a_bad_definition_is_refused_when_it_is_created() -> None:
    life = led_to("running")
    bad = definition(path="train.epochs")
    refused(life, ConfigError, "arms.treated.set: train.epochs", action="create", name="a", definition=bad)
    refused(life, ConfigError, "add up to 1.2", action="create", name="a", definition=definition(share=0.6))
    refused(life, ConfigError, 'the name "A B"', action="create", name="A B", definition=definition())
    refused(life, ConfigError, "holdout", action="create", name="holdout", definition=definition())


@pytest.mark.parametrize(
    ("one", "other"),
    [(THETA, THETA), (THETA, "rerank.rules"), ("rerank.fusion", "rerank.fusion.weights.like"), ("prerank.keep",) * 2],
)
def test_experiments_of_two_layers_that_set_the_same_do_not_run_together(one: str, other: str) -> None:
    life = Life()
    life.run("a", path=one)
    life.do("create", "b", definition=definition(layer="rank", path=other))
    refused(life, WorkspaceError, one, other, 'stop "a" first', action="start", name="b")
    life.do("stop", "a")
    assert life.do("start", "b").experiment("b").status == "running"


def test_paths_that_only_begin_alike_are_different_things() -> None:
    life = Life()
    life.run("a", path="rerank.rules.1")
    assert life.run("b", layer="rank", path="rerank.rules.10").experiment("b").status == "running"


def test_experiments_of_one_layer_may_set_the_same_for_they_share_no_users() -> None:
    life = Life()
    life.run("a")
    assert life.run("b", value=0.7).experiment("b").status == "running"


def test_what_another_one_compares_is_not_rolled_out_under_it() -> None:
    """Its control would change in the middle."""
    life = Life()
    life.run("a")
    life.run("b", value=0.7)
    refused(life, WorkspaceError, THETA, 'stop "b" first', action="roll_out", name="a")
    life.do("stop", "b")
    assert life.do("roll_out", "a").experiment("a").status == "launched"


def test_an_open_reverse_bucket_is_a_comparison_too() -> None:
    life = Life()
    life.run("a")
    life.do("roll_out", "a", share=0.1)
    life.do("create", "b", definition=definition(value=0.7))
    refused(life, WorkspaceError, 'close the reverse bucket of "a" first', action="start", name="b")
    life.do("close", "a")
    life.do("start", "b")
    refused(life, WorkspaceError, 'stop "b" first', action="reverse", name="a", share=0.1)


def test_roll_out_needs_an_arm_to_choose() -> None:
    arms = {"control": {"share": 0.2}} | {
        n: {"share": 0.2, "set": {THETA: v}} for n, v in (("low", 0.1), ("high", 0.9))
    }
    life = Life()
    life.run("mmr", definition=msgspec.convert({"layer": "rerank", "arms": arms}, type(definition())))
    refused(life, ConfigError, "without an arm", "one of ['low', 'high']", action="roll_out", name="mmr")
    refused(life, ConfigError, "an arm that sets something", action="roll_out", name="mmr", arm="control")
    launch = life.do("roll_out", "mmr", arm="high").experiment("mmr").launch
    assert launch is not None
    assert launch.arm == "high"
    life = Life()
    same = {"control": {"share": 0.5}, "same": {"share": 0.5}}
    life.run("a-a", definition=msgspec.convert({"layer": "rank", "arms": same}, type(definition())))
    refused(life, ConfigError, "none does", action="roll_out", name="a-a")


def test_reverse_buckets_one_at_a_time_and_of_some_users() -> None:
    life = led_to("launched")
    refused(life, WorkspaceError, "no reverse bucket to close", "write what it sets", action="close", name="mmr")
    refused(life, ConfigError, "reverse with share", action="reverse", name="mmr")
    life.do("reverse", "mmr", share=0.1)
    refused(life, WorkspaceError, "of 0.1 already", action="reverse", name="mmr", share=0.2)
    assert life.do("close", "mmr").experiment("mmr").status == "launched"


def test_a_holdout_that_is_not_there_cannot_end() -> None:
    refused(led_to("running"), WorkspaceError, "no holdout to end", action="end_holdout")
    refused(Life(), WorkspaceError, "no holdout to end", action="end_holdout")
    refused(Life(holdout=0.1), ConfigError, "leave out the name", action="end_holdout", name="mmr")


def test_the_first_step_may_be_the_end_of_a_holdout() -> None:
    life = Life(holdout=0.1)
    assert life.do("end_holdout").holdout.period == 2
    assert life.run("mmr").holdout.period == 2


@pytest.mark.parametrize(
    "raw", [{"share": 0.6}, {"share": -0.1}, {"share": "half"}, {"by": "x" * 201}, {"action": "go"}]
)
def test_values_out_of_range_are_refused_by_their_type(raw: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"action": "reverse", "name": "mmr"} | raw, Action)


@pytest.mark.parametrize("status", ["created", "running", "stopped", "launched"])
@pytest.mark.parametrize("action", ["create", "start", "stop", "roll_out", "reverse", "close", "end_holdout"])
def test_a_step_that_is_written_twice_happens_once(action: Any, status: str) -> None:
    """As after an answer that got lost."""
    life = led_to(status)
    asked = Action(action=action, name="" if action == "end_holdout" else "mmr", share=0.1, definition=definition())
    with suppress(FeedmillError):  # not allowed even once
        asked = lifecycle.settle(life.plan, asked)
    once, twice = life.write(asked), life.write(asked)
    assert twice.history == once.history
    assert len(twice.refused) == len(once.refused) + 1


def test_of_two_who_end_a_holdout_at_once_one_does() -> None:
    life = Life(holdout=0.1)
    settled = [lifecycle.settle(life.plan, Action(action="end_holdout")) for _ in range(2)]
    for action in settled:
        life.write(action)
    assert life.plan.holdout.period == 2
    assert "end of holdout period 1" in life.plan.refused[0].reason


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", object()])
def test_a_value_that_the_log_cannot_keep_is_refused_before_it_is_there(value: object) -> None:
    """Otherwise one thing would be checked and another one served."""
    life = Life()
    with pytest.raises(ConfigError, match='create "mmr"'):
        life.do("create", "mmr", definition=Definition(layer="rerank", arms=with_value(value)))
    assert life.log.end == 0


def with_value(value: object) -> dict[str, Arm]:
    return {"control": Arm(share=0.1), "b": Arm(share=0.1, set={THETA: value})}


@pytest.mark.parametrize("asked", [{"share": 0.9}, {"share": 0.00001}, {"share": float("nan")}, {"note": "x" * 2001}])
def test_an_action_made_in_python_is_checked_like_one_from_outside(asked: dict[str, Any]) -> None:
    life = led_to("launched")
    with pytest.raises(ConfigError):
        life.do("reverse", "mmr", **({"share": 0.1} | asked))


def test_ranges_that_no_definition_could_have_are_refused_by_the_log() -> None:
    """Whatever writes into the log, the arms of a layer share no bucket."""
    layer = LayerConfig(n_buckets=100, salt="rerank")
    for bad in (((5, 3), (0, 2), (0, 2)), ((-3, 2),), ((90, 101),), ((0, 5), (4, 6))):
        life = Life()
        buckets = {"control": bad, "treated": ((50, 60),)}
        life.write(Action(action="create", name="mmr", definition=definition(), layer=layer, buckets=buckets))
        assert life.plan.experiments == {}
        assert "for each arm its own" in life.plan.refused[0].reason


def test_a_definition_of_the_config_is_created_by_its_name() -> None:
    life = Life(defined={"mmr": {"layer": "rank", "arms": {"control": {"share": 0.5}, "b": {"share": 0.5}}}})
    assert life.do("create", "mmr").experiment("mmr").definition.layer == "rank"


def test_what_an_event_says_stands_whatever_the_config_says_later() -> None:
    life = Life()
    life.run("mmr")
    later = Plan.empty(config(layers={"rank": {}}))
    for entry in life.plan.entries:
        later = later.after(entry)
    assert later == life.plan


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ({"rank": {}}, 'layer "rerank" is gone from the config: deleting a layer in use'),
        ({"rerank": {"n_buckets": 200}}, "n_buckets = 100"),
        ({"rerank": {"n_buckets": 100, "salt": "x"}}, 'salt = "rerank"'),
    ],
)
def test_a_layer_in_use_stays_as_it_is(layers: dict[str, Any], words: str) -> None:
    changed = config(layers=layers)
    for status in STEPS:
        life = led_to(status)
        if status in ("created", "running"):
            with pytest.raises(ConfigError) as caught:
                lifecycle.consistent(life.plan, changed)
            assert words in str(caught.value)
            assert "stop and close" in caught.value.fix
        else:
            assert lifecycle.consistent(life.plan, changed) == ()


def test_a_layer_that_was_changed_under_another_process_is_refused_by_the_log() -> None:
    life = led_to("running")
    life.plan = Plan.empty(config(layers={"rerank": {"n_buckets": 50}})).fold(life.log.read(0)[0], 0)
    words = ('layer "rerank" has 50 buckets', '100 and "rerank"')
    refused(life, WorkspaceError, *words, action="create", name="b", definition=definition(share=0.02))


def test_a_definition_in_the_config_is_the_one_that_runs() -> None:
    written = {"layer": "rerank", "arms": {"control": {"share": 0.2}, "treated": {"share": 0.3}}}
    for status in STEPS:
        plan = led_to(status).plan
        if status == "closed":
            assert lifecycle.consistent(plan, config(defined={"mmr": written})) == ()
        else:
            with pytest.raises(ConfigError, match="the split of an experiment cannot be changed"):
                lifecycle.consistent(plan, config(defined={"mmr": written}))
    assert lifecycle.consistent(plan, config(defined={"mmr": msgspec.to_builtins(definition())})) == ()


def test_another_holdout_in_the_config_waits_for_the_end_of_the_period() -> None:
    life = Life(holdout=0.1)
    assert lifecycle.consistent(life.plan, config(holdout=0.2)) == ()
    life.run("mmr")
    (said,) = lifecycle.consistent(life.plan, config(holdout=0.2))
    assert "0.2 is for the next period; until end_holdout it is 0.1" in said
